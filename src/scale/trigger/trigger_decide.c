#include "scale/trigger/trigger_decide.h"

#include "base/memory.h"
#include "base/text.h"
#include "config/source_address.h"

#include <math.h>
#include <string.h>

/* An error says whose it is: the connection's name, or the scaler and the host where its text has
 * no host. */
static void name_error(const struct trigger *trigger, struct error *error)
{
    if (trigger->parsed.connection_name != NULL) {
        error_prefix(error, "connection \"%.*s\"",
                     (int)text_cut(trigger->parsed.connection_name, 64),
                     trigger->parsed.connection_name);
        return;
    }
    _cleanup_(memory_free) char *address =
        source_address(trigger->parsed.values[OPTION_CONNECTION]);
    if (address != NULL && strstr(error_text(error), address) == NULL)
        error_prefix(error, "%s at %s", trigger->parsed.scaler->name, address);
}

/* What the HPA makes of it with AverageValue, before its own limits, steps and tolerance. At its
 * maximum a policy publishes more than it wants. */
static double replicas_of(const struct trigger *trigger, const struct answer *answer,
                          const struct trigger_policy_copy *policy)
{
    double replicas = answer_replicas(answer->value, trigger->parsed.target);
    if (trigger->policy == NULL || policy == NULL)
        return replicas;
    int64_t max = trigger->policy->plan.settings.max_replicas;
    if (!answer->held)
        return (double)policy->result.replicas;
    return max > 0 ? fmin(replicas, (double)max) : replicas;
}

void trigger_decide_by(const struct trigger *trigger, const struct snapshot *snapshot,
                       const struct trigger_policy_copy *policy, const struct answer_call *call,
                       int64_t now_ms, struct answer *ret_answer)
{
    const struct hpa_facts *hpa = &trigger->kubernetes.hpa;
    bool has_replicas = hpa->replicas >= 0 && hpa->replicas_at_ms <= now_ms;
    bool has_policy = trigger->policy != NULL;
    struct evaluation_result own = {0};
    if (!has_policy && snapshot->known.is_measured)
        trigger_evaluate(trigger, &snapshot->known.reading, &own);
    const struct answer_facts facts = {
        .snapshot = snapshot,
        .evaluated = has_policy ? &policy->evaluated : &own,
        .rules = &trigger->parsed.rules,
        .hold = &trigger->answers.hold,
        .replicas_value =
            has_replicas ? fmax(1, (double)hpa->replicas) * trigger->parsed.target : 0,
        .replicas_at_ms = has_replicas ? hpa->replicas_at_ms : 0,
    };
    answer_decide(&facts, call, now_ms, ret_answer);
    if (ret_answer->kind == ANSWER_VALUE)
        ret_answer->replicas = replicas_of(trigger, ret_answer, policy);
    if (ret_answer->kind == ANSWER_REFUSED)
        name_error(trigger, &ret_answer->error);
    error_done(&own.error);
}

static void refuse_without_query(const struct trigger *trigger, const struct answer_call *call,
                                 struct answer *ret_answer)
{
    *ret_answer = (struct answer){.kind = ANSWER_WAIT};
    if (trigger->phase == TRIGGER_PENDING && !call->out_of_time)
        return;
    ret_answer->kind = ANSWER_REFUSED;
    const struct error *refusal = trigger_refusal(trigger);
    if (refusal != NULL)
        error_copy(&ret_answer->error, refusal);
    else /* it went with its connection, since somebody began to wait for it */
        error_unavailable(&ret_answer->error,
                          "the connection is another one now, and not measured yet");
}

static void decide_by_reading(const struct trigger *trigger, const struct answer_call *call,
                              int64_t now_ms, struct answer *ret_answer)
{
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    query_snapshot(trigger->bound.query, &snapshot);
    trigger_decide_by(trigger, &snapshot, NULL, call, now_ms, ret_answer);
}

static void decide_by_policy(const struct trigger *trigger, const struct answer_call *call,
                             int64_t now_ms, struct answer *ret_answer)
{
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    _cleanup_(trigger_policy_copy_done) struct trigger_policy_copy policy = {0};
    trigger_observe(trigger, false, &snapshot, &policy);
    trigger_decide_by(trigger, &snapshot, &policy, call, now_ms, ret_answer);
}

void trigger_decide(const struct trigger *trigger, const struct answer_call *call, int64_t now_ms,
                    struct answer *ret_answer)
{
    if (trigger->bound.query == NULL)
        refuse_without_query(trigger, call, ret_answer);
    else if (trigger->policy == NULL)
        decide_by_reading(trigger, call, now_ms, ret_answer);
    else
        decide_by_policy(trigger, call, now_ms, ret_answer);
}
