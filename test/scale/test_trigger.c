/* What a trigger answers, answered and would have answered, and its figures. */
#include "base/clock.h"
#include "base/memory.h"
#include "scale/fixture.h"
#include "scale/trigger/trigger_answers.h"
#include "scale/trigger/trigger_history.h"

#include <math.h>
#include <unistd.h>

static void a_trigger_answers_with_the_reading_of_its_query(void **state)
{
    (void)state;
    _cleanup_(answer_done) struct answer answer = {0};
    struct trigger *trigger = FIND(GOOD);
    struct answer_call call = {.arrived_ms = clock_now_ms()};
    query_of(trigger);
    trigger_decide(trigger, &call, clock_now_ms(), &answer);
    assert_int_equal(answer.kind, ANSWER_WAIT);
    wait_until_measured(trigger);
    trigger_decide(trigger, &call, clock_now_ms(), &answer);
    assert_int_equal(answer.kind, ANSWER_VALUE);
    assert_true(answer.value == 7 && answer.active && !answer.held);
}

static bool evaluate_nothing(const struct options *options, const struct reading *reading,
                             struct evaluation *ret_evaluation, struct error *error)
{
    (void)options;
    (void)reading;
    (void)error;
    *ret_evaluation = (struct evaluation){.value = NAN};
    return true;
}

/* A policy would make no replicas of it. */
static void a_value_that_is_not_a_number_is_an_error_also_for_a_policy(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(STEPS);
    struct scaler scaler = *trigger->parsed.scaler;
    struct evaluation_result evaluated = {0};
    scaler.evaluate = evaluate_nothing;
    const struct scaler *own = trigger->parsed.scaler;
    trigger->parsed.scaler = &scaler;
    trigger_evaluate(trigger, &READING_UNKNOWN, &evaluated);
    trigger->parsed.scaler = own;
    assert_false(evaluated.is_good);
    assert_non_null(strstr(error_text(&evaluated.error), "not a number"));
    error_done(&evaluated.error);
}

/* What 3 replicas are for, with 5 messages for each; at least one is there. */
static void what_is_held_is_no_more_than_the_replicas_of_the_hpa_are_for(void **state)
{
    (void)state;
    static const struct {
        int64_t replicas, read_ms; /* so long ago */
        double value;
    } rows[] = {
        {3, 500, 15},   {1, 500, 5},    {0, 500, 5},  {-1, 500, 100},
        {30, 500, 100}, {3, 2000, 100}, {3, -1, 100},
    };
    int64_t now_ms = clock_now_ms();
    struct trigger *trigger = FIND(GOOD);
    const struct answer_call call = {.arrived_ms = now_ms};
    struct snapshot snapshot = {.known.last_attempt = ATTEMPT_FAILED,
                                .known.is_measured = true,
                                .known.reading = READING_UNKNOWN,
                                .known.sent_ms = now_ms - 5000,
                                .known.failed_at_ms = now_ms - 100};
    snapshot.known.reading.waiting = 100;
    hold_measured(&trigger->answers.hold, 100, true, now_ms - 5000, now_ms - 5000);
    hold_failed(&trigger->answers.hold, now_ms - 1000);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        _cleanup_(answer_done) struct answer answer = {0};
        trigger->kubernetes.hpa.replicas = rows[i].replicas;
        trigger->kubernetes.hpa.replicas_at_ms = now_ms - rows[i].read_ms;
        trigger_decide_by(trigger, &snapshot, NULL, &call, now_ms, &answer);
        assert_int_equal(answer.kind, ANSWER_VALUE);
        assert_true(answer.held && answer.active);
        assert_float_equal(answer.value, rows[i].value, 0);
    }
}

