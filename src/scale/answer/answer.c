#include "scale/answer/answer.h"

#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/param.h>

/* What a decision is made from. */
struct decision {
    const struct answer_facts *facts;
    const struct answer_call *call;
    int64_t now_ms;
    struct answer *answer;
};

/* KEDA misreads NaN and what is too large, and takes what is below 0 as 0. */
static void give_reading(const struct decision *decision)
{
    struct answer *answer = decision->answer;
    const struct evaluation *evaluation = &decision->facts->evaluated->evaluation;
    if (!decision->facts->evaluated->is_good) {
        answer->kind = ANSWER_REFUSED;
        error_copy(&answer->error, &decision->facts->evaluated->error);
        return;
    }
    if (!isfinite(evaluation->value) || evaluation->value > SCALER_MAX_VALUE) {
        answer->kind = ANSWER_REFUSED;
        error_unavailable(&answer->error, "the source's value is %g: KEDA counts to %g",
                          evaluation->value, SCALER_MAX_VALUE);
        return;
    }
    answer->kind = ANSWER_VALUE;
    answer->value = evaluation->value > 0 ? evaluation->value : 0;
    answer->active = evaluation->active;
}

/*
 * Where the last answer was active, it is given again while measuring fails, for a while. The HPA
 * scales down to a value that is repeated, so it is the largest of those that it still counts. It
 * is never more than what the HPA's replicas are for, where they were read since. In order, a hold
 * is made by:
 *
 *     hold.c                           what was answered, and since when measuring fails
 *     here                             whether it is held, or the hold is over, and the value
 *     trigger/trigger_decide.c         makes `replicas_value` of the HPA's replicas, the limit
 *     trigger/trigger_answers.c        notes each answer; that a hold is on or over, for metrics
 *                                      and the log
 *     table/triggers_kubernetes.c      has the HPA's replicas read then, for the next decision
 */
static bool give_held(const struct decision *decision)
{
    const struct answer_facts *facts = decision->facts;
    const struct hold *hold = facts->hold;
    int64_t hold_ms = facts->rules->hold_ms;
    struct answer *answer = decision->answer;
    if (!hold->is_active || hold_ms == 0) /* what begins now is as old as a hold of 0 */
        return false;
    answer->held_since_ms = hold_since_ms(hold, decision->now_ms);
    answer->hold_is_over = decision->now_ms - answer->held_since_ms > hold_ms;
    if (answer->hold_is_over)
        return false;
    answer->kind = ANSWER_VALUE;
    answer->active = answer->held = true;
    answer->value = hold_value(hold);
    if (hold->failing_since_ms > 0 && facts->replicas_at_ms >= hold->failing_since_ms)
        answer->value = fmin(answer->value, facts->replicas_value);
    answer->age_ms = decision->now_ms - hold->measured_ms;
    return true;
}

/* KEDA's events keep the text of the first failure for hours: so neither has a duration in it. */
static void explain_zero(const struct snapshot *snapshot, struct error *error)
{
    char since[32];
    clock_time_of_day(snapshot->zero_since_ms, since, sizeof(since));
    error_unavailable(error,
                      "the source reports 0 since %s, which is not confirmed yet: after a restart "
                      "or an election it may be false",
                      since);
}

static void decide_after_failure(const struct decision *decision)
{
    const struct answer_facts *facts = decision->facts;
    struct error *error = &decision->answer->error;
    int64_t since_ms = facts->hold->failing_since_ms;
    if (give_held(decision))
        return;
    decision->answer->kind = ANSWER_REFUSED;
    if (facts->snapshot->zero_since_ms > 0) {
        explain_zero(facts->snapshot, error);
        return;
    }
    char since[32];
    clock_time_of_day(since_ms > 0 ? since_ms : decision->now_ms, since, sizeof(since));
    error_set(error, facts->snapshot->known.error.code, "%s (failing since %s)",
              error_text(&facts->snapshot->known.error), since);
}

static void decide_unanswered(const struct decision *decision)
{
    const struct snapshot *snapshot = decision->facts->snapshot;
    struct error *error = &decision->answer->error;
    decision->answer->is_unanswered = true;
    if (give_held(decision))
        return;
    decision->answer->kind = ANSWER_REFUSED;
    char since[32];
    if (snapshot->stuck_for_ms > 0) {
        clock_time_of_day(decision->now_ms - snapshot->stuck_for_ms, since, sizeof(since));
        error_unavailable(error, "the source has not answered anything since %s", since);
    } else if (snapshot->zero_since_ms > 0) {
        explain_zero(snapshot, error);
    } else if (snapshot->known.is_measured) {
        clock_time_of_day(snapshot->known.sent_ms, since, sizeof(since));
        error_unavailable(error, "the last reading is of %s, and no newer one arrived in time",
                          since);
    } else
        error_unavailable(error, "no measurement yet");
}

