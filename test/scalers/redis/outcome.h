/*
 * One measurement of a Redis with a script, and what became of its tasks.
 *
 * Threads: one, beside the server's.
 */
#ifndef BACKLOG_TEST_SCALERS_REDIS_OUTCOME_H
#define BACKLOG_TEST_SCALERS_REDIS_OUTCOME_H

#include "measure/scaler.h"
#include "scalers/redis/peer.h"
#include "scalers/trigger.h"

struct outcome {
    unsigned wants; /* of the tasks */
    bool connected;
    bool usable;
    struct error error; /* of the client, or of the last task that failed */
    struct reading reading;
    size_t answers;
    size_t failures;
    size_t refused_subscriptions;
};

/* `pairs` are the keys besides the server's address; so many tasks have them. */
struct outcome measure(const struct scaler *scaler, const struct redis_line *script,
                       const char *const *pairs, size_t count, int within_ms);

/* The same of tasks that want more than the query counts (enum reading_want). */
struct outcome measure_with(unsigned wants, const struct scaler *scaler,
                            const struct redis_line *script, const char *const *pairs, size_t count,
                            int within_ms);

/* The same of a server that is there; `outcome` has what the tasks want. */
void run(const struct scaler *scaler, const struct trigger *trigger, size_t count, int within_ms,
         struct outcome *outcome);

/* Nothing was answered, and the error has these words. Frees it. */
void assert_error(struct outcome outcome, const char *words);

#endif
