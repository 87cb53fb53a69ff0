#include "scale/trigger/trigger_answers.h"

#include "base/memory.h"

#include <stdlib.h>

static void record(struct trigger_last_answer *last, const char *call, const struct answer *answer,
                   int64_t now_ms)
{
    answer_copy(&last->answer, answer);
    last->call = call;
    last->at_ms = now_ms;
}

static const char hold_is_over[] = "the hold is over, KEDA gets errors";
static const char no_reading[] = "no measurement arrived in time";

/* Whether it is held is seen in metrics and in the log, as KEDA's conditions do not show it. `why`
 * it is not, or is though nothing has failed. */
static void set_hold(struct trigger *trigger, enum trigger_hold hold, const char *why)
{
    enum trigger_hold former = trigger->answers.hold;
    if (trigger->bound.query == NULL || former == hold)
        return;
    query_count_held(trigger->bound.query, (hold == TRIGGER_HOLD_ON) - (former == TRIGGER_HOLD_ON),
                     (hold == TRIGGER_HOLD_OVER) - (former == TRIGGER_HOLD_OVER), why);
    trigger->answers.hold = hold;
}

void trigger_answers_leave_query(struct trigger *trigger, const char *why)
{
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    set_hold(trigger, TRIGGER_HOLD_NONE, why);
    query_snapshot(trigger->bound.query, &snapshot);
    if (snapshot.known.is_measured)
        free(TAKE(trigger->answers.of_peers));
}

void trigger_answers_resume_hold(struct trigger *trigger, enum trigger_hold former)
{
    set_hold(trigger, former, former == TRIGGER_HOLD_ON ? no_reading : hold_is_over);
}

void trigger_answers_record(struct trigger *trigger, const char *call, const struct answer *answer,
                            int64_t now_ms)
{
    bool is_value = answer->kind == ANSWER_VALUE;
    bool was_held = trigger->answers.hold != TRIGGER_HOLD_NONE;
    if (was_held && answer->hold_is_over)
        set_hold(trigger, TRIGGER_HOLD_OVER, hold_is_over);
    else if (is_value && answer->held)
        set_hold(trigger, TRIGGER_HOLD_ON, no_reading);
    else /* also one that is refused: what was measured cannot be evaluated */
        set_hold(trigger, TRIGGER_HOLD_NONE, "measured again");
    trigger->answers.outage_since_ms = answer->outage_since_ms;
    if (is_value && !answer->held)
        free(TAKE(trigger->answers.of_peers));
    record(&trigger->answers.last, call, answer, now_ms);
}

void trigger_answers_refuse(struct trigger *trigger, const char *call, const struct error *error,
                            int64_t now_ms)
{
    const struct answer refused = {.kind = ANSWER_REFUSED, .error = *error};
    record(&trigger->answers.last, call, &refused, now_ms);
}

/* Of idle triggers, which are most of them where there are many, nothing is kept. */
static void remember(struct trigger *trigger, const struct answer *answer, int64_t now_ms)
{
    struct trigger_answers *answers = &trigger->answers;
    if (answer->kind != ANSWER_VALUE || (answers->peak == NULL && !(answer->value > 0)))
        return;
    if (answers->peak == NULL)
        answers->peak = memory_new(sizeof(*answers->peak));
    if (answer->held)
        peak_value_hold(answers->peak, answer->held_since_ms, now_ms);
    else
        peak_value_add(answers->peak, answer->value, trigger->parsed.rules.hold_window_ms, now_ms);
}

void trigger_answers_begin_round(struct trigger *trigger, const struct answer *answer,
                                 int64_t now_ms)
{
    remember(trigger, answer, now_ms);
    record(&trigger->answers.round, "GetMetrics", answer, now_ms);
}

const struct answer *trigger_answers_round(const struct trigger *trigger, int64_t now_ms)
{
    const struct trigger_last_answer *round = &trigger->answers.round;
    bool is_on = round->call != NULL && now_ms - round->at_ms <= TRIGGER_ROUND_MS;
    return is_on ? &round->answer : NULL;
}

void trigger_answers_adopt(struct trigger *trigger, struct peer_value *of_peers, uint64_t revision,
                           int64_t now_ms)
{
    struct trigger_answers *answers = &trigger->answers;
    answers->peers_revision = revision;
    if (of_peers == NULL)
        return;
    if (answers->of_peers != NULL)
        peer_value_merge(of_peers, answers->of_peers); /* another peer's, which came first */
    free(answers->of_peers);
    answers->of_peers = of_peers;
    if (answers->peak == NULL)
        answers->peak = memory_new(sizeof(*answers->peak));
    peak_value_add_earlier(answers->peak, of_peers->earlier, of_peers->earlier_count, now_ms);
}

void trigger_answers_forget(struct trigger *trigger)
{
    struct trigger_answers *answers = &trigger->answers;
    if (answers->peak != NULL)
        peak_value_done(answers->peak);
    free(TAKE(answers->peak));
    free(TAKE(answers->of_peers));
    answer_done(&answers->round.answer);
    answers->round = (struct trigger_last_answer){0};
}

void trigger_answers_done(struct trigger *trigger)
{
    trigger_answers_forget(trigger);
    answer_done(&trigger->answers.last.answer);
}
