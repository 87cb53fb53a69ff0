#include "scale/trigger/trigger_report.h"

#include "scale/trigger/trigger_decide.h"
#include "scale/trigger/trigger_objects.h"

#include <math.h>

/* ---- to people ---- */

/* Of a trigger without a query. */
static void show_refusal(const struct trigger *trigger, struct answer *answer)
{
    const struct error *refusal = trigger_refusal(trigger);
    *answer = (struct answer){.kind = refusal == NULL ? ANSWER_WAIT : ANSWER_REFUSED};
    if (refusal != NULL)
        error_copy(&answer->error, refusal);
}

static const struct error *error_of(const struct trigger_report *report)
{
    if (report->state == ANSWER_STATE_REFUSED)
        return &report->answer.error;
    return report->snapshot.known.last_attempt == ATTEMPT_FAILED ? &report->snapshot.known.error
                                                                 : NULL;
}

static void add_for_people(const struct trigger *trigger, struct trigger_report *report)
{
    const struct policy_result *result = &report->policy.result;
    report->is_superseded = trigger_objects_superseded(trigger, report->at_ms);
    report->error = error_of(report);
    report->has_decision = report->state == ANSWER_STATE_ANSWERED && report->policy.has_decided;
    report->bound_by = result->term;
    if (trigger->bound.query == NULL)
        return;
    query_get_state(trigger->bound.query, &report->source);
    if (report->snapshot.known.is_measured)
        report->rates = query_rates(trigger->bound.query);
}

/* To people a reading is as good as when it was sent. */
void trigger_report(const struct trigger *trigger, int64_t now_ms,
                    struct trigger_report *ret_report)
{
    static const struct answer_call for_people = {.is_stream = true, .takes_any_age = true};
    struct trigger_report *report = ret_report;
    *report = (struct trigger_report){
        .at_ms = now_ms, .has_policy = trigger->policy != NULL, .rates = {NAN, NAN}};
    trigger_observe(trigger, true, &report->snapshot, &report->policy);
    if (trigger->bound.query == NULL)
        show_refusal(trigger, &report->answer);
    else
        trigger_decide_by(trigger, &report->snapshot, &report->policy, &for_people, now_ms,
                          &report->answer);
    report->state = answer_state(&report->answer);
    add_for_people(trigger, report);
}

void trigger_report_done(struct trigger_report *report)
{
    snapshot_done(&report->snapshot);
    trigger_policy_copy_done(&report->policy);
    answer_done(&report->answer);
}

/* ---- in numbers and words ---- */

static double seconds_since(int64_t now_ms, int64_t then_ms)
{
    return (double)(now_ms - then_ms) / 1000;
}

static void add_reading(const struct trigger_report *report, struct trigger_figures *figures)
{
    const struct reading *reading = &report->snapshot.known.reading;
    figures->reading = *reading;
    figures->age_seconds = seconds_since(report->at_ms, report->snapshot.known.sent_ms);
    figures->rates_are_bounds = isnan(reading->arrival_rate) && isnan(reading->consumption_rate);
    figures->arrivals = figures->rates_are_bounds ? report->rates.arrivals : reading->arrival_rate;
    figures->consumption =
        figures->rates_are_bounds ? report->rates.consumption : reading->consumption_rate;
}

void trigger_figures(const struct trigger *trigger, const struct trigger_report *report,
                     struct trigger_figures *ret_figures)
{
    struct trigger_figures *figures = ret_figures;
    const struct trigger_last_answer *last = &trigger->answers.last;
    bool has_value = report->answer.kind == ANSWER_VALUE;
    bool had_value = last->call != NULL && last->answer.kind == ANSWER_VALUE;
    *figures = (struct trigger_figures){
        .at_ms = report->at_ms,
        .reading = READING_UNKNOWN,
        .age_seconds = NAN,
        .arrivals = NAN,
        .consumption = NAN,
        .value = has_value ? report->answer.value : NAN,
        .active = has_value ? (double)report->answer.active : NAN,
        .replicas = has_value ? report->answer.replicas : NAN,
        .target = trigger->parsed.target,
        .last.value = had_value ? last->answer.value : NAN,
        .last.active = had_value ? (double)last->answer.active : NAN,
        .last.age_seconds =
            had_value ? seconds_since(report->at_ms, last->at_ms - last->answer.age_ms) : NAN,
        .state = answer_state_name(report->state),
        .bound_by = report->has_decision ? policy_term_text(report->bound_by) : NULL,
    };
    if (report->snapshot.known.is_measured)
        add_reading(report, figures);
}
