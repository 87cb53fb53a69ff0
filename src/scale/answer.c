#include "scale/answer.h"

#include <math.h>

static void refuse(struct answer *answer, const struct error *error)
{
    answer->kind = ANSWER_REFUSED;
    error_copy(&answer->error, error);
}

/* KEDA misreads NaN and Inf (int64(v * 1000) in older versions), and takes what is below 0 as 0. */
static void give(struct answer *answer, const struct judgement *judgement, bool held)
{
    if (!isfinite(judgement->value)) {
        answer->kind = ANSWER_REFUSED;
        error_unavailable(&answer->error, "the source's value is %f", judgement->value);
        return;
    }
    answer->kind = ANSWER_VALUE;
    answer->value = judgement->value > 0 ? judgement->value : 0;
    answer->active = judgement->active;
    answer->held = held;
}

static void refuse_failing(struct answer *answer, const struct error *error, int64_t failing_ms)
{
    refuse(answer, error);
    if (failing_ms >= 1000)
        error_set(&answer->error, error->code, "%s (failing for %lld s)", error_text(error),
                  (long long)(failing_ms / 1000));
}

static void decide_after_failure(const struct snapshot *snapshot, const struct judged *judged,
                                 const struct answer_rules *rules, int64_t now_ms,
                                 struct answer *answer)
{
    bool active = snapshot->measured && judged->good && judged->judgement.active;
    int64_t failing_ms = now_ms - snapshot->failing_since_ms;
    if (active && failing_ms <= rules->hold_ms)
        give(answer, &judged->judgement, true);
    else
        refuse_failing(answer, &snapshot->error, failing_ms);
}

static void decide_out_of_time(const struct snapshot *snapshot, const struct judged *judged,
                               const struct answer_rules *rules, int64_t now_ms,
                               struct answer *answer)
{
    bool active = snapshot->measured && judged->good && judged->judgement.active;
    int64_t overdue_since_ms = snapshot->reading_at_ms + rules->interval_ms;
    if (active && now_ms - overdue_since_ms <= rules->hold_ms)
        give(answer, &judged->judgement, true);
    else {
        answer->kind = ANSWER_REFUSED;
        if (snapshot->measured)
            error_unavailable(&answer->error,
                              "the last measurement is %lld s old, and no other came",
                              (long long)((now_ms - snapshot->reading_at_ms) / 1000));
        else
            error_unavailable(&answer->error, "there is no measurement yet");
    }
}

void answer_decide(const struct snapshot *snapshot, const struct judged *judged,
                   const struct answer_rules *rules, int64_t now_ms, bool out_of_time,
                   struct answer *ret_answer)
{
    *ret_answer = (struct answer){.kind = ANSWER_WAIT};
    bool fresh = snapshot->last_attempt == ATTEMPT_GOOD &&
                 now_ms - snapshot->reading_at_ms <= rules->interval_ms;
    if (snapshot->last_attempt == ATTEMPT_FAILED)
        decide_after_failure(snapshot, judged, rules, now_ms, ret_answer);
    else if (fresh && judged->good)
        give(ret_answer, &judged->judgement, false);
    else if (fresh)
        refuse(ret_answer, &judged->error);
    else if (out_of_time)
        decide_out_of_time(snapshot, judged, rules, now_ms, ret_answer);
    ret_answer->age_ms = now_ms - snapshot->reading_at_ms;
    ret_answer->began_at_us = snapshot->began_at_us;
}

void answer_done(struct answer *answer)
{
    error_done(&answer->error);
}
