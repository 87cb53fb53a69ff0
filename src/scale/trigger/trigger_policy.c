#include "scale/trigger/trigger_policy.h"

#include "base/log.h"
#include "base/memory.h"
#include "scale/metadata/general.h"
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
    struct trigger_policy_variant *effective = &plan->effective;
    struct trigger_policy_variant *shadow = &plan->shadow;
    effective->is_on = policy_options_compile(options, &effective->settings, mistakes);
    shadow->is_on = options->shadow != NULL &&
                    general_parse_shadow(options->shadow, &shadow->settings, mistakes);
    if (!effective->is_on && !shadow->is_on)
        free(TAKE(plan));
    return plan;
}

void trigger_policy_plan_check(const struct trigger_policy_plan *plan, const struct scaler *scaler,
                               const struct options *options, struct error *mistakes)
{
    if (plan->effective.is_on)
        policy_options_check_source(&plan->effective.settings, scaler, options, mistakes);
    if (plan->shadow.is_on)
        policy_options_check_source(&plan->shadow.settings, scaler, options, mistakes);
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
    text_done(&policy->effective.words);
    text_done(&policy->shadow.words);
    error_done(&policy->evaluated.error);
    free(policy->changes);
    free(policy);
}

bool trigger_policy_is_on(const struct trigger_policy *policy)
{
    return policy != NULL && policy->plan.effective.is_on;
}

unsigned trigger_policy_wants(const struct trigger_policy *policy)
{
    unsigned wants = 0;
    if (policy == NULL)
        return 0;
    if (policy->plan.effective.is_on)
        wants |= policy_wants(&policy->plan.effective.settings);
    if (policy->plan.shadow.is_on)
        wants |= policy_wants(&policy->plan.shadow.settings);
    return wants;
}

/* ---- deciding ---- */

static bool decide(const struct policy_settings *settings, struct trigger_policy_learned *learned,
                   const struct policy_input *input, struct error *error)
{
    struct policy_decision decision;
    text_clear(&learned->words);
    learned->has_decided = policy_decide(settings, &learned->state, input, &decision, error);
    if (!learned->has_decided)
        return false;
    learned->result = decision.result;
    policy_words_add(&decision, &learned->words);
    return true;
}

/* A change at most once a minute; the last of several is logged when the minute is over. */
static void log_change(const struct trigger_policy_owner *owner, struct trigger_policy *policy,
                       int64_t now_ms)
{
    int64_t replicas = policy->effective.result.replicas;
    bool is_first = policy->logged_at_ms == 0;
    if (!is_first &&
        (replicas == policy->logged_replicas || now_ms - policy->logged_at_ms < LOG_AGAIN_MS))
        return;
    policy->logged_at_ms = now_ms;
    policy->logged_replicas = replicas;
    log_about(&(struct log_fields){.namespace = owner->namespace, .name = owner->name},
              LOG_LEVEL_INFO, "%s/%s: %s", owner->namespace, owner->name,
              policy->effective.words.bytes);
}

static void record_change(struct trigger_policy *policy, bool has_decided, int64_t now_ms)
{
    const struct policy_result *result = &policy->effective.result;
    const struct trigger_policy_change now = {
        .at_ms = now_ms,
        .has_decided = has_decided,
        .status = result->status,
        .term = result->term,
        .value = result->value,
        .replicas = (int32_t)result->replicas,
        .active = result->active,
    };
    if (policy->changes == NULL)
        policy->changes = memory_array(TRIGGER_POLICY_CHANGES, sizeof(*policy->changes));
    const struct trigger_policy_change *last =
        &policy->changes[(policy->change_count + TRIGGER_POLICY_CHANGES - 1) %
                         TRIGGER_POLICY_CHANGES];
    bool is_same = policy->change_count > 0 && last->has_decided == now.has_decided &&
                   last->status == now.status && last->term == now.term &&
                   last->value == now.value && last->replicas == now.replicas &&
                   last->active == now.active;
    if (is_same)
        return;
    policy->changes[policy->change_count++ % TRIGGER_POLICY_CHANGES] = now;
}

void trigger_policy_decide(struct trigger_policy *policy, const struct trigger_policy_owner *owner,
                           const struct recent_samples *recent, struct evaluation_result *evaluated)
{
    _cleanup_(error_done) struct error ignored = {0};
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
    if (plan->shadow.is_on)
        decide(&plan->shadow.settings, &policy->shadow, &input, &ignored);
    if (!plan->effective.is_on)
        return;
    int64_t at_ms = recent->samples[recent->count - 1].at_ms;
    result->is_good = decide(&plan->effective.settings, &policy->effective, &input, &result->error);
    record_change(policy, result->is_good, at_ms);
    if (!result->is_good)
        return;
    result->evaluation.value = policy->effective.result.value;
    result->evaluation.active = policy->effective.result.active;
    log_change(owner, policy, at_ms);
}

