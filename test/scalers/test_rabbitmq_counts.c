#include "base/memory.h"
#include "rabbitmq/management/counts.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct rabbitmq_counts counts_of(const char *text, bool keeps_rates)
{
    json_t *queue = json_loads(text, 0, NULL);
    assert_non_null(queue);
    struct rabbitmq_counts counts = rabbitmq_counts_of(queue, keeps_rates);
    json_decref(queue);
    return counts;
}

static void a_queue_is_counted_as_the_management_api_reports_it(void **state)
{
    (void)state;
    struct rabbitmq_counts counts =
        counts_of("{\"messages_ready\": 3, \"messages_unacknowledged\": 4, \"message_stats\": {"
                  "\"publish\": 9, \"publish_details\": {\"rate\": 1.5},"
                  "\"deliver_get\": 8, \"deliver_get_details\": {\"rate\": 0.5}}}",
                  true);
    assert_true(counts.ready == 3 && counts.messages == 7);
    assert_true(counts.publish_rate == 1.5 && counts.deliver_get_rate == 0.5);
}

/* Done is what was acknowledged, and what needs no acknowledgement. */
static void a_queue_has_consumers_and_totals(void **state)
{
    (void)state;
    struct rabbitmq_counts counts =
        counts_of("{\"consumers\": 2, \"message_stats\": {\"publish\": 40, \"ack\": 5, "
                  "\"deliver_no_ack\": 7, \"get_no_ack\": 11, \"deliver_get\": 99}}",
                  true);
    assert_true(counts.consumers == 2 && counts.published == 40 && counts.done == 5 + 7 + 11);
    counts = counts_of("{}", true); /* nothing happened yet */
    assert_true(isnan(counts.consumers) && counts.published == 0 && counts.done == 0);
    counts = counts_of("{\"message_stats\": {\"ack\": 5}}", false);
    assert_true(isnan(counts.published) && isnan(counts.done));
}

static void fields_missing_from_the_management_api_are_unknown(void **state)
{
    (void)state;
    static const char *const without_counts[] = {
        "{}",
        "{\"messages_ready\": 3}",
        "{\"messages_unacknowledged\": 3}",
        "{\"messages_ready\": null, \"messages_unacknowledged\": 4}",
        "{\"messages_ready\": \"3\", \"messages_unacknowledged\": 4}",
        "{\"messages_ready\": -1, \"messages_unacknowledged\": 4}",
        "[]",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(without_counts); i++)
        assert_true(isnan(counts_of(without_counts[i], true).messages));

    struct rabbitmq_counts kept_no_rate =
        counts_of("{\"message_stats\": {\"publish\": 9, \"deliver_get\": 0}}", true);
    assert_true(isnan(kept_no_rate.publish_rate) && isnan(kept_no_rate.deliver_get_rate));
}

static void a_queue_that_had_no_messages_has_rates_of_0_where_the_broker_keeps_rates(void **state)
{
    (void)state;
    assert_true(counts_of("{}", true).publish_rate == 0);
    assert_true(counts_of("{\"message_stats\": {}}", true).deliver_get_rate == 0);
    assert_true(isnan(counts_of("{}", false).publish_rate));
    assert_true(isnan(counts_of("{\"message_stats\": {}}", false).deliver_get_rate));
}

static struct reading tallied(enum rabbitmq_operation operation)
{
    static const struct rabbitmq_counts queues[] = {
        {.ready = 5, .messages = 5, .publish_rate = 1, .deliver_get_rate = 4, .published = 10},
        {.ready = 1, .messages = 9, .publish_rate = 2, .deliver_get_rate = 2, .consumers = 2},
        {.ready = 1, .messages = 2, .consumers = 1, .published = 20, .done = 6},
    };
    struct rabbitmq_aggregate aggregate = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(queues); i++)
        rabbitmq_aggregate_add(&aggregate, operation, &queues[i]);
    return rabbitmq_aggregate_reading(&aggregate, operation);
}