/* In place of what the policy found before the outage. */
static void replicas_of_a_held_value_are_of_the_value_up_to_the_maximum(void **state)
{
    (void)state;
    static const struct {
        const char *max;
        double replicas;
    } rows[] = {{"3", 3}, {"30", 20}, {"0", 20}};
    int64_t now_ms = clock_now_ms();
    const struct answer_call call = {.arrived_ms = now_ms};
    const struct snapshot snapshot = {.known.last_attempt = ATTEMPT_FAILED,
                                      .known.is_measured = true,
                                      .known.reading = READING_UNKNOWN,
                                      .known.sent_ms = now_ms - 5000,
                                      .known.failed_at_ms = now_ms - 100};
    struct trigger_policy_copy found = {.evaluated = {.is_good = true, .evaluation = {20, true}}};
    found.result.replicas = 7;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        _cleanup_(answer_done) struct answer answer = {0};
        struct trigger *trigger = FIND(STEPS, "maxReplicaCount", rows[i].max);
        assert_true(trigger->policy != NULL);
        hold_measured(&trigger->answers.hold, 20, true, now_ms - 5000, now_ms - 5000);
        trigger_decide_by(trigger, &snapshot, &found, &call, now_ms, &answer);
        assert_true(answer.kind == ANSWER_VALUE && answer.held);
        assert_float_equal(answer.replicas, rows[i].replicas, 0);
    }
}

static void assert_figures(const struct trigger *trigger, int64_t now_ms,
                           const struct trigger_figures *expected)
{
    struct trigger_report report;
    struct trigger_figures figures;
    trigger_report(trigger, now_ms, &report);
    trigger_figures(trigger, &report, &figures);
    const double pairs[][2] = {
        {figures.value, expected->value},
        {figures.active, expected->active},
        {figures.replicas, expected->replicas},
        {figures.target, expected->target},
        {figures.reading.waiting, expected->reading.waiting},
        {figures.age_seconds, expected->age_seconds},
        {figures.last.value, expected->last.value},
        {figures.last.active, expected->last.active},
        {figures.last.age_seconds, expected->last.age_seconds},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++)
        if (pairs[i][0] != pairs[i][1] && !(isnan(pairs[i][0]) && isnan(pairs[i][1])))
            fail_msg("figure %zu: %g, not %g", i, pairs[i][0], pairs[i][1]);
    assert_string_equal(figures.state, expected->state);
    assert_null(figures.bound_by);
    trigger_report_done(&report);
}

/* Nothing that is not known is 0. */
static void figures_are_of_the_reading_and_of_the_last_answer(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(GOOD);
    struct trigger_figures expected = {.reading.waiting = NAN,
                                       .age_seconds = NAN,
                                       .value = NAN,
                                       .active = NAN,
                                       .replicas = NAN,
                                       .target = 5,
                                       .last = {NAN, NAN, NAN},
                                       .state = "waiting"};
    assert_figures(trigger, clock_now_ms(), &expected);
    query_of(trigger);
    wait_until_measured(trigger);
    struct trigger_report report;
    trigger_report(trigger, clock_now_ms(), &report);
    int64_t now_ms = report.snapshot.known.sent_ms + 4000;
    trigger_report_done(&report);
    expected.value = expected.reading.waiting = 7;
    expected.active = 1;
    expected.replicas = 2;
    expected.age_seconds = 4;
    expected.state = "answered";
    assert_figures(trigger, now_ms, &expected);

    const struct answer answer = {.kind = ANSWER_VALUE, .value = 3, .age_ms = 2000};
    trigger_answers_record(trigger, "GetMetrics", &answer, now_ms - 1000);
    expected.last.value = 3;
    expected.last.active = 0;
    expected.last.age_seconds = 3;
    assert_figures(trigger, now_ms, &expected);
}

/* All that pages and calls do, between two readings. */
static void observers_change_nothing(void **state)
{
    (void)state;
    _cleanup_(answer_done) struct answer answer = {0};
    fake_set_queue("jobs", 20);
    struct trigger *trigger = FIND(STEPS, "maxReplicaCount", "9");
    query_of(trigger);
    measure_again(trigger);
    const struct policy_state before = trigger->policy->state;
    const struct hold hold = trigger->answers.hold;
    for (int i = 0; i < 50; i++) {
        struct answer_call call = {.arrived_ms = clock_now_ms(), .out_of_time = true};
        assert_true(replicas_now(trigger) == 5);
        trigger_decide(trigger, &call, clock_now_ms(), &answer);
        assert_true(answer.replicas == 5);
        answer_done(&answer);
        usleep(1000);
    }
    assert_memory_equal(&trigger->policy->state, &before, sizeof(before));
    assert_memory_equal(&trigger->answers.hold, &hold, sizeof(hold));
}

