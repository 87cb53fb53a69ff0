#include "scale/trigger.h"

#include "base/memory.h"
#include "base/text.h"
#include "config/place.h"

#include <math.h>
#include <string.h>
#include <utlist.h>

void trigger_pin(struct trigger *trigger)
{
    trigger->pins++;
}

void trigger_unpin(struct trigger *trigger)
{
    trigger->pins--;
}

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

static bool apply_policy(const struct trigger *trigger, int64_t now_ms, struct evaluated *evaluated)
{
    struct window window;
    query_window(trigger->query, &window);
    const struct trigger_policy_owner owner = {trigger->namespace, trigger->name};
    return trigger_policy_evaluate(trigger->policy, &owner, &window, now_ms, &evaluated->evaluation,
                                   &evaluated->error);
}

/* What a policy would have answered follows from all that came before it: of the past the threshold says how many
 * replicas there were work for. */
static void apply_threshold(const struct trigger *trigger, struct evaluated *evaluated)
{
    struct evaluation *evaluation = &evaluated->evaluation;
    if (trigger->policy->answered.is_on)
        evaluation->value = ceil(evaluation->value / trigger->policy->threshold);
}

static void decide(const struct trigger *trigger, const struct snapshot *snapshot, bool is_past,
                   const struct answer_call *call, int64_t now_ms, struct answer *ret_answer)
{
    struct evaluated evaluated = {.peak = trigger->peak};
    if (snapshot->is_measured) {
        struct options options = trigger_options(trigger);
        evaluated.good = trigger->scaler->evaluate(&options, &snapshot->reading,
                                                   &evaluated.evaluation, &evaluated.error);
    }
    if (evaluated.good && trigger->policy != NULL && is_past)
        apply_threshold(trigger, &evaluated);
    else if (evaluated.good && trigger->policy != NULL)
        evaluated.good = apply_policy(trigger, now_ms, &evaluated);
    answer_decide(snapshot, &evaluated, &trigger->rules, call, now_ms, ret_answer);
    error_done(&evaluated.error);
}

void trigger_decide(const struct trigger *trigger, const struct snapshot *snapshot,
                    const struct answer_call *call, int64_t now_ms, struct answer *ret_answer)
{
    decide(trigger, snapshot, true, call, now_ms, ret_answer);
}

void trigger_answer(const struct trigger *trigger, const struct answer_call *call, int64_t now_ms,
                    struct answer *ret_answer)
{
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    if (trigger->query == NULL && trigger->awaits_secret && !call->out_of_time) {
        *ret_answer = (struct answer){.kind = ANSWER_WAIT};
        return;
    }
    if (trigger->query == NULL) {
        refuse_lost(trigger, ret_answer);
        return;
    }
    query_snapshot(trigger->query, &snapshot);
    decide(trigger, &snapshot, false, call, now_ms, ret_answer);
    if (ret_answer->kind == ANSWER_REFUSED)
        name_error(trigger, &ret_answer->error);
}

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
    if (trigger->policy != NULL)
        trigger_policy_count(trigger->policy, answer->kind == ANSWER_VALUE && !answer->held);
}

/* Of idle triggers, which are most of them where there are many, nothing is kept. */
static void remember(struct trigger *trigger, const struct answer *answer, int64_t now_ms)
{
    if (answer->kind != ANSWER_VALUE || (trigger->peak == NULL && !(answer->value > 0)))
        return;
    if (trigger->peak == NULL)
        trigger->peak = memory_new(sizeof(*trigger->peak));
    if (answer->held)
        peak_value_fail(trigger->peak, answer->failing_since_ms);
    else
        peak_value_add(trigger->peak, answer->value, now_ms);
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
    return all->first_ms > one->last_ms && all->last_ms > one->last_ms + POLL_MS;
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
