#include "scale/trigger_peers.h"

#include "base/memory.h"
#include "scale/trigger_state.h"

#include <stdlib.h>

static void digest_of(const struct trigger *trigger, uint8_t ret_digest[PEER_DIGEST_BYTES])
{
    struct trigger_ref ref = identity_ref(&trigger->identity);
    peer_digest(&ref, trigger->scaler->options, ret_digest);
    free(ref.entries);
}

/* It only goes up: the policy asks for at least so many until the source is idle. */
static void raise_policy_peak(struct trigger *trigger, int64_t peak)
{
    struct trigger_policy *policy = trigger->policy;
    if (policy == NULL || !policy->answered.is_on || peak <= policy->answered.state.peak)
        return;
    trigger_unfollow(trigger); /* a step, on another thread, changes it */
    policy->answered.state.peak = peak;
    trigger_follow(trigger);
}

void trigger_take_from_peers(struct trigger *trigger, struct peer_values *values, int64_t now_ms)
{
    uint8_t digest[PEER_DIGEST_BYTES];
    if (values == NULL || trigger->scaler == NULL ||
        trigger->peers_revision == peer_values_revision(values))
        return;
    trigger->peers_revision = peer_values_revision(values);
    digest_of(trigger, digest);
    struct peer_value *value = peer_values_take(values, digest);
    if (value == NULL)
        return;
    free(trigger->of_peers);
    trigger->of_peers = value;
    if (trigger->peak == NULL)
        trigger->peak = memory_new(sizeof(*trigger->peak));
    peak_value_add_earlier(trigger->peak, value->earlier, value->earlier_count, now_ms);
    raise_policy_peak(trigger, value->policy_peak);
}

static void add_earlier(const struct peak_value *peak, int64_t now_ms, struct peer_value *value)
{
    for (size_t i = 0; i < peak->count; i++) {
        int64_t age_ms = peak->last_ms - peak->failed_ms - peak->steps[i].at_ms;
        value->earlier[i] =
            (struct peak_value_step){peak->steps[i].value, now_ms - (age_ms > 0 ? age_ms : 0)};
    }
    value->earlier_count = peak->count;
}

bool trigger_give_to_peers(const struct trigger *trigger, int64_t now_ms,
                           struct peer_value *ret_value)
{
    _cleanup_(trigger_state_done) struct trigger_state state = {0};
    if (trigger->scaler == NULL || trigger->query == NULL)
        return false;
    trigger_state(trigger, NULL, now_ms, &state);
    if (!state.snapshot.is_measured && trigger->of_peers != NULL) {
        *ret_value = *trigger->of_peers;
        return true;
    }
    const struct answer *answer = &state.answer;
    if (answer->kind != ANSWER_VALUE || !answer->active)
        return false;
    *ret_value = (struct peer_value){
        .value = answer->value,
        .since_ms = answer->held ? answer->failing_since_ms : state.snapshot.sent_ms,
        .policy_peak = state.policy.peak,
    };
    digest_of(trigger, ret_value->digest);
    if (trigger->peak != NULL)
        add_earlier(trigger->peak, now_ms, ret_value);
    return true;
}
