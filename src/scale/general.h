/*
 * The general keys: those of every trigger, whatever its scaler. Some of them are KEDA's own, which reads
 * the same metadata; the scaler sees none of them.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_SCALE_GENERAL_H
#define BACKLOG_SCALE_GENERAL_H

#include "base/error.h"
#include "config/option.h"
#include "scale/answer.h"

#include <stddef.h>

struct general_options {
    const char *scaler;          /* NULL where there is none, as all of these */
    const char *connection_name; /* in the connections file */
    struct answer_rules rules;
    const char *keda; /* what only KEDA reads */
};

extern const struct option general_table[];

/* Of all entries the general ones. What the trigger leaves out of the rules is as in `standard`. Adds
 * every mistake, but for a scaler that is missing. The caller frees the values, whose data are
 * struct general_options. */
struct option_values *general_parse(const struct option_entry *entries, size_t count,
                                    const struct answer_rules *standard, struct error *mistakes);

#endif
