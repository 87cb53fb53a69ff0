#include "scale/trigger/trigger_report.h"

#include "base/memory.h"
#include "base/text.h"
#include "config/source_address.h"
#include "scale/policy/policy_words.h"
#include "scale/trigger/trigger_objects.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---- what to answer ---- */

/* An error says whose it is: the connection's name, or the scaler and the host where its text has
 * no host. */
static void name_error(const struct trigger *trigger, struct error *error)
{
    if (trigger->parsed.connection_name != NULL) {
        error_prefix(error, "connection \"%.*s\"",
                     (int)text_cut(trigger->parsed.connection_name, 64),
                     trigger->parsed.connection_name);
        return;
    }
    _cleanup_(memory_free) char *address =
        source_address(trigger->parsed.values[OPTION_CONNECTION]);
    if (address != NULL && strstr(error_text(error), address) == NULL)
        error_prefix(error, "%s at %s", trigger->parsed.scaler->name, address);
}

/* What the HPA makes of it with AverageValue, before its own limits, steps and tolerance. At its
 * maximum a policy publishes more than it wants (`of_policy`; NAN: none is on). */
static double replicas_of(const struct trigger *trigger, const struct answer *answer,
                          double of_policy)
{
    double replicas = answer_replicas(answer->value, trigger->parsed.target);
    if (isnan(of_policy) || trigger->policy == NULL)
        return replicas;
    int64_t max = trigger->policy->effective.settings.max_replicas;
    if (!answer->held)
        return of_policy;
    return max > 0 ? fmin(replicas, (double)max) : replicas;
}

/* What the answer follows from at that time, now or in the past, besides the report's snapshot and
 * what is kept of the trigger. */
struct report_inputs {
    const struct evaluation_result *evaluated;
    const struct peak_value *peak;
    double policy_replicas; /* NAN: no policy decided */
};

static struct answer_facts facts_of(const struct trigger *trigger,
                                    const struct report_inputs *inputs,
                                    const struct trigger_report *report)
{
    const struct hpa_facts *hpa = &trigger->kubernetes.hpa;
    bool has_replicas = hpa->replicas >= 0 && hpa->replicas_ms <= report->at_ms;
    return (struct answer_facts){
        .snapshot = &report->snapshot,
        .evaluated = inputs->evaluated,
        .rules = &trigger->parsed.rules,
        .peak = inputs->peak,
        .of_peers = trigger->answers.of_peers,
        .replicas_value =
            has_replicas ? fmax(1, (double)hpa->replicas) * trigger->parsed.target : 0,
        .replicas_ms = has_replicas ? hpa->replicas_ms : 0,
    };
}

static void decide(const struct trigger *trigger, const struct report_inputs *inputs,
                   const struct answer_call *call, int64_t decided_ms,
                   struct trigger_report *report)
{
    const struct answer_facts facts = facts_of(trigger, inputs, report);
    struct answer *answer = &report->answer;
    answer_decide(&facts, call, decided_ms, answer);
    if (answer->kind == ANSWER_VALUE)
        answer->replicas = replicas_of(trigger, answer, inputs->policy_replicas);
}

/* It has a query. */
static void decide_now(const struct trigger *trigger, const struct answer_call *call,
                       int64_t decided_ms, struct trigger_report *report)
{
    const struct snapshot *snapshot = &report->snapshot;
    bool is_on = trigger->policy != NULL && trigger->policy->effective.is_on;
    struct evaluation_result own = {0};
    if (!report->has_policy && snapshot->is_measured)
        trigger_evaluate(trigger, &snapshot->reading, &own);
    const struct report_inputs inputs = {
        .evaluated = report->has_policy ? &report->policy.evaluated : &own,
        .peak = trigger->answers.peak,
        .policy_replicas = is_on ? (double)report->policy.effective.result.replicas : (double)NAN,
    };
    decide(trigger, &inputs, call, decided_ms, report);
    if (report->answer.kind == ANSWER_REFUSED)
        name_error(trigger, &report->answer.error);
    error_done(&own.error);
}

