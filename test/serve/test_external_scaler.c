/* The service over a transport that only records what is sent; the source is scripted. */
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "serve/scaler_fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static struct connection_stats stats(void)
{
    struct connection_stats now;
    engine_stats(engine, &now);
    return now;
}

static void both_calls_wait_for_the_first_measurement_and_are_answered_from_it(void **state)
{
    (void)state;
    struct noted_call metrics = {0};
    struct noted_call active = {0};
    begin_call(&metrics, PATH("GetMetrics"), "7");
    begin_call(&active, PATH("IsActive"), "7");
    TURN_UNTIL(metrics.finished && active.finished);
    assert_int_equal(metrics.status, STATUS_OK);
    assert_true(metrics.value == 7);
    assert_int_equal(active.status, STATUS_OK);
    assert_int_equal(active.trues, 1);
    assert_int_equal(stats().counts[COUNT_QUERIES], 1);
    end_call(&metrics);
    end_call(&active);
}

static void a_call_that_has_waited_long_enough_is_refused(void **state)
{
    (void)state;
    struct noted_call call = {0};
    int64_t now_ms = clock_now_ms();
    begin_call(&call, PATH("GetMetrics"), "hang");
    int64_t due_ms = service->turn(service->context, now_ms); /* an older reading might do then */
    assert_in_range(due_ms, now_ms + 1, now_ms + ANSWER_PATIENCE_MS + 100);
    due_ms = service->turn(service->context, due_ms);
    assert_false(call.finished);
    assert_in_range(due_ms, now_ms + 4000, now_ms + 5100);
    service->turn(service->context, due_ms);
    assert_true(call.finished);
    assert_int_equal(call.status, STATUS_UNAVAILABLE);
    end_call(&call);
}

static size_t count_finished(const struct noted_call *calls, size_t count)
{
    size_t finished = 0;
    for (size_t i = 0; i < count; i++)
        finished += calls[i].finished;
    return finished;
}

/* Other clients have their turn in between. */
static void thousands_of_calls_are_answered_some_at_a_time(void **state)
{
    (void)state;
    enum { MANY = 2500, PER_TURN = 1000 };
    struct noted_call *calls = memory_array(MANY, sizeof(*calls));
    for (int i = 0; i < MANY; i++)
        begin_call(&calls[i], PATH("GetMetrics"), "hang");
    size_t before = count_finished(calls, MANY); /* a slow machine: the first may have failed */
    for (size_t finished = before; finished < MANY; before = finished) {
        turn();
        finished = count_finished(calls, MANY);
        assert_in_range(finished - before, 0, 2 * PER_TURN); /* news, and those out of patience */
    }
    for (int i = 0; i < MANY; i++)
        end_call(&calls[i]);
    free(calls);
}

static void is_active_repeats_what_get_metrics_was_answered(void **state)
{
    (void)state;
    struct noted_call metrics = {0};
    struct noted_call active = {0};
    begin_call(&metrics, PATH("GetMetrics"), "7");
    TURN_UNTIL(metrics.finished);
    fake_set_queue("7", 0);
    take_turns_for_a_measurement();
    begin_call(&active, PATH("IsActive"), "7");
    assert_true(active.finished);
    assert_int_equal(active.trues, 1);
    end_call(&metrics);
    end_call(&active);
}

static void is_active_repeats_a_failure_of_get_metrics(void **state)
{
    (void)state;
    struct noted_call metrics = {0};
    struct noted_call active = {0};
    begin_call(&metrics, PATH("GetMetrics"), "missing");
    TURN_UNTIL(metrics.finished);
    assert_int_equal(metrics.status, STATUS_UNAVAILABLE);
    fake_set_queue("missing", 1);
    take_turns_for_a_measurement();
    begin_call(&active, PATH("IsActive"), "missing");
    assert_true(active.finished);
    assert_int_equal(active.status, STATUS_UNAVAILABLE);
    end_call(&metrics);
    end_call(&active);
}

static void a_stream_sends_true_once_and_then_at_each_heartbeat(void **state)
{
    (void)state;
    struct noted_call stream = {0};
    begin_call(&stream, PATH("StreamIsActive"), "3");
    TURN_UNTIL(stream.trues == 1);
    int64_t start_ms = clock_now_ms();
    TURN_UNTIL(stream.trues == 2);
    assert_true(clock_now_ms() - start_ms >= heartbeat_ms - 20);
    TURN_UNTIL(stream.trues == 4);
    assert_true(clock_now_ms() - start_ms >= 3 * heartbeat_ms - 20);
    assert_int_equal(stream.falses, 0);
    end_call(&stream);
}

