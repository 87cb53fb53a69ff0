/*
 * What KEDA's calls and streams are answered: a trigger's query and policy, copied, and its rules
 * become facts for answer_decide().
 *
 * Threads: as the trigger's: under the turn lock.
 */
#ifndef BACKLOG_SCALE_TRIGGER_TRIGGER_DECIDE_H
#define BACKLOG_SCALE_TRIGGER_TRIGGER_DECIDE_H

#include "scale/trigger/trigger.h"

/* What a call is answered now; triggers_acquire_query() came before. Changes nothing. */
void trigger_decide(const struct trigger *trigger, const struct answer_call *call, int64_t now_ms,
                    struct answer *ret_answer);

/* ---- for reports ---- */

/* The same, of what trigger_observe() found at `now_ms`. The trigger has a query; without a policy
 * `policy` is not read. */
void trigger_decide_by(const struct trigger *trigger, const struct snapshot *snapshot,
                       const struct trigger_policy_copy *policy, const struct answer_call *call,
                       int64_t now_ms, struct answer *ret_answer);

#endif
