#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler.h"
#include "rabbitmq/amqp/socket.h"
#include "rabbitmq/options.h"
#include "scalers/trigger.h"
#include "support/black_hole.h"
#include "support/listener.h"
#include "support/names.h"

#include <math.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

extern const struct scaler scaler_rabbitmq;

static const char *const two_addresses[] = {"127.0.0.2", "127.0.0.1", NULL};

#define AMQP_HOST "amqp://user:word@rabbit/"
#define HTTP_HOST "http://user:word@rabbit:15672/"

/* A queue "orders" and these keys. */
#define TRIGGER(name, ...)                                                                         \
    const struct option_entry name##_entries[] = {{"queueName", "orders"}, __VA_ARGS__};           \
    _cleanup_(trigger_done) struct trigger name =                                                  \
        trigger_parse(&scaler_rabbitmq, name##_entries, ARRAY_LENGTH(name##_entries))

static void assert_good(const struct trigger *trigger)
{
    if (!trigger->good)
        fail_msg("%s", error_text(&trigger->error));
}

static double target_of(const struct trigger *trigger)
{
    struct metric_spec spec = {0};
    scaler_rabbitmq.metric_spec(&trigger->options, &spec);
    free(spec.metric_name);
    return spec.target;
}

static void a_queue_length_is_the_target(void **state)
{
    (void)state;
    TRIGGER(trigger, {"host", AMQP_HOST}, {"queueLength", "5"});
    assert_good(&trigger);
    assert_true(target_of(&trigger) == 5);
}

static void a_mode_and_its_value_are_the_target(void **state)
{
    (void)state;
    TRIGGER(trigger, {"host", AMQP_HOST}, {"mode", "QueueLength"}, {"value", "7.5"});
    assert_good(&trigger);
    assert_true(target_of(&trigger) == 7.5);
}

static void without_a_target_it_is_20(void **state)
{
    (void)state;
    TRIGGER(trigger, {"host", AMQP_HOST});
    assert_good(&trigger);
    assert_true(target_of(&trigger) == 20);
}

static void the_metric_is_named_as_keda_names_it(void **state)
{
    (void)state;
    static const char *const names[][2] = {
        {"orders", "rabbitmq-orders"},
        {"name space/of 100%", "rabbitmq-name+space%2Fof+100%25"},
        {"a-b_c.d~e:f", "rabbitmq-a-b_c.d~e%3Af"},
        {"gr\xc3\xb6\xc3\x9f"
         "e",
         "rabbitmq-gr%C3%B6%C3%9Fe"},
        {"", "rabbitmq-"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        struct rabbitmq_connection_options connection = {.host = ""};
        struct rabbitmq_query query = {.queue_name = names[i][0]};
        struct rabbitmq_target target = {0};
        struct metric_spec spec = {0};
        scaler_rabbitmq.metric_spec(&(struct options){&connection, &query, &target}, &spec);
        assert_string_equal(spec.metric_name, names[i][1]);
        free(spec.metric_name);
    }
}

static bool evaluated_with_rates(const struct trigger *trigger, double ready, double unacknowledged,
                                 double published, double delivered,
                                 struct evaluation *ret_evaluation)
{
    _cleanup_(error_done) struct error error = {0};
    struct reading reading = READING_UNKNOWN;
    reading.waiting = ready;
    reading.in_flight = unacknowledged;
    reading.arrival_rate = published;
    reading.consumption_rate = delivered;
    return scaler_rabbitmq.evaluate(&trigger->options, &reading, ret_evaluation, &error);
}

static bool evaluated(const struct trigger *trigger, double ready, double unacknowledged,
                      struct evaluation *ret_evaluation)
{
    return evaluated_with_rates(trigger, ready, unacknowledged, NAN, NAN, ret_evaluation);
}

/* KEDA's table: messages, published and delivered a second; activation; value, active. */
static void each_mode_is_evaluated_as_in_keda(void **state)
{
    (void)state;
    static const struct {
        const char *mode;
        double messages, published, delivered;
        const char *activation;
        double value;
        bool active;
    } cases[] = {
        {"QueueLength", 7, 100, 200, "6", 7, true},
        {"QueueLength", 7, 100, 200, "7", 7, false},
        {"MessageRate", 0, 3.5, 9, "3", 3.5, true},
        {"MessageRate", 3, 3, 9, "3", 3, false},
        {"MessageRate", 4, 0, 9, "3", 0, true}, /* messages that nobody publishes any more */
        {"DeliverGetRate", 99, 99, 2, "2", 2, false},
        {"DeliverGetRate", 99, 99, 2.1, "2", 2.1, true},
        {"PublishedToDeliveredRatio", 9, 6, 4, "1", 1.5, true},
        {"PublishedToDeliveredRatio", 9, 4, 4, "1", 1, false},
        {"PublishedToDeliveredRatio", 9, 4, 0, "3", 3, true}, /* nobody works */
        {"PublishedToDeliveredRatio", 9, 0.5, 0, "3", 3, true},
        {"PublishedToDeliveredRatio", 9, 0.5, 2, "0", 0.25, true},
        {"PublishedToDeliveredRatio", 9, 0, 4, "0", 0, false},
        {"PublishedToDeliveredRatio", 9, 0, 0, "0", 0, false},
        {"ExpectedQueueConsumptionTime", 30, 10, 4, "8", 9, true},
        {"ExpectedQueueConsumptionTime", 30, 10, 4, "9", 9, false},
        {"ExpectedQueueConsumptionTime", 0, 10, 4, "0", 0, false},
        {"ExpectedQueueConsumptionTime", 30, 10, 0, "3", 3, true}, /* nobody works */
        {"ExpectedQueueConsumptionTime", 1, 0, 0, "3", 3, true},
        {"ExpectedQueueConsumptionTime", 0, 0, 0, "3", 0, false}, /* nothing to work on */
        {"ExpectedQueueConsumptionTime", 1, 5, 4, "0", 0.5, true},
        {"ExpectedQueueConsumptionTime", 1, 0, 4, "0", 0, false}, /* -0.75 */
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct evaluation evaluation;
        TRIGGER(trigger, {"host", HTTP_HOST}, {"mode", cases[i].mode}, {"value", "5"},
                {"activationValue", cases[i].activation});
        assert_good(&trigger);
        assert_true(evaluated_with_rates(&trigger, cases[i].messages, 0, cases[i].published,
                                         cases[i].delivered, &evaluation));
        if (evaluation.value != cases[i].value || evaluation.active != cases[i].active)
            fail_msg("case %zu: %g, %d", i, evaluation.value, evaluation.active);
    }
}

static void rates_that_the_broker_did_not_report_are_an_error(void **state)
{
    (void)state;
    struct evaluation evaluation;
    TRIGGER(trigger, {"host", HTTP_HOST}, {"mode", "DeliverGetRate"}, {"value", "5"});
    assert_true(evaluated_with_rates(&trigger, 1, 0, 1, 1, &evaluation));
    assert_false(evaluated_with_rates(&trigger, 1, 0, NAN, 1, &evaluation));
    assert_false(evaluated_with_rates(&trigger, 1, 0, 1, NAN, &evaluation));
    assert_false(evaluated_with_rates(&trigger, NAN, 0, 1, 1, &evaluation));
}

static void amqp_counts_ready_messages(void **state)
{
    (void)state;
    struct evaluation evaluation;
    TRIGGER(trigger, {"host", AMQP_HOST});
    assert_true(evaluated(&trigger, 37, NAN, &evaluation));
    assert_true(evaluation.value == 37 && evaluation.active);
    assert_true(evaluated(&trigger, 0, NAN, &evaluation));
    assert_true(evaluation.value == 0 && !evaluation.active);
}

static void http_counts_unacknowledged_messages_too(void **state)
{
    (void)state;
    struct evaluation evaluation;
    TRIGGER(all, {"host", HTTP_HOST});
    assert_true(evaluated(&all, 30, 7, &evaluation));
    assert_true(evaluation.value == 37);
    TRIGGER(ready, {"host", HTTP_HOST}, {"excludeUnacknowledged", "true"});
    assert_true(evaluated(&ready, 30, 7, &evaluation));
    assert_true(evaluation.value == 30);
}

static void a_count_that_the_broker_did_not_report_is_an_error(void **state)
{
    (void)state;
    struct evaluation evaluation;
    TRIGGER(http, {"host", HTTP_HOST});
    assert_false(evaluated(&http, 30, NAN, &evaluation));
    assert_false(evaluated(&http, NAN, 7, &evaluation));
    TRIGGER(amqp, {"host", AMQP_HOST});
    assert_false(evaluated(&amqp, NAN, NAN, &evaluation));
}

static void active_is_above_the_activation_value_and_not_at_it(void **state)
{
    (void)state;
    struct evaluation evaluation;
    TRIGGER(trigger, {"host", AMQP_HOST}, {"activationValue", "5"});
    assert_true(evaluated(&trigger, 5, NAN, &evaluation));
    assert_false(evaluation.active);
    assert_true(evaluated(&trigger, 6, NAN, &evaluation));
    assert_true(evaluation.active);
}

static void a_missing_host_is_reported_once(void **state)
{
    (void)state;
    TRIGGER(trigger, {"queueLength", "5"});
    assert_says(&trigger, "host is missing");
    assert_null(strstr(error_text(&trigger.error), "must be a URL"));
}

static void queues_of_one_listing_are_one_bundle(void **state)
{
    (void)state;
    TRIGGER(counted, {"host", HTTP_HOST});
    TRIGGER(rated, {"host", HTTP_HOST}, {"mode", "MessageRate"}, {"value", "5"});
    TRIGGER(pattern, {"host", HTTP_HOST}, {"useRegex", "true"});
    TRIGGER(amqp, {"host", AMQP_HOST});
    _cleanup_(memory_free) char *counts =
        scaler_rabbitmq.bundle(counted.options.connection, counted.options.query);
    _cleanup_(memory_free) char *rates =
        scaler_rabbitmq.bundle(rated.options.connection, rated.options.query);
    assert_string_not_equal(counts, rates);
    _cleanup_(memory_free) char *patterns =
        scaler_rabbitmq.bundle(pattern.options.connection, pattern.options.query);
    assert_string_equal(patterns, counts);
    assert_null(scaler_rabbitmq.bundle(amqp.options.connection, amqp.options.query));
}

static void a_silent_address_does_not_hide_the_next(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct black_hole hole;
    int port = 0;
    int listener = listener_open(1, &port);
    black_hole_open(&hole, "127.0.0.2", port);
    char host[] = "two";
    names_set(host, two_addresses);
    const struct rabbitmq_url url = {.host = host, .port = port};
    const struct tls_options tls = {0};
    struct rabbitmq_socket link;
    if (!rabbitmq_socket_open(&link, &url, &tls, clock_now_ms() + 1000, &error))
        fail_msg("%s", error_text(&error));
    rabbitmq_socket_close(&link);

    close(listener);
    assert_false(rabbitmq_socket_open(&link, &url, &tls, clock_now_ms() + 400, &error));
    assert_non_null(strstr(error_text(&error), "cannot connect to RabbitMQ at two:"));
    rabbitmq_socket_close(&link);
    black_hole_close(&hole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_queue_length_is_the_target),
        cmocka_unit_test(a_mode_and_its_value_are_the_target),
        cmocka_unit_test(without_a_target_it_is_20),
        cmocka_unit_test(the_metric_is_named_as_keda_names_it),
        cmocka_unit_test(each_mode_is_evaluated_as_in_keda),
        cmocka_unit_test(rates_that_the_broker_did_not_report_are_an_error),
        cmocka_unit_test(amqp_counts_ready_messages),
        cmocka_unit_test(http_counts_unacknowledged_messages_too),
        cmocka_unit_test(a_count_that_the_broker_did_not_report_is_an_error),
        cmocka_unit_test(active_is_above_the_activation_value_and_not_at_it),
        cmocka_unit_test(a_missing_host_is_reported_once),
        cmocka_unit_test(queues_of_one_listing_are_one_bundle),
        cmocka_unit_test(a_silent_address_does_not_hide_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