/* Those that are over go first: one in the place of two would make the older one younger. */
void trigger_policy_add_peaks(struct trigger_policy *policy, const struct policy_peaks *peaks,
                              int64_t now_ms)
{
    struct policy_peaks added = *peaks;
    struct policy_peaks *known = &policy->effective.state.peak.of_peers;
    int64_t over_ms = now_ms - policy->plan.basis.hold_ms;
    added.count = peaks_drop(added.items, added.count, over_ms);
    known->count = peaks_drop(known->items, known->count, over_ms);
    known->count =
        peaks_merge(known->items, known->count, POLICY_MAX_PEAKS, added.items, added.count);
}

/* Readings of the new source may be older than the last one of the former: what is idle is so from
 * that on. */
static void forget_source(struct trigger_policy_learned *learned)
{
    const struct policy_state former = learned->state;
    learned->state = (struct policy_state){
        .idle = {.folded_until_ms = former.idle.folded_until_ms},
        .peak = former.peak,
    };
    learned->has_decided = false;
    learned->result = (struct policy_result){0};
    text_clear(&learned->words);
}

void trigger_policy_forget(struct trigger_policy *policy)
{
    policy->follower.last_reading_ms = policy->follower.last_sent_ms = 0;
    policy->change_count = 0;
    forget_source(&policy->effective);
    forget_source(&policy->shadow);
    error_done(&policy->evaluated.error);
    policy->evaluated = (struct evaluation_result){0};
}

/* ---- what it found ---- */

static void copy_changes(const struct trigger_policy *policy, struct trigger_policy_copy *copy)
{
    size_t kept = policy->change_count < TRIGGER_POLICY_CHANGES ? policy->change_count
                                                                : TRIGGER_POLICY_CHANGES;
    copy->changes = memory_array(kept + 1, sizeof(*copy->changes));
    for (size_t i = 0; i < kept; i++)
        copy->changes[i] =
            policy->changes[(policy->change_count - kept + i) % TRIGGER_POLICY_CHANGES];
    copy->change_count = kept;
}

static void copy_variant(const struct trigger_policy_variant *variant,
                         const struct trigger_policy_learned *learned, unsigned extras,
                         struct trigger_policy_variant_copy *copy)
{
    copy->has_decided = variant->is_on && learned->has_decided;
    copy->result = learned->result;
    if (extras & TRIGGER_COPY_WORDS && copy->has_decided)
        text_add(&copy->words, learned->words.bytes);
}

struct answer_policy trigger_policy_found(const struct trigger_policy *policy)
{
    const struct trigger_policy_learned *decides =
        policy->plan.effective.is_on ? &policy->effective : &policy->shadow;
    return (struct answer_policy){
        .status = decides->result.status,
        .replicas = policy->effective.result.replicas,
        .shadow_replicas = policy->shadow.result.replicas,
    };
}

void trigger_policy_copy(const struct trigger_policy *policy, unsigned extras,
                         struct trigger_policy_copy *copy)
{
    copy->evaluated = policy->evaluated;
    copy->evaluated.error = (struct error){0};
    error_copy(&copy->evaluated.error, &policy->evaluated.error);
    if (policy->follower.last_reading_ms == 0)
        error_unavailable(&copy->evaluated.error, "no measurement yet");
    copy_variant(&policy->plan.effective, &policy->effective, extras, &copy->effective);
    copy_variant(&policy->plan.shadow, &policy->shadow, extras, &copy->shadow);
    copy->found = trigger_policy_found(policy);
    copy->peak = policy->effective.state.peak;
    if (extras & TRIGGER_COPY_CHANGES)
        copy_changes(policy, copy);
}

void trigger_policy_copy_done(struct trigger_policy_copy *copy)
{
    error_done(&copy->evaluated.error);
    text_done(&copy->effective.words);
    text_done(&copy->shadow.words);
    free(copy->changes);
}

const struct trigger_policy_change *trigger_policy_at(const struct trigger_policy_copy *copy,
                                                      int64_t at_ms)
{
    for (size_t i = copy->change_count; i > 0; i--)
        if (copy->changes[i - 1].at_ms <= at_ms)
            return &copy->changes[i - 1];
    return NULL;
}

/* ---- sums over all triggers ---- */

static void add_part(const struct trigger_policy *policy, int sign)
{
    policy->stats->statuses[policy->counted.status] += (size_t)sign;
    policy->stats->replicas += sign * policy->counted.replicas;
    policy->stats->shadow_replicas += sign * policy->counted.shadow_replicas;
}

void trigger_policy_join(struct trigger_policy *policy, struct trigger_policy_stats *stats)
{
    policy->stats = stats;
    policy->counted.status = FLOW_UNKNOWN;
    add_part(policy, 1);
}

void trigger_policy_leave(struct trigger_policy *policy)
{
    add_part(policy, -1);
    policy->stats = NULL;
}

void trigger_policy_count(struct trigger_policy *policy, const struct answer_policy *found,
                          bool is_known)
{
    add_part(policy, -1);
    policy->counted = *found;
    if (!is_known)
        policy->counted.status = FLOW_UNKNOWN;
    add_part(policy, 1);
}
