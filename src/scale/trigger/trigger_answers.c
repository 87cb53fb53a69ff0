#include "scale/trigger/trigger_answers.h"

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
static void set_hold_state(struct trigger *trigger, enum trigger_hold state, const char *why)
{
    enum trigger_hold former = trigger->answers.hold_state;
    if (trigger->bound.query == NULL || former == state)
        return;
    query_count_held(trigger->bound.query, (state == TRIGGER_HOLD_ON) - (former == TRIGGER_HOLD_ON),
                     (state == TRIGGER_HOLD_OVER) - (former == TRIGGER_HOLD_OVER), why);
    trigger->answers.hold_state = state;
}

void trigger_answers_leave_query(struct trigger *trigger, const char *why)
{
    set_hold_state(trigger, TRIGGER_HOLD_NONE, why);
}

void trigger_answers_resume_hold(struct trigger *trigger, enum trigger_hold former)
{
    set_hold_state(trigger, former, former == TRIGGER_HOLD_ON ? no_reading : hold_is_over);
}

void trigger_answers_record(struct trigger *trigger, const char *call, const struct answer *answer,
                            int64_t now_ms)
{
    struct hold *hold = &trigger->answers.hold;
    bool is_value = answer->kind == ANSWER_VALUE;
    bool was_held = trigger->answers.hold_state != TRIGGER_HOLD_NONE;
    if (was_held && answer->hold_is_over)
        set_hold_state(trigger, TRIGGER_HOLD_OVER, hold_is_over);
    else if (is_value && answer->held)
        set_hold_state(trigger, TRIGGER_HOLD_ON, no_reading);
    else /* also one that is refused: what was measured cannot be evaluated */
        set_hold_state(trigger, TRIGGER_HOLD_NONE, "measured again");
    if (is_value && !answer->held)
        hold_measured(hold, answer->value, answer->active, now_ms - answer->age_ms, now_ms);
    else
        hold_failed(hold, now_ms);
    record(&trigger->answers.last, call, answer, now_ms);
}

void trigger_answers_refuse(struct trigger *trigger, const char *call, const struct error *error,
                            int64_t now_ms)
{
    const struct answer refused = {.kind = ANSWER_REFUSED, .error = *error};
    record(&trigger->answers.last, call, &refused, now_ms);
}

void trigger_answers_begin_round(struct trigger *trigger, const struct answer *answer,
                                 int64_t now_ms)
{
    if (answer->kind == ANSWER_VALUE && !answer->held)
        hold_add(&trigger->answers.hold, answer->value, trigger->parsed.rules.hold_window_ms,
                 now_ms);
    record(&trigger->answers.round, "GetMetrics", answer, now_ms);
}

const struct answer *trigger_answers_round(const struct trigger *trigger, int64_t now_ms)
{
    const struct trigger_last_answer *round = &trigger->answers.round;
    bool is_on = round->call != NULL && now_ms - round->at_ms <= TRIGGER_ROUND_MS;
    return is_on ? &round->answer : NULL;
}

void trigger_answers_forget(struct trigger *trigger)
{
    struct trigger_answers *answers = &trigger->answers;
    hold_done(&answers->hold);
    answer_done(&answers->round.answer);
    answers->round = (struct trigger_last_answer){0};
}

void trigger_answers_done(struct trigger *trigger)
{
    trigger_answers_forget(trigger);
    answer_done(&trigger->answers.last.answer);
}