/* Each `true` has KEDA write to the Kubernetes API, as its polls do. */
static void no_heartbeat_is_sent_while_polls_are_answered_that_it_is_active(void **state)
{
    (void)state;
    struct noted_call stream = {0};
    begin_call(&stream, PATH("StreamIsActive"), "3");
    TURN_UNTIL(stream.trues == 1);
    for (int i = 0; i < 8; i++) {
        struct noted_call poll = {0};
        begin_call(&poll, PATH("GetMetrics"), "3");
        TURN_UNTIL(poll.finished);
        end_call(&poll);
        take_turns_for(heartbeat_ms / 2);
    }
    assert_int_equal(stream.trues, 1);
    int64_t start_ms = clock_now_ms();
    TURN_UNTIL(stream.trues == 2);
    assert_true(clock_now_ms() - start_ms < 2 * heartbeat_ms);
    end_call(&stream);
}

static void a_stream_sends_each_change_to_active_and_never_false(void **state)
{
    (void)state;
    struct noted_call stream = {0};
    fake_set_queue("jobs", 0);
    begin_call(&stream, PATH("StreamIsActive"), "jobs");
    take_turns_for(2 * heartbeat_ms);
    assert_int_equal(stream.trues, 0);
    for (int i = 1; i <= 5; i++) {
        fake_set_queue("jobs", i);
        TURN_UNTIL(stream.trues == i);
        fake_set_queue("jobs", 0);
        take_turns_for_a_measurement();
        assert_int_equal(stream.trues, i);
    }
    take_turns_for(2 * heartbeat_ms);
    assert_int_equal(stream.trues, 5);
    assert_int_equal(stream.falses, 0);
    end_call(&stream);
}

static void a_push_that_the_stream_refused_is_sent_once_it_takes_it(void **state)
{
    (void)state;
    struct noted_call stream = {.full = true};
    fake_set_queue("jobs", 2);
    begin_call(&stream, PATH("StreamIsActive"), "jobs");
    take_turns_for_a_measurement();
    stream.full = false;
    service->writable(service->context, &stream.call);
    assert_int_equal(stream.trues, 1);
    service->writable(service->context, &stream.call);
    assert_int_equal(stream.trues, 1);

    fake_set_queue("jobs", 0);
    take_turns_for_a_measurement();
    stream.full = true;
    fake_set_queue("jobs", 2);
    take_turns_for_a_measurement();
    fake_set_queue("jobs", 0);
    take_turns_for_a_measurement();
    stream.full = false;
    service->writable(service->context, &stream.call);
    assert_int_equal(stream.trues, 1); /* it is not true any more */
    end_call(&stream);
}

static void true_is_sent_while_an_outage_is_held_and_its_end_is_sent_at_once(void **state)
{
    (void)state;
    struct noted_call stream = {0};
    struct noted_call call = {0};
    begin_call(&stream, PATH("StreamIsActive"), "3");
    TURN_UNTIL(stream.trues == 1);
    fake_set_up(false);
    TURN_UNTIL(stream.trues == 3);
    take_turns_for(hold_ms + heartbeat_ms);
    int trues = stream.trues;
    begin_call(&call, PATH("IsActive"), "3");
    assert_true(call.finished);
    assert_int_equal(call.status, STATUS_UNAVAILABLE);
    take_turns_for(2 * heartbeat_ms);
    assert_int_equal(stream.trues, trues);
    fake_set_up(true);
    TURN_UNTIL(stream.trues == trues + 1);
    assert_false(stream.finished);
    assert_int_equal(stream.falses, 0);
    end_call(&call);
    end_call(&stream);
}

/* KEDA never sends one; whoever does would end the hold in the log and in an alert's metric. */
static void a_call_for_another_metric_ends_no_hold(void **state)
{
    (void)state;
    struct noted_call stream = {0};
    struct noted_call call = {0};
    struct connection_stats stats;
    begin_call(&stream, PATH("StreamIsActive"), "3");
    TURN_UNTIL(stream.trues == 1);
    fake_set_up(false);
    TURN_UNTIL(stream.trues == 3);
    metric_name = "another";
    begin_call(&call, PATH("GetMetrics"), "3");
    metric_name = NULL;
    assert_true(call.finished);
    assert_int_equal(call.status, STATUS_INVALID_ARGUMENT);
    engine_stats(engine, &stats);
    assert_int_equal(stats.counts[COUNT_HELD_TRIGGERS], 1);
    assert_int_equal(stats.counts[COUNT_EXPIRED_TRIGGERS], 0);
    end_call(&call);
    end_call(&stream);
}

