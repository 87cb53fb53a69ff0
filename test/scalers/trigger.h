/*
 * A trigger's keys as a scaler's unit test gives them, parsed and checked as the server does.
 */
#ifndef BACKLOG_TEST_SCALERS_TRIGGER_H
#define BACKLOG_TEST_SCALERS_TRIGGER_H

#include "measure/scaler.h"

struct trigger {
    struct option_values *values[OPTION_SCOPES];
    struct options options;
    struct error error; /* every mistake */
    bool good;
};

struct trigger trigger_parse(const struct scaler *scaler, const struct option_entry *entries,
                             size_t count);

/* Of keys and values in turn, ending with NULL. */
struct trigger trigger_of(const struct scaler *scaler, const char *const *pairs);

#define PAIRS(...) ((const char *const[]){__VA_ARGS__, NULL})

void trigger_done(struct trigger *trigger);

/* The trigger is refused, and the mistakes have these words among them. */
void assert_says(const struct trigger *trigger, const char *words);

#endif
