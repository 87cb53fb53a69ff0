/*
 * The general keys: those of every trigger of any scaler. Some of them are KEDA's own, which reads
 * the same metadata; the scaler sees none of them.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_SCALE_METADATA_GENERAL_H
#define BACKLOG_SCALE_METADATA_GENERAL_H

#include "base/error.h"
#include "config/option.h"
#include "scale/answer/answer.h"
#include "scale/policy/policy_options.h"

#include <stddef.h>

struct general_options {
    const char *scaler;          /* NULL where there is none, as all of these */
    const char *connection_name; /* in the connections file, or the namespace's Secret */
    const char *trigger_authentication;
    const char *cluster_trigger_authentication;
    struct answer_rules rules;
    struct policy_options policy;
    const char *keda; /* what only KEDA reads */
};

enum { GENERAL_USUAL_HOLD_MS = 3600 * 1000 }; /* `hold` of a server that is given none */

extern const struct option general_table[];
extern const char general_hold_window[]; /* the key of rules.hold_window_ms */

/* Parses the general ones of all entries. `interval` and `hold` are as in `standard` where the
 * trigger leaves them out. Adds every mistake, but for a scaler that is missing. The caller frees
 * the values, whose data are struct general_options. */
struct option_values *general_parse(const struct option_entry *entries, size_t count,
                                    const struct answer_rules *standard, struct error *mistakes);

/* The row of this key (also as FromEnv), where it decides what is measured, or with whose
 * credentials; NULL: it does not. */
const struct option *general_find_steering(const char *key);

/* Is it a key of a policy's settings? */
bool general_is_policy(const char *key);

/* Does this entry alone give a trigger a policy? Also with a value that cannot be read: the target
 * must not change when it is corrected. burstThreshold and burstReplicas are refused, but still
 * count as a policy, so that the target stays the same once they are rewritten as steps. */
bool general_gives_policy(const char *key, const char *value);

/* Parses the settings of a policy alone. Adds every mistake; false: none is set. */
bool general_parse_policy(const struct option_entry *entries, size_t count,
                          struct policy_settings *ret_settings, struct error *mistakes);

#endif
