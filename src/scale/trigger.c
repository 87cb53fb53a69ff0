#include "scale/trigger.h"

#include "base/memory.h"
#include "base/text.h"
#include "config/place.h"

#include <math.h>
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

/* An error says whose it is: the connection's name, or the scaler and the host where its text has no host. */
static void name_error(const struct trigger *trigger, struct error *error)
{
    if (trigger->connection_name != NULL) {
        error_prefix(error, "connection \"%.*s\"", (int)text_cut(trigger->connection_name, 64),
                     trigger->connection_name);
        return;
    }
    _cleanup_(memory_free) char *place = place_of(trigger->values[OPTION_CONNECTION]);
    if (place != NULL && strstr(error_text(error), place) == NULL)
        error_prefix(error, "%s at %s", trigger->scaler->name, place);
}

/* Its query went with its connection, since somebody began to wait for it. */
static void refuse_lost(const struct trigger *trigger, struct answer *answer)
{
    *answer = (struct answer){.kind = ANSWER_REFUSED};
    if (error_is_set(&trigger->mistakes))
        error_copy(&answer->error, &trigger->mistakes);
    else
        error_unavailable(&answer->error,
                          "the connection is another one now, and not measured yet");
}

/* ---- what is known, and what is answered ---- */

static void evaluate(const struct trigger *trigger, const struct reading *reading,
                     struct evaluated *ret_evaluated)
{
    struct options options = trigger_options(trigger);
    ret_evaluated->good = trigger->scaler->evaluate(&options, reading, &ret_evaluated->evaluation,
                                                    &ret_evaluated->error);
}