/* A call is answered from a measurement that was sent so long before it arrived, or later. */
static int64_t freshness_ms(const struct answer_rules *rules, const struct snapshot *snapshot)
{
    /* No call waits so long: it is measured at its interval, and the last reading answers. */
    if (snapshot->known.duration_ms >= ANSWER_PATIENCE_MS)
        return rules->interval_ms + 2 * snapshot->known.duration_ms;
    return rules->interval_is_set ? rules->interval_ms
                                  : snapshot_fresh_ms(&snapshot->known, rules->interval_ms);
}

/* Whether the reading is as good as a call may expect, or a stream. */
static bool is_fresh(const struct decision *decision)
{
    const struct snapshot *snapshot = decision->facts->snapshot;
    if (decision->call->takes_any_age)
        return true;
    if (decision->call->is_stream) {
        int64_t max_age_ms =
            MAX(decision->facts->rules->interval_ms, snapshot->effective_interval_ms);
        /* When a reading comes it is as old as its measurement took. That may be longer than the
         * interval, and a stream would find none of them fresh. */
        max_age_ms += MAX(snapshot->known.duration_ms, 0);
        max_age_ms = MAX(max_age_ms, freshness_ms(decision->facts->rules, snapshot));
        return decision->now_ms - snapshot->known.sent_ms <= max_age_ms;
    }
    return snapshot->known.sent_ms >= decision->answer->needed_from_ms &&
           !snapshot->known.is_outdated;
}

static void decide_after_success(const struct decision *decision)
{
    const struct snapshot *snapshot = decision->facts->snapshot;
    const struct answer_call *call = decision->call;
    if (snapshot->known.is_measured && is_fresh(decision)) {
        give_reading(decision);
        return;
    }
    if (call->is_stream)
        return;
    /* A source that cannot keep up answers all its triggers late, and evenly; but what a
     * notification outdated may be a false zero, however young it is. */
    bool is_usable = snapshot->known.is_measured && !snapshot->known.is_outdated &&
                     decision->facts->evaluated->is_good &&
                     decision->now_ms - snapshot->known.sent_ms <= snapshot->effective_interval_ms;
    bool was_patient = decision->now_ms - call->arrived_ms >= ANSWER_PATIENCE_MS;
    if (is_usable && (was_patient || call->out_of_time))
        give_reading(decision);
    else if (call->out_of_time || (!is_usable && snapshot->stuck_for_ms > 0))
        decide_unanswered(decision);
}

void answer_decide(const struct answer_facts *facts, const struct answer_call *call, int64_t now_ms,
                   struct answer *ret_answer)
{
    const struct decision decision = {facts, call, now_ms, ret_answer};
    const struct snapshot *snapshot = facts->snapshot;
    *ret_answer = (struct answer){
        .kind = ANSWER_WAIT,
        .needed_from_ms = call->arrived_ms - freshness_ms(facts->rules, snapshot),
    };
    bool repeats_failure =
        call->is_stream || call->out_of_time || snapshot->is_retried ||
        snapshot->known.failed_at_ms >= call->arrived_ms - ANSWER_REPEAT_FAILURE_MS;
    if (snapshot->known.last_attempt != ATTEMPT_FAILED)
        decide_after_success(&decision);
    else if (repeats_failure || snapshot->stuck_for_ms > 0)
        decide_after_failure(&decision);
    else
        ret_answer->needed_from_ms = call->arrived_ms - ANSWER_REPEAT_FAILURE_MS;
    if (snapshot->known.is_measured && !ret_answer->held)
        ret_answer->age_ms = now_ms - snapshot->known.sent_ms;
    ret_answer->began_at_us = snapshot->known.began_at_us;
}

int64_t answer_milli(double value)
{
    if (!isfinite(value) || value <= 0)
        return 0;
    if (value > SCALER_MAX_VALUE) /* which is below INT64_MAX / 1000 */
        return INT64_MAX;
    if (value == (double)(int64_t)value)
        return (int64_t)value * 1000;
    /* Through text, as KEDA does it: a product rounds 0.0005 another way. */
    char text[64];
    snprintf(text, sizeof(text), "%.3f", value);
    return llround(strtod(text, NULL) * 1000);
}

double answer_replicas(double value, double target)
{
    return ceil((double)answer_milli(value) / (double)answer_milli(target));
}

enum answer_state answer_state(const struct answer *answer)
{
    if (answer->kind == ANSWER_VALUE)
        return answer->held ? ANSWER_STATE_HELD : ANSWER_STATE_ANSWERED;
    return answer->kind == ANSWER_REFUSED ? ANSWER_STATE_REFUSED : ANSWER_STATE_WAITING;
}

const char *answer_state_name(enum answer_state state)
{
    static const char *const names[] = {
        [ANSWER_STATE_WAITING] = "waiting",
        [ANSWER_STATE_ANSWERED] = "answered",
        [ANSWER_STATE_HELD] = "held",
        [ANSWER_STATE_REFUSED] = "refused",
    };
    return names[state];
}

void answer_copy(struct answer *to, const struct answer *from)
{
    struct error error = to->error;
    *to = *from;
    to->error = error;
    error_copy(&to->error, &from->error);
}

void answer_done(struct answer *answer)
{
    error_done(&answer->error);
}
