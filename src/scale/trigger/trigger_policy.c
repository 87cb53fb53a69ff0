#include "scale/trigger/trigger_policy.h"

#include "base/log.h"
#include "base/memory.h"
#include "scale/policy/policy_options.h"
#include "scale/policy/policy_words.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <sys/param.h>

enum { LOG_AGAIN_MS = 60 * 1000 };

struct trigger_policy_plan *trigger_policy_plan_new(const struct policy_options *options,
                                                    struct error *mistakes)
{
    struct trigger_policy_plan *plan = memory_new(sizeof(*plan));
    if (!policy_options_compile(options, &plan->settings, mistakes))
        free(TAKE(plan));
    return plan;
}

void trigger_policy_plan_check(const struct trigger_policy_plan *plan, const struct scaler *scaler,
                               const struct options *options, struct error *mistakes)
{
    policy_options_check_source(&plan->settings, scaler, options, mistakes);
}

void trigger_policy_apply(struct trigger_policy **policy, const struct trigger_policy_plan *plan)
{
    if (plan == NULL)
        return;
    if (*policy == NULL)
        *policy = memory_new(sizeof(**policy));
    (*policy)->plan = *plan;
}

void trigger_policy_free(struct trigger_policy *policy)
{
    if (policy == NULL)
        return;
    text_done(&policy->words);
    error_done(&policy->evaluated.error);
    free(policy);
}

unsigned trigger_policy_wants(const struct trigger_policy *policy)
{
    return policy == NULL ? 0 : policy_needs(&policy->plan.settings);
}

/* ---- deciding ---- */

static bool decide(struct trigger_policy *policy, const struct policy_input *input,
                   struct error *error)
{
    struct policy_decision decision;
    text_clear(&policy->words);
    policy->has_decided =
        policy_decide(&policy->plan.settings, &policy->state, input, &decision, error);
    if (!policy->has_decided)
        return false;
    policy->result = decision.result;
    policy_words_add(&decision, &policy->words);
    return true;
}

/* A change at most once a minute; the last of several is logged when the minute is over. */
static void log_change(const struct trigger_policy_owner *owner, struct trigger_policy *policy,
                       int64_t now_ms)
{
    int64_t replicas = policy->result.replicas;
    bool is_first = policy->logged_at_ms == 0;
    if (!is_first &&
        (replicas == policy->logged_replicas || now_ms - policy->logged_at_ms < LOG_AGAIN_MS))
        return;
    policy->logged_at_ms = now_ms;
    policy->logged_replicas = replicas;
    log_about(&(struct log_fields){.namespace = owner->namespace, .name = owner->name},
              LOG_LEVEL_INFO, "%s/%s: %s", owner->namespace, owner->name, policy->words.bytes);
}

void trigger_policy_decide(struct trigger_policy *policy, const struct trigger_policy_owner *owner,
                           const struct recent_samples *recent, struct evaluation_result *evaluated)
{
    const struct evaluation *evaluation = &evaluated->evaluation;
    const struct trigger_policy_plan *plan = &policy->plan;
    const struct policy_input input = {
        .basis = plan->basis,
        .recent = recent,
        .value = evaluation->value,
        .active = evaluation->active,
        .max_useful = evaluation->has_max_useful ? evaluation->max_useful : INFINITY,
    };
    struct evaluation_result *result = &policy->evaluated;
    error_done(&result->error);
    *result = *evaluated;
    evaluated->error = (struct error){0};
    if (!result->is_good)
        return;
    result->is_good = decide(policy, &input, &result->error);
    if (!result->is_good)
        return;
    result->evaluation.value = policy->result.value;
    result->evaluation.active = policy->result.active;
    log_change(owner, policy, recent->samples[recent->count - 1].at_ms);
}

/* Those that are over go first: one in the place of two would make the older one younger. */
void trigger_policy_add_peaks(struct trigger_policy *policy, const struct policy_peaks *peaks,
                              int64_t now_ms)
{
    struct policy_peaks added = *peaks;
    struct policy_peaks *known = &policy->state.peak.of_peers;
    int64_t over_ms = now_ms - policy->plan.basis.hold_ms;
    added.count = peaks_drop(added.items, added.count, over_ms);
    known->count = peaks_drop(known->items, known->count, over_ms);
    known->count =
        peaks_merge(known->items, known->count, POLICY_MAX_PEAKS, added.items, added.count);
}

void trigger_policy_forget(struct trigger_policy *policy)
{
    policy->follower.last_reading_ms = policy->follower.last_sent_ms = 0;
    /* Readings of the new source may be older than the last one of the former: what is idle is so
     * from that on. */
    const struct policy_state former = policy->state;
    policy->state = (struct policy_state){
        .idle = {.folded_until_ms = former.idle.folded_until_ms},
        .peak = former.peak,
    };
    policy->has_decided = false;
    policy->result = (struct policy_result){0};
    text_clear(&policy->words);
    error_done(&policy->evaluated.error);
    policy->evaluated = (struct evaluation_result){0};
}

/* ---- what it found ---- */

void trigger_policy_copy(const struct trigger_policy *policy, bool with_words,
                         struct trigger_policy_copy *copy)
{
    copy->evaluated = policy->evaluated;
    copy->evaluated.error = (struct error){0};
    error_copy(&copy->evaluated.error, &policy->evaluated.error);
    if (policy->follower.last_reading_ms == 0)
        error_unavailable(&copy->evaluated.error, "no measurement yet");
    copy->has_decided = policy->has_decided;
    copy->result = policy->result;
    copy->peak = policy->state.peak;
    if (with_words && copy->has_decided)
        text_add(&copy->words, policy->words.bytes);
}

void trigger_policy_copy_done(struct trigger_policy_copy *copy)
{
    error_done(&copy->evaluated.error);
    text_done(&copy->words);
}