static void rows_of_the_history_are_of_the_newest_samples(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(GOOD);
    query_of(trigger);
    wait_until_measured(trigger);
    fake_set_queue("7", FAKE_MISSING);
    wait_until_failed(trigger);
    for (size_t max = 0; max <= 2; max++) {
        _cleanup_(memory_free) struct trigger_figures *rows = NULL;
        bool has_more = false;
        assert_int_equal(trigger_history(trigger, clock_now_ms(), max, &rows, &has_more), max);
        assert_int_equal(has_more, max < 2);
        if (max == 0)
            continue;
        assert_string_equal(rows[max - 1].state, "failed");
        assert_true(isnan(rows[max - 1].value) && isnan(rows[max - 1].replicas));
        if (max < 2)
            continue;
        assert_string_equal(rows[0].state, "answered");
        assert_float_equal(rows[0].value, 7, 0);
        assert_true(rows[0].replicas == 2);
    }
}

static void past_decisions_of_a_policy_are_not_known(void **state)
{
    (void)state;
    _cleanup_(memory_free) struct trigger_figures *rows = NULL;
    bool has_more = false;
    fake_set_queue("jobs", 20);
    struct trigger *trigger = FIND(STEPS);
    query_of(trigger);
    measure_again(trigger);
    assert_int_equal(trigger_history(trigger, clock_now_ms(), 1, &rows, &has_more), 1);
    assert_true(rows[0].reading.waiting == 20);
    assert_true(isnan(rows[0].value) && isnan(rows[0].replicas) && isnan(rows[0].active));
}

/* 7 waited, then the source failed, then 20 waited. Returns what arrived from the first reading to
 * the last. */
static double arrived_while_partitions_became(int partitions)
{
    struct trigger *trigger = FIND(GOOD);
    fake_set_partitions(3);
    query_of(trigger);
    wait_until_measured(trigger);
    fake_set_queue("7", FAKE_MISSING);
    wait_until_failed(trigger);
    fake_set_queue("7", 20);
    fake_set_partitions(partitions);
    measure_again(trigger);
    _cleanup_(memory_free) struct trigger_figures *rows = NULL;
    bool has_more = false;
    assert_int_equal(trigger_history(trigger, clock_now_ms(), 3, &rows, &has_more), 3);
    assert_true(isnan(rows[1].arrivals) && isnan(rows[2].arrivals));
    return rows[0].arrivals * (double)(rows[2].at_ms - rows[0].at_ms) / 1000;
}

/* Between two readings, and not since a failure in between. */
static void arrivals_of_the_past_are_what_waiting_grew_by(void **state)
{
    (void)state;
    assert_float_equal(arrived_while_partitions_became(3), 13, 1e-6);
}

static void what_waits_in_another_partition_did_not_arrive_just_now(void **state)
{
    (void)state;
    assert_true(isnan(arrived_while_partitions_became(4)));
}

static void assert_held(uint64_t held, uint64_t expired)
{
    struct connection_stats stats;
    engine_stats(engine, &stats);
    assert_int_equal(stats.counts[COUNT_HELD_TRIGGERS], held);
    assert_int_equal(stats.counts[COUNT_EXPIRED_TRIGGERS], expired);
}