static void step(struct follower *follower, const struct window *window)
{
    const struct trigger *trigger = follower->context;
    const struct trigger_policy_owner owner = {trigger->namespace, trigger->name};
    struct evaluated evaluated = {0};
    evaluate(trigger, &window->samples[window->count - 1].reading, &evaluated);
    trigger_policy_step(trigger->policy, &owner, window, &evaluated);
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

/* Of one moment. */
static void observe(const struct trigger *trigger, struct snapshot *ret_snapshot,
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

/* What the HPA makes of it with AverageValue, before its own limits, steps and tolerance. At its maximum a policy publishes
 * more than it wants. */
static double replicas_of(const struct trigger *trigger, const struct trigger_policy_view *view,
                          const struct answer *answer)
{
    double replicas = ceil(answer->value / trigger->target);
    if (view == NULL || !trigger->policy->answered.is_on)
        return replicas;
    int64_t max = trigger->policy->answered.settings.max_replicas;
    if (!answer->held)
        return (double)view->answered.result.replicas;
    return max > 0 ? fmin(replicas, (double)max) : replicas;
}

/* `view`: NULL without a policy. */
static void decide(const struct trigger *trigger, const struct snapshot *snapshot,
                   const struct trigger_policy_view *view, const struct answer_call *call,
                   int64_t now_ms, struct answer *ret_answer)
{
    struct evaluated own = {0};
    if (view == NULL && snapshot->is_measured)
        evaluate(trigger, &snapshot->reading, &own);
    struct evaluated evaluated = view == NULL ? own : view->evaluated;
    evaluated.peak = trigger->peak;
    answer_decide(snapshot, &evaluated, &trigger->rules, call, now_ms, ret_answer);
    if (ret_answer->kind == ANSWER_VALUE)
        ret_answer->replicas = replicas_of(trigger, view, ret_answer);
    if (ret_answer->kind == ANSWER_REFUSED)
        name_error(trigger, &ret_answer->error);
    error_done(&own.error);
}

void trigger_answer(const struct trigger *trigger, const struct answer_call *call, int64_t now_ms,
                    struct answer *ret_answer)
{
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    _cleanup_(trigger_policy_view_done) struct trigger_policy_view view = {0};
    if (trigger->query == NULL && trigger->awaits_secret && !call->out_of_time) {
        *ret_answer = (struct answer){.kind = ANSWER_WAIT};
        return;
    }
    if (trigger->query == NULL) {
        refuse_lost(trigger, ret_answer);
        return;
    }
    observe(trigger, &snapshot, &view);
    decide(trigger, &snapshot, trigger->policy == NULL ? NULL : &view, call, now_ms, ret_answer);
}

/* Without a query nothing can be evaluated, but a limit may have refused it before. */
static bool is_beyond_limit(const struct last_answer *last)
{
    return last->call != NULL && last->answer.kind == ANSWER_REFUSED &&
           last->answer.error.code == ERROR_LIMIT;
}

static void refuse_with(struct answer *answer, const struct error *error)
{
    answer->kind = ANSWER_REFUSED;
    error_copy(&answer->error, error);
}

void trigger_state(const struct trigger *trigger, int64_t now_ms, struct trigger_state *ret_state)
{
    struct snapshot *snapshot = &ret_state->snapshot;
    struct answer *answer = &ret_state->answer;
    *ret_state = (struct trigger_state){.has_policy = trigger->policy != NULL};
    ret_state->policy.is_for_people = true;
    observe(trigger, snapshot, &ret_state->policy);
    answer->kind = ANSWER_WAIT;
    if (error_is_set(&trigger->mistakes))
        refuse_with(answer, &trigger->mistakes);
    else if (trigger->query != NULL)
        decide(trigger, snapshot, ret_state->has_policy ? &ret_state->policy : NULL,
               &(struct answer_call){.is_stream = true},
               snapshot->last_attempt == ATTEMPT_GOOD ? snapshot->sent_ms : now_ms, answer);
    else if (is_beyond_limit(&trigger->last_answer))
        refuse_with(answer, &trigger->last_answer.answer.error);
}

void trigger_state_done(struct trigger_state *state)
{
    snapshot_done(&state->snapshot);
    trigger_policy_view_done(&state->policy);
    answer_done(&state->answer);
}

void trigger_past_answer(const struct trigger *trigger, const struct snapshot *snapshot,
                         const struct peak_value *peak, int64_t at_ms, struct answer *ret_answer)
{
    struct evaluated evaluated = {.peak = peak};
    struct evaluation *evaluation = &evaluated.evaluation;
    if (snapshot->is_measured)
        evaluate(trigger, &snapshot->reading, &evaluated);
    if (evaluated.good && trigger->policy != NULL && trigger->policy->answered.is_on)
        evaluation->value = ceil(evaluation->value / trigger->policy->threshold);
    answer_decide(snapshot, &evaluated, &trigger->rules, &(struct answer_call){.is_stream = true},
                  at_ms, ret_answer);
    if (ret_answer->kind == ANSWER_VALUE)
        ret_answer->replicas = ceil(ret_answer->value / trigger->target);
    error_done(&evaluated.error);
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
    observe(trigger, &ignored, &view);
    trigger_policy_count(trigger->policy, &view, answer->kind == ANSWER_VALUE && !answer->held);
}

void trigger_forget_values(struct trigger *trigger)
{
    if (trigger->peak != NULL)
        peak_value_done(trigger->peak);
    free(TAKE(trigger->peak));
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

/* One whose stream is open is called for all the time. */
struct trigger_calls trigger_calls(const struct trigger *trigger)
{
    return (struct trigger_calls){trigger->first_call_ms,
                                  trigger->pins > 0 ? INT64_MAX / 2 : trigger->last_call_ms};
}

void trigger_calls_join(struct trigger_calls *all, const struct trigger_calls *one)
{
    if (one->first_ms > all->first_ms)
        all->first_ms = one->first_ms;
    if (one->last_ms > all->last_ms)
        all->last_ms = one->last_ms;
}

bool trigger_calls_are_superseded(const struct trigger_calls *one, const struct trigger_calls *all)
{
    /* In one poll KEDA calls for each trigger of an object, one after the other. */
    enum { POLL_MS = 10000 };
    return all->first_ms >= one->last_ms && all->last_ms > one->last_ms + POLL_MS;
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