static void a_drain_ends_streams_and_lets_calls_wait(void **state)
{
    (void)state;
    struct noted_call stream = {0};
    struct noted_call late = {0};
    struct noted_call call = {0};
    fake_set_queue("jobs", FAKE_HANGS);
    begin_call(&stream, PATH("StreamIsActive"), "jobs");
    begin_call(&call, PATH("IsActive"), "jobs");
    service->drain(service->context);
    begin_call(&late, PATH("StreamMetricSpec"), "jobs");
    assert_true(stream.finished && late.finished && !call.finished);
    assert_int_equal(stream.status, STATUS_OK);
    assert_int_equal(late.status, STATUS_OK);
    TURN_UNTIL(call.finished);
    end_call(&stream);
    end_call(&late);
    end_call(&call);
}

static void a_limit_on_streams_is_an_error_and_one_that_ends_frees_its_place(void **state)
{
    (void)state;
    struct noted_call streams[4] = {0};
    for (int i = 0; i < 3; i++)
        begin_call(&streams[i], PATH("StreamIsActive"), "0");
    assert_true(streams[2].finished);
    assert_int_equal(streams[2].status, STATUS_RESOURCE_EXHAUSTED);
    assert_string_equal(streams[2].text, "all 2 streams are in use (--max-streams)");
    end_call(&streams[2]);
    end_call(&streams[0]);
    begin_call(&streams[3], PATH("StreamIsActive"), "0");
    assert_false(streams[3].finished);
    end_call(&streams[1]);
    end_call(&streams[3]);
}

static void a_stream_that_the_transport_has_no_place_for_is_refused_and_takes_none(void **state)
{
    (void)state;
    struct noted_call refused = {.has_no_place = true};
    struct noted_call streams[2] = {0};
    begin_call(&refused, PATH("StreamIsActive"), "0");
    assert_true(refused.finished);
    assert_int_equal(refused.status, STATUS_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(refused.text, "no stream is free (--max-streams: 2)"));
    end_call(&refused);
    for (int i = 0; i < 2; i++) {
        begin_call(&streams[i], PATH("StreamIsActive"), "0");
        assert_false(streams[i].finished);
    }
    for (int i = 0; i < 2; i++)
        end_call(&streams[i]);
}

/* They would have KEDA replace the metrics of an HPA that works for as long as it is open. */
static void a_limit_ends_a_stream_of_specs_without_the_specs_of_an_invalid_trigger(void **state)
{
    (void)state;
    char queue[32];
    struct noted_call stream = {0};
    for (int i = 0; i <= MAX_TRIGGERS; i++) {
        struct noted_call each = {0};
        snprintf(queue, sizeof(queue), "queue-%d", i);
        begin_call(&each, PATH("GetMetricSpec"), queue);
        assert_int_equal(text_equal(each.spec, TRIGGER_INVALID_METRIC), i == MAX_TRIGGERS);
        assert_int_equal(each.status, STATUS_OK);
        end_call(&each);
    }
    begin_call(&stream, PATH("StreamMetricSpec"), queue);
    assert_true(stream.finished);
    assert_int_equal(stream.status, STATUS_RESOURCE_EXHAUSTED);
    assert_string_equal(stream.text, "all 100 triggers are in use (--max-triggers)");
    assert_string_equal(stream.spec, "");
    end_call(&stream);
    stream = (struct noted_call){0};
    begin_call(&stream, PATH("StreamMetricSpec"), "queue-0");
    assert_false(stream.finished);
    assert_string_not_equal(stream.spec, "");
    end_call(&stream);
}

/* From KEDA 2.21 on a trigger has one of each. */
static void streams_of_specs_take_no_place_of_those_that_push(void **state)
{
    (void)state;
    struct noted_call specs[3] = {0};
    struct noted_call pushes[2] = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(specs); i++)
        begin_call(&specs[i], PATH("StreamMetricSpec"), "0");
    assert_false(specs[0].finished || specs[1].finished);
    assert_int_equal(specs[2].status, STATUS_RESOURCE_EXHAUSTED);
    for (size_t i = 0; i < ARRAY_LENGTH(pushes); i++) {
        begin_call(&pushes[i], PATH("StreamIsActive"), "0");
        assert_false(pushes[i].finished);
    }
    end_call(&specs[0]);
    struct noted_call late = {0};
    begin_call(&late, PATH("StreamMetricSpec"), "0");
    assert_false(late.finished);
    end_call(&late);
    for (size_t i = 1; i < ARRAY_LENGTH(specs); i++)
        end_call(&specs[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(pushes); i++)
        end_call(&pushes[i]);
}