static void held_triggers_are_counted_until_they_are_measured_or_refused(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(GOOD);
    const struct answer refused = {.kind = ANSWER_REFUSED, .hold_is_over = true};
    struct answer answer = {.kind = ANSWER_VALUE, .value = 3, .active = true};
    query_of(trigger);
    trigger_answers_record(trigger, "GetMetrics", &refused, 1000);
    assert_held(0, 0);
    for (int round = 0; round < 2; round++) {
        answer.held = true;
        trigger_answers_record(trigger, "GetMetrics", &answer, 2000);
        assert_held(1, 0);
        trigger_answers_record(trigger, "GetMetrics", &answer, 3000);
        assert_held(1, 0);
        if (round == 1)
            trigger_answers_record(trigger, "GetMetrics", &refused, 4000);
        assert_held(round == 0, round == 1);
        answer.held = false;
        trigger_answers_record(trigger, "GetMetrics", &answer, 5000);
        assert_held(0, 0);
    }
    trigger_answers_resume_hold(trigger, TRIGGER_HOLD_OVER);
    assert_held(0, 1);
    trigger_answers_leave_query(trigger, "it goes");
    assert_held(0, 0);
}

/* It asked for another metric, say. */
static void a_call_that_is_refused_ends_no_outage(void **state)
{
    (void)state;
    enum { SINCE_MS = 7000 };
    _cleanup_(error_done) struct error error = {0};
    const struct answer held = {.kind = ANSWER_VALUE, .value = 7, .held = true};
    const struct answer measured = {.kind = ANSWER_VALUE, .value = 7};
    struct trigger *trigger = FIND(GOOD);
    query_of(trigger);
    trigger_answers_record(trigger, "GetMetrics", &held, SINCE_MS);
    error_invalid(&error, "no such metric");
    trigger_answers_refuse(trigger, "GetMetrics", &error, SINCE_MS + 2000);
    assert_int_equal(trigger->answers.hold_state, TRIGGER_HOLD_ON);
    assert_int_equal(trigger->answers.hold.failing_since_ms, SINCE_MS);
    trigger_answers_record(trigger, "GetMetrics", &measured, SINCE_MS + 3000);
    assert_int_equal(trigger->answers.hold.failing_since_ms, 0);
}

/* Such as a query of in-flight work that has no series yet: it is measured again. */
static void a_hold_is_not_over_when_a_reading_cannot_be_evaluated(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(GOOD);
    const struct answer held = {.kind = ANSWER_VALUE, .value = 3, .active = true, .held = true};
    const struct answer refused = {.kind = ANSWER_REFUSED};
    query_of(trigger);
    trigger_answers_record(trigger, "GetMetrics", &held, 1000);
    assert_held(1, 0);
    trigger_answers_record(trigger, "GetMetrics", &refused, 2000);
    assert_held(0, 0);
}

static void a_round_repeats_what_get_metrics_was_answered_for_a_while(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(GOOD);
    const struct answer answer = {.kind = ANSWER_VALUE, .value = 3, .active = true};
    assert_null(trigger_answers_round(trigger, 1000));
    trigger_answers_begin_round(trigger, &answer, 1000);
    assert_true(trigger_answers_round(trigger, 1000 + TRIGGER_ROUND_MS)->value == 3);
    assert_null(trigger_answers_round(trigger, 1001 + TRIGGER_ROUND_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_trigger_answers_with_the_reading_of_its_query),
        TEST(a_value_that_is_not_a_number_is_an_error_also_for_a_policy),
        TEST(what_is_held_is_no_more_than_the_replicas_of_the_hpa_are_for),
        TEST(replicas_of_a_held_value_are_of_the_value_up_to_the_maximum),
        TEST(figures_are_of_the_reading_and_of_the_last_answer),
        TEST(observers_change_nothing),
        TEST(rows_of_the_history_are_of_the_newest_samples),
        TEST(past_decisions_of_a_policy_are_not_known),
        TEST(arrivals_of_the_past_are_what_waiting_grew_by),
        TEST(what_waits_in_another_partition_did_not_arrive_just_now),
        TEST(held_triggers_are_counted_until_they_are_measured_or_refused),
        TEST(a_call_that_is_refused_ends_no_outage),
        TEST(a_hold_is_not_over_when_a_reading_cannot_be_evaluated),
        TEST(a_round_repeats_what_get_metrics_was_answered_for_a_while),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