/* `extras` of the policy's copy: enum trigger_copy_extras. */
static void begin_report(const struct trigger *trigger, unsigned extras, int64_t now_ms,
                         struct trigger_report *report)
{
    report->at_ms = now_ms;
    report->has_policy = trigger->policy != NULL;
    report->throughput = (struct history_throughput){NAN, NAN, NAN};
    trigger_observe(trigger, extras, &report->snapshot, &report->policy);
}

/* ---- to a call ---- */

static void refuse_without_query(const struct trigger *trigger, const struct answer_call *call,
                                 struct answer *answer)
{
    *answer = (struct answer){.kind = ANSWER_WAIT};
    if (trigger->phase == TRIGGER_PENDING && !call->out_of_time)
        return;
    answer->kind = ANSWER_REFUSED;
    if (error_is_set(&trigger->parsed.mistakes))
        error_copy(&answer->error, &trigger->parsed.mistakes);
    else if (error_is_set(&trigger->bound.refusal))
        error_copy(&answer->error, &trigger->bound.refusal);
    else /* it went with its connection, since somebody began to wait for it */
        error_unavailable(&answer->error,
                          "the connection is another one now, and not measured yet");
}

void trigger_report_answer(const struct trigger *trigger, const struct answer_call *call,
                           int64_t now_ms, struct answer *ret_answer)
{
    _cleanup_(trigger_report_done) struct trigger_report report = {0};
    begin_report(trigger, 0, now_ms, &report);
    if (trigger->bound.query == NULL)
        refuse_without_query(trigger, call, &report.answer);
    else
        decide_now(trigger, call, now_ms, &report);
    *ret_answer = report.answer;
    ret_answer->policy = report.policy.found;
    report.answer.error = (struct error){0};
}

/* ---- to people ---- */

/* Of a trigger without a query: its mistakes, or the limit that kept it from having one. */
static void show_refusal(const struct trigger *trigger, struct answer *answer)
{
    const struct answer *last = &trigger->answers.last.answer;
    const struct error *refusal = NULL;
    if (error_is_set(&trigger->parsed.mistakes))
        refusal = &trigger->parsed.mistakes;
    else if (error_is_set(&trigger->bound.refusal))
        refusal = &trigger->bound.refusal;
    else if (trigger->answers.last.call != NULL && last->kind == ANSWER_REFUSED &&
             last->error.code == ERROR_LIMIT)
        refusal = &last->error;
    *answer = (struct answer){.kind = refusal == NULL ? ANSWER_WAIT : ANSWER_REFUSED};
    if (refusal != NULL)
        error_copy(&answer->error, refusal);
}

static const struct error *error_of(const struct trigger_report *report)
{
    if (report->state == ANSWER_STATE_REFUSED)
        return &report->answer.error;
    return report->snapshot.last_attempt == ATTEMPT_FAILED ? &report->snapshot.error : NULL;
}

static void add_for_people(const struct trigger *trigger, struct trigger_report *report)
{
    const struct policy_result *result = &report->policy.effective.result;
    report->is_superseded = trigger_objects_superseded(trigger);
    report->error = error_of(report);
    report->has_decision =
        report->state == ANSWER_STATE_ANSWERED && report->policy.effective.has_decided;
    report->status = result->status;
    report->bound_by = result->term;
    if (trigger->bound.query == NULL)
        return;
    query_get_state(trigger->bound.query, &report->source);
    if (report->snapshot.is_measured)
        query_get_throughput(trigger->bound.query, &report->throughput);
}

/* To people a reading is as good as when it was sent. */
static void report_to_people(const struct trigger *trigger, unsigned extras, int64_t now_ms,
                             struct trigger_report *ret_report)
{
    static const struct answer_call for_people = {.is_stream = true};
    struct trigger_report *report = ret_report;
    *report = (struct trigger_report){0};
    begin_report(trigger, extras, now_ms, report);
    bool is_good = report->snapshot.last_attempt == ATTEMPT_GOOD;
    if (trigger->bound.query == NULL)
        show_refusal(trigger, &report->answer);
    else
        decide_now(trigger, &for_people, is_good ? report->snapshot.sent_ms : now_ms, report);
    report->state = answer_state(&report->answer);
    add_for_people(trigger, report);
}

