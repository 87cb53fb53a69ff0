#include "scale/trigger.h"

#include "base/memory.h"

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

void trigger_answer(const struct trigger *trigger, const struct answer_call *call, int64_t now_ms,
                    struct answer *ret_answer)
{
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    struct evaluated evaluated = {0};
    if (trigger->query == NULL) {
        refuse_lost(trigger, ret_answer);
        return;
    }
    query_snapshot(trigger->query, &snapshot);
    if (snapshot.is_measured) {
        struct options options = trigger_options(trigger);
        evaluated.good = trigger->scaler->evaluate(&options, &snapshot.reading,
                                                   &evaluated.evaluation, &evaluated.error);
    }
    answer_decide(&snapshot, &evaluated, &trigger->rules, call, now_ms, ret_answer);
    error_done(&evaluated.error);
}

static void record(struct last_answer *last, const char *call, const struct answer *answer,
                   int64_t now_ms)
{
    answer_copy(&last->answer, answer);
    last->call = call;
    last->at_ms = now_ms;
}

void trigger_record_answer(struct trigger *trigger, const char *call, const struct answer *answer,
                           int64_t now_ms)
{
    record(&trigger->last_answer, call, answer, now_ms);
}

void trigger_begin_round(struct trigger *trigger, const struct answer *answer, int64_t now_ms)
{
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