static void a_call_that_is_cancelled_while_it_waits_gets_no_answer(void **state)
{
    (void)state;
    struct noted_call call = {0};
    struct noted_call stream = {0};
    fake_set_queue("jobs", FAKE_HANGS);
    begin_call(&call, PATH("GetMetrics"), "jobs");
    begin_call(&stream, PATH("StreamIsActive"), "jobs");
    end_call(&call);
    end_call(&stream);
    fake_set_queue("jobs", 7);
    take_turns_for_a_measurement();
    assert_false(call.finished);
    assert_int_equal(stream.trues, 0);
}

#define CALLS(method, code)                                                                        \
    metric("backlog_calls_total{service=\"externalscaler.ExternalScaler\",method=\"" method        \
           "\",code=\"" code "\"}")
#define OF_METHOD(name, method)                                                                    \
    metric(name "{service=\"externalscaler.ExternalScaler\",method=\"" method "\"}")

static void calls_are_counted_by_what_their_clients_got_and_unary_ones_timed(void **state)
{
    (void)state;
    struct noted_call call = {0};
    struct noted_call gone = {0};
    struct noted_call late = {0};
    struct noted_call stream = {0};
    begin_call(&stream, PATH("StreamIsActive"), "7");
    int64_t began_us = clock_now_us();
    begin_call(&call, PATH("GetMetrics"), "7");
    TURN_UNTIL(call.finished);
    end_call(&call);
    double took = (double)(clock_now_us() - began_us) / 1e6;
    begin_call(&gone, PATH("GetMetrics"), "hang");
    end_call(&gone);
    begin_call(&late, PATH("GetMetrics"), "hang");
    service->ended(service->context, &late.call, STATUS_DEADLINE_EXCEEDED);
    service->refused(service->context, PATH("GetMetrics"), STATUS_PERMISSION_DENIED);
    service->refused(service->context, "/else/Where", STATUS_PERMISSION_DENIED);
    service->refused(service->context, NULL, STATUS_UNIMPLEMENTED);

    assert_true(CALLS("GetMetrics", "OK") == 1);
    assert_true(CALLS("GetMetrics", "CANCELLED") == 1);
    assert_true(CALLS("GetMetrics", "DEADLINE_EXCEEDED") == 1);
    assert_true(CALLS("GetMetrics", "PERMISSION_DENIED") == 1);
    assert_true(metric("backlog_calls_total{service=\"unknown\",method=\"unknown\",code=\""
                       "PERMISSION_DENIED\"}") == 1);
    assert_true(metric("backlog_calls_total{service=\"unknown\",method=\"unknown\",code=\""
                       "UNIMPLEMENTED\"}") == 1);
    assert_true(OF_METHOD("backlog_call_duration_seconds_count", "GetMetrics") == 3);
    double seconds = OF_METHOD("backlog_call_duration_seconds_sum", "GetMetrics");
    assert_true(seconds > 0 && seconds < took + 1);
    assert_true(OF_METHOD("backlog_streams", "StreamIsActive") == 1);
    end_call(&stream);
    assert_true(OF_METHOD("backlog_streams", "StreamIsActive") == 0);
    assert_true(OF_METHOD("backlog_call_duration_seconds_count", "StreamIsActive") == -1);
}

