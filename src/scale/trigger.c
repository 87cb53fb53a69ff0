#include "scale/trigger.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct options trigger_options(const struct trigger *trigger)
{
    return (struct options){
        .connection = trigger->values[OPTION_CONNECTION]->data,
        .query = trigger->values[OPTION_QUERY]->data,
        .target = trigger->values[OPTION_TARGET]->data,
    };
}

void trigger_watch(struct trigger *trigger, struct watcher *watcher, bool is_stream)
{
    DL_APPEND2(trigger->watchers, watcher, prev_owned, next_owned);
    watcher->is_stream = is_stream;
    if (trigger->query != NULL)
        watcher_start(watcher, trigger->query, is_stream);
}

void trigger_unwatch(struct trigger *trigger, struct watcher *watcher)
{
    DL_DELETE2(trigger->watchers, watcher, prev_owned, next_owned);
    watcher_stop(watcher);
}

/* ---- what is known ---- */

void trigger_evaluate(const struct trigger *trigger, const struct reading *reading,
                      struct evaluated *ret_evaluated)
{
    struct options options = trigger_options(trigger);
    ret_evaluated->good = trigger->scaler->evaluate(&options, reading, &ret_evaluated->evaluation,
                                                    &ret_evaluated->error);
}

static void step(struct follower *follower, const struct recent_samples *recent)
{
    const struct trigger *trigger = follower->context;
    const struct trigger_policy_owner owner = {trigger->namespace, trigger->name};
    struct evaluated evaluated = {0};
    trigger_evaluate(trigger, &recent->samples[recent->count - 1].reading, &evaluated);
    trigger_policy_step(trigger->policy, &owner, recent, &evaluated);
}

static void copy_policy(const struct follower *follower, void *ret_copy)
{
    const struct trigger *trigger = follower->context;
    trigger_policy_copy(trigger->policy, ret_copy);
}

void trigger_follow(struct trigger *trigger)
{
    if (trigger->policy == NULL || trigger->query == NULL)
        return;
    struct follower *follower = &trigger->policy->follower;
    follower->step = step;
    follower->copy = copy_policy;
    follower->context = trigger;
    query_follow(trigger->query, follower);
}

void trigger_unfollow(struct trigger *trigger)
{
    if (trigger->policy != NULL)
        query_unfollow(&trigger->policy->follower);
}

void trigger_observe(const struct trigger *trigger, struct snapshot *ret_snapshot,
                     struct trigger_policy_view *ret_view)
{
    const struct trigger_policy *policy = trigger->policy;
    if (policy != NULL && policy->follower.query != NULL)
        query_snapshot_with(policy->follower.query, &policy->follower, ret_snapshot, ret_view);
    else if (policy != NULL)
        trigger_policy_copy(policy, ret_view);
    else if (trigger->query != NULL)
        query_snapshot(trigger->query, ret_snapshot);
}

/* ---- what was answered ---- */

static void record(struct last_answer *last, const char *call, const struct answer *answer,
                   int64_t now_ms)
{
    answer_copy(&last->answer, answer);
    last->call = call;
    last->at_ms = now_ms;
}

/* Whether it is held is seen in metrics and in the log, as KEDA's conditions do not show it. */
static void set_held(struct trigger *trigger, const struct answer *answer)
{
    bool is_held = answer->kind == ANSWER_VALUE && answer->held;
    if (trigger->query == NULL || is_held == trigger->is_held)
        return;
    trigger->is_held = is_held;
    if (is_held)
        query_begin_held(trigger->query);
    else
        query_end_held(trigger->query, answer->kind == ANSWER_VALUE
                                           ? "measured again"
                                           : "the hold is over, KEDA gets errors");
}

void trigger_record_answer(struct trigger *trigger, const char *call, const struct answer *answer,
                           int64_t now_ms)
{
    set_held(trigger, answer);
    record(&trigger->last_answer, call, answer, now_ms);
    if (trigger->policy == NULL)
        return;
    _cleanup_(snapshot_done) struct snapshot ignored = {0};
    _cleanup_(trigger_policy_view_done) struct trigger_policy_view view = {0};
    trigger_observe(trigger, &ignored, &view);
    trigger_policy_count(trigger->policy, &view, answer->kind == ANSWER_VALUE && !answer->held);
}

void trigger_forget_values(struct trigger *trigger)
{
    if (trigger->peak != NULL)
        peak_value_done(trigger->peak);
    free(TAKE(trigger->peak));
    free(TAKE(trigger->of_peers));
    if (trigger->policy != NULL)
        trigger->policy->follower.stepped_ms = 0;
}

/* Of idle triggers, which are most of them where there are many, nothing is kept. */
static void remember(struct trigger *trigger, const struct answer *answer, int64_t now_ms)
{
    if (answer->kind != ANSWER_VALUE || (trigger->peak == NULL && !(answer->value > 0)))
        return;
    if (trigger->peak == NULL)
        trigger->peak = memory_new(sizeof(*trigger->peak));
    if (answer->held)
        peak_value_hold(trigger->peak, answer->failing_since_ms, now_ms);
    else
        peak_value_add(trigger->peak, answer->value, trigger->rules.hold_window_ms, now_ms);
}

void trigger_begin_round(struct trigger *trigger, const struct answer *answer, int64_t now_ms)
{
    remember(trigger, answer, now_ms);
    record(&trigger->round, "GetMetrics", answer, now_ms);
}

const struct answer *trigger_round(const struct trigger *trigger, int64_t now_ms)
{
    const struct last_answer *round = &trigger->round;
    bool is_on = round->call != NULL && now_ms - round->at_ms <= TRIGGER_ROUND_MS;
    return is_on ? &round->answer : NULL;
}

bool trigger_has_metric(const struct trigger *trigger, const char *metric_name)
{
    const char *name = metric_name;
    if (strcasecmp(name, trigger->metric_name) == 0)
        return true;
    if (*name != 's' && *name != 'S')
        return false;
    size_t digits = strspn(name + 1, "0123456789");
    return digits > 0 && name[1 + digits] == '-' &&
           strcasecmp(name + 2 + digits, trigger->metric_name) == 0;
}
