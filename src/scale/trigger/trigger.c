#include "scale/trigger/trigger.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

void trigger_parsed_done(struct trigger_parsed *parsed)
{
    for (int scope = 0; scope < OPTION_SCOPES; scope++)
        option_values_free(TAKE(parsed->values[scope]));
    free(TAKE(parsed->metric_name));
    free(TAKE(parsed->connection_name));
    free(TAKE(parsed->policy_plan));
    error_done(&parsed->mistakes);
}

const struct error *trigger_refusal(const struct trigger *trigger)
{
    if (error_is_set(&trigger->parsed.mistakes))
        return &trigger->parsed.mistakes;
    return error_is_set(&trigger->bound.refusal) ? &trigger->bound.refusal : NULL;
}

struct options trigger_parsed_options(const struct trigger_parsed *parsed)
{
    return (struct options){
        .connection = parsed->values[OPTION_CONNECTION]->data,
        .query = parsed->values[OPTION_QUERY]->data,
        .target = parsed->values[OPTION_TARGET]->data,
    };
}

bool trigger_is_inline(const struct trigger *trigger)
{
    return trigger->parsed.connection_name == NULL;
}

const char *trigger_scaler_name(const struct trigger *trigger)
{
    return trigger->parsed.scaler == NULL ? NULL : trigger->parsed.scaler->name;
}

void trigger_watch(struct trigger *trigger, struct watcher *watcher, bool is_stream)
{
    DL_APPEND2(trigger->watchers, watcher, prev_owned, next_owned);
    watcher->is_stream = is_stream;
    trigger->streams += is_stream;
    if (trigger->bound.query != NULL)
        watcher_start(watcher, trigger->bound.query, is_stream);
}

void trigger_unwatch(struct trigger *trigger, struct watcher *watcher)
{
    DL_DELETE2(trigger->watchers, watcher, prev_owned, next_owned);
    trigger->streams -= watcher->is_stream;
    watcher_stop(watcher);
}

void trigger_evaluate(const struct trigger *trigger, const struct reading *reading,
                      struct evaluation_result *ret_evaluated)
{
    struct options options = trigger_parsed_options(&trigger->parsed);
    struct error *error = &ret_evaluated->error;
    double *value = &ret_evaluated->evaluation.value;
    ret_evaluated->is_good =
        trigger->parsed.scaler->evaluate(&options, reading, &ret_evaluated->evaluation, error) &&
        (!isnan(*value) || error_unavailable(error, "the source's value is not a number"));
}

static void decide_by_reading(struct follower *follower, const struct recent_samples *recent)
{
    const struct trigger *trigger = follower->context;
    const struct trigger_policy_owner owner = {trigger->namespace, trigger->name};
    struct evaluation_result evaluated = {0};
    trigger_evaluate(trigger, &recent->samples[recent->count - 1].reading, &evaluated);
    trigger_policy_decide(trigger->policy, &owner, recent, &evaluated);
}

/* What trigger_observe() wants to know under the lock. */
struct wanted_copy {
    bool with_words;
    struct trigger_policy_copy *copy;
};

static void copy_policy(const struct follower *follower, void *copy)
{
    const struct trigger *trigger = follower->context;
    const struct wanted_copy *wanted = copy;
    trigger_policy_copy(trigger->policy, wanted->with_words, wanted->copy);
}

void trigger_follow(struct trigger *trigger)
{
    if (trigger->policy == NULL || trigger->bound.query == NULL)
        return;
    struct follower *follower = &trigger->policy->follower;
    follower->on_reading = decide_by_reading;
    follower->copy = copy_policy;
    follower->context = trigger;
    follower->wants = trigger->bound.use.wants;
    follower_start(trigger->bound.query, follower);
}

void trigger_unfollow(struct trigger *trigger)
{
    if (trigger->policy != NULL)
        follower_stop(&trigger->policy->follower);
}

void trigger_observe(const struct trigger *trigger, bool with_words, struct snapshot *ret_snapshot,
                     struct trigger_policy_copy *ret_copy)
{
    const struct trigger_policy *policy = trigger->policy;
    struct wanted_copy wanted = {with_words, ret_copy};
    if (policy != NULL && policy->follower.query != NULL)
        query_snapshot_with(policy->follower.query, &policy->follower, ret_snapshot, &wanted);
    else if (policy != NULL)
        trigger_policy_copy(policy, with_words, ret_copy);
    else if (trigger->bound.query != NULL)
        query_snapshot(trigger->bound.query, ret_snapshot);
}

bool trigger_has_metric(const struct trigger *trigger, const char *metric_name)
{
    const char *name = metric_name;
    if (strcasecmp(name, trigger->parsed.metric_name) == 0)
        return true;
    if (*name != 's' && *name != 'S')
        return false;
    size_t digits = strspn(name + 1, "0123456789");
    return digits > 0 && name[1 + digits] == '-' &&
           strcasecmp(name + 2 + digits, trigger->parsed.metric_name) == 0;
}