void trigger_report(const struct trigger *trigger, int64_t now_ms,
                    struct trigger_report *ret_report)
{
    report_to_people(trigger, TRIGGER_COPY_WORDS, now_ms, ret_report);
}

void trigger_report_with_changes(const struct trigger *trigger, int64_t now_ms,
                                 struct trigger_report *ret_report)
{
    report_to_people(trigger, TRIGGER_COPY_WORDS | TRIGGER_COPY_CHANGES, now_ms, ret_report);
}

/* The history keeps floats: one may be a little more than what was measured. */
static double past_replicas(double value, double threshold)
{
    return (double)policy_whole(value / threshold * (1 - (double)FLT_EPSILON));
}

void trigger_report_past(const struct trigger *trigger, const struct trigger_report *now,
                         struct snapshot *snapshot, const struct peak_value *peak, int64_t at_ms,
                         struct trigger_report *ret_report)
{
    struct trigger_report *report = ret_report;
    *report = (struct trigger_report){.at_ms = at_ms,
                                      .snapshot = *snapshot,
                                      .has_policy = now->has_policy,
                                      .throughput = {NAN, NAN, NAN}};
    *snapshot = (struct snapshot){0};
    struct evaluation_result evaluated = {0};
    struct evaluation *evaluation = &evaluated.evaluation;
    bool is_on = trigger->policy != NULL && trigger->policy->effective.is_on;
    const struct trigger_policy_change *decision =
        report->snapshot.is_measured ? trigger_policy_at(&now->policy, report->snapshot.sent_ms)
                                     : NULL;
    const struct report_inputs inputs = {
        .evaluated = &evaluated,
        .peak = peak,
        .policy_replicas = decision != NULL ? (double)decision->replicas : (double)NAN,
    };
    if (report->snapshot.is_measured)
        trigger_evaluate(trigger, &report->snapshot.reading, &evaluated);
    if (evaluated.is_good && decision != NULL) {
        evaluation->value = decision->value;
        evaluation->active = decision->active;
    } else if (evaluated.is_good && is_on)
        evaluation->value = past_replicas(evaluation->value, trigger->policy->basis.threshold);
    decide(trigger, &inputs, &(struct answer_call){.is_stream = true}, at_ms, report);
    report->state = answer_state(&report->answer);
    report->error = error_of(report);
    report->has_decision = decision != NULL && report->state == ANSWER_STATE_ANSWERED;
    if (report->has_decision) {
        report->status = decision->status;
        report->bound_by = decision->term;
    }
    error_done(&evaluated.error);
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
    const struct reading *reading = &report->snapshot.reading;
    figures->reading = *reading;
    figures->age_seconds = seconds_since(report->at_ms, report->snapshot.sent_ms);
    figures->rates_are_bounds = isnan(reading->arrival_rate) && isnan(reading->consumption_rate);
    figures->arrivals =
        figures->rates_are_bounds ? report->throughput.arrival_rate : reading->arrival_rate;
    figures->consumption =
        figures->rates_are_bounds ? report->throughput.consumption_rate : reading->consumption_rate;
    figures->consumed = report->throughput.consumed;
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
        .consumed = NAN,
        .value = has_value ? report->answer.value : NAN,
        .active = has_value ? (double)report->answer.active : NAN,
        .replicas = has_value ? report->answer.replicas : NAN,
        .target = trigger->parsed.target,
        .last.value = had_value ? last->answer.value : NAN,
        .last.active = had_value ? (double)last->answer.active : NAN,
        .last.age_seconds =
            had_value ? seconds_since(report->at_ms, last->at_ms - last->answer.age_ms) : NAN,
        .state = answer_state_name(report->state),
        .status = report->has_decision ? flow_status_text(report->status) : NULL,
        .bound_by = report->has_decision ? policy_term_text(report->bound_by) : NULL,
    };
    if (report->snapshot.is_measured)
        add_reading(report, figures);
}