static void many_queues_are_summed(void **state)
{
    (void)state;
    struct reading reading = tallied(RABBITMQ_OPERATION_SUM);
    assert_true(reading.waiting == 7 && reading.waiting + reading.in_flight == 16);
    assert_true(reading.arrival_rate == 3 && reading.consumption_rate == 6);
    assert_true(reading.consumers == 3 && reading.arrived == 30 && reading.consumed == 6);
}

/* KEDA divides messages as integers, and one message in two queues is none. */
static void an_average_keeps_its_fraction(void **state)
{
    (void)state;
    struct reading reading = tallied(RABBITMQ_OPERATION_AVG);
    assert_true(reading.waiting == 7.0 / 3 && reading.arrival_rate == 1);
    assert_true(reading.consumption_rate == 2 && reading.consumers == 1);
    assert_true(reading.arrived == 10 && reading.consumed == 2);
    assert_true(fabs(reading.waiting + reading.in_flight - 16.0 / 3) < 1e-9);
}

/* But of totals: the largest is one queue's now, and another's later. */
static void the_greatest_of_each_is_taken(void **state)
{
    (void)state;
    struct reading reading = tallied(RABBITMQ_OPERATION_MAX);
    assert_true(reading.waiting == 5 && reading.waiting + reading.in_flight == 9);
    assert_true(reading.arrival_rate == 2 && reading.consumption_rate == 4);
    assert_true(reading.consumers == 2 && isnan(reading.arrived) && isnan(reading.consumed));
}

/* Of statistics that are doubted these are no answer. */
static void zeros_of_queues_are_known_of_the_sum(void **state)
{
    (void)state;
    static const struct {
        struct rabbitmq_counts counts;
        size_t empty, idle;
    } rows[] = {
        {{.messages = 0, .publish_rate = 1, .deliver_get_rate = 1}, 1, 0},
        {{.messages = 1, .publish_rate = 1, .deliver_get_rate = 1}, 0, 0},
        {{.messages = 1, .publish_rate = 0, .deliver_get_rate = 1}, 0, 1},
        {{.messages = 1, .publish_rate = 1, .deliver_get_rate = 0}, 0, 1},
        {{.messages = 0, .publish_rate = 0, .deliver_get_rate = 0}, 1, 1},
    };
    struct rabbitmq_aggregate all = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct rabbitmq_aggregate one = {0};
        rabbitmq_aggregate_add(&one, RABBITMQ_OPERATION_SUM, &rows[i].counts);
        assert_int_equal(one.empty, rows[i].empty);
        assert_int_equal(one.idle, rows[i].idle);
        rabbitmq_aggregate_add(&all, RABBITMQ_OPERATION_MAX, &rows[i].counts);
    }
    assert_int_equal(all.empty, 2);
    assert_int_equal(all.idle, 3);
}

static void no_queue_at_all_is_0(void **state)
{
    (void)state;
    for (int operation = RABBITMQ_OPERATION_SUM; operation <= RABBITMQ_OPERATION_MAX; operation++) {
        struct rabbitmq_aggregate aggregate = {0};
        struct reading reading = rabbitmq_aggregate_reading(&aggregate, operation);
        assert_true(reading.waiting == 0 && reading.in_flight == 0 && reading.arrival_rate == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_queue_is_counted_as_the_management_api_reports_it),
        cmocka_unit_test(a_queue_has_consumers_and_totals),
        cmocka_unit_test(fields_missing_from_the_management_api_are_unknown),
        cmocka_unit_test(a_queue_that_had_no_messages_has_rates_of_0_where_the_broker_keeps_rates),
        cmocka_unit_test(many_queues_are_summed),
        cmocka_unit_test(an_average_keeps_its_fraction),
        cmocka_unit_test(the_greatest_of_each_is_taken),
        cmocka_unit_test(zeros_of_queues_are_known_of_the_sum),
        cmocka_unit_test(no_queue_at_all_is_0),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