static void an_activation_is_timed_where_a_stream_saw_it(void **state)
{
    (void)state;
    struct noted_call stream = {0};
    struct noted_call late = {0};
    fake_set_queue("jobs", 0);
    begin_call(&stream, PATH("StreamIsActive"), "jobs");
    take_turns_for_a_measurement();
    int64_t began_us = clock_now_us();
    bool is_exact = false;
    for (int i = 1; i <= 5; i++) {
        int before = stream.trues; /* with heartbeats, on a busy machine */
        fake_set_queue("jobs", i);
        TURN_UNTIL(stream.trues > before);
        assert_true(metric("backlog_activation_duration_seconds_count") == i);
        double sum_ms = metric("backlog_activation_duration_seconds_sum") * 1000;
        is_exact = is_exact || fabs(sum_ms - round(sum_ms)) > 1e-6;
        fake_set_queue("jobs", 0);
        take_turns_for_a_measurement();
    }
    double sum = metric("backlog_activation_duration_seconds_sum");
    assert_true(is_exact);
    assert_true(sum > 0 && sum < (double)(clock_now_us() - began_us) / 1e6);

    int trues = stream.trues;
    fake_set_queue("jobs", 1);
    TURN_UNTIL(stream.trues > trues);
    begin_call(&late, PATH("StreamIsActive"), "jobs"); /* it was active before */
    TURN_UNTIL(late.trues == 1);
    fake_set_up(false);
    take_turns_for(hold_ms + 2 * heartbeat_ms);
    trues = stream.trues;
    fake_set_up(true);
    TURN_UNTIL(stream.trues > trues); /* and was away, but never idle */
    assert_true(metric("backlog_activation_duration_seconds_count") == 6);
    end_call(&stream);
    end_call(&late);
}

static void a_heartbeat_that_has_to_wait_for_a_reading_is_no_push(void **state)
{
    (void)state;
    struct noted_call stream = {0};
    begin_call(&stream, PATH("StreamIsActive"), "3");
    TURN_UNTIL(stream.trues == 1);
    /* So late that no reading is fresh. */
    int64_t due_ms = service->turn(service->context, clock_now_ms() + 2 * heartbeat_ms);
    assert_int_equal(stream.trues, 1);
    assert_true(due_ms > clock_now_ms());
    TURN_UNTIL(stream.trues == 2);
    assert_true(metric("backlog_stream_activations_total") == 1);
    assert_true(metric("backlog_stream_heartbeats_total") == 1);
    TURN_UNTIL(stream.trues == 3);
    assert_true(metric("backlog_stream_heartbeats_total") == 2);
    end_call(&stream);
}

static void the_heartbeat_after_one_that_waited_in_vain_is_sent_in_an_outage(void **state)
{
    (void)state;
    struct noted_call stream = {0};
    begin_call(&stream, PATH("StreamIsActive"), "3");
    TURN_UNTIL(stream.trues == 1);
    /* The next heartbeat's reading is the last one. Nothing is in flight when the source goes: no
     * attempt ends, and the stream gets no news. */
    fake_set_parting(true);
    TURN_UNTIL(fake_counts().disconnects > 0 && stream.trues > 1);
    fake_set_up(false);
    int trues = stream.trues;
    service->turn(service->context, clock_now_ms() + heartbeat_ms);
    assert_int_equal(stream.trues, trues);
    TURN_UNTIL(stream.trues == trues + 1);
    end_call(&stream);
}

int main(void)
{
    log_init(LOG_LEVEL_ERROR, LOG_PLAIN);
    const struct CMUnitTest tests[] = {
        TEST(both_calls_wait_for_the_first_measurement_and_are_answered_from_it),
        TEST(a_call_that_has_waited_long_enough_is_refused),
        TEST(thousands_of_calls_are_answered_some_at_a_time),
        TEST(is_active_repeats_what_get_metrics_was_answered),
        TEST(is_active_repeats_a_failure_of_get_metrics),
        TEST(a_stream_sends_true_once_and_then_at_each_heartbeat),
        TEST(no_heartbeat_is_sent_while_polls_are_answered_that_it_is_active),
        TEST(a_stream_sends_each_change_to_active_and_never_false),
        TEST(a_push_that_the_stream_refused_is_sent_once_it_takes_it),
        TEST(true_is_sent_while_an_outage_is_held_and_its_end_is_sent_at_once),
        TEST(a_call_for_another_metric_ends_no_hold),
        TEST(a_drain_ends_streams_and_lets_calls_wait),
        TEST(a_limit_on_streams_is_an_error_and_one_that_ends_frees_its_place),
        TEST(a_stream_that_the_transport_has_no_place_for_is_refused_and_takes_none),
        TEST(a_limit_ends_a_stream_of_specs_without_the_specs_of_an_invalid_trigger),
        TEST(streams_of_specs_take_no_place_of_those_that_push),
        TEST(a_call_that_is_cancelled_while_it_waits_gets_no_answer),
        TEST(calls_are_counted_by_what_their_clients_got_and_unary_ones_timed),
        TEST(an_activation_is_timed_where_a_stream_saw_it),
        TEST(a_heartbeat_that_has_to_wait_for_a_reading_is_no_push),
        TEST(the_heartbeat_after_one_that_waited_in_vain_is_sent_in_an_outage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
