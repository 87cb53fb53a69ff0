#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler.h"
#include "rabbitmq/options.h"
#include "scalers/trigger.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

extern const struct scaler scaler_rabbitmq;

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
    struct plan plan = {0};
    scaler_rabbitmq.plan(&trigger->options, &plan);
    free(plan.metric_name);
    return plan.target;
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
        struct rabbitmq_connection connection = {.host = ""};
        struct rabbitmq_query query = {.queue_name = names[i][0]};
        struct rabbitmq_target target = {0};
        struct plan plan = {0};
        scaler_rabbitmq.plan(&(struct options){&connection, &query, &target}, &plan);
        assert_string_equal(plan.metric_name, names[i][1]);
        free(plan.metric_name);
    }
}

static bool judged_with_rates(const struct trigger *trigger, double ready, double unacknowledged,
                              double published, double delivered, struct judgement *ret_judgement)
{
    _cleanup_(error_done) struct error error = {0};
    struct reading reading = READING_UNKNOWN;
    reading.waiting = ready;
    reading.in_flight = unacknowledged;
    reading.arrival_rate = published;
    reading.consumption_rate = delivered;
    return scaler_rabbitmq.judge(&trigger->options, &reading, ret_judgement, &error);
}

static bool judged(const struct trigger *trigger, double ready, double unacknowledged,
                   struct judgement *ret_judgement)
{
    return judged_with_rates(trigger, ready, unacknowledged, NAN, NAN, ret_judgement);
}

/* KEDA's table: messages, published and delivered a second; activation; value, active. */
static void each_mode_is_judged_as_keda_judges_it(void **state)
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
        {"PublishedToDeliveredRatio", 9, 0, 4, "0", 0, false},
        {"PublishedToDeliveredRatio", 9, 0, 0, "0", 0, false},
        {"ExpectedQueueConsumptionTime", 30, 10, 4, "8", 9, true},
        {"ExpectedQueueConsumptionTime", 30, 10, 4, "9", 9, false},
        {"ExpectedQueueConsumptionTime", 0, 10, 4, "0", 0, false},
        {"ExpectedQueueConsumptionTime", 30, 10, 0, "3", 3, true}, /* nobody works */
        {"ExpectedQueueConsumptionTime", 1, 0, 4, "0", 0, false},  /* -0.75 */
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct judgement judgement;
        TRIGGER(trigger, {"host", HTTP_HOST}, {"mode", cases[i].mode}, {"value", "5"},
                {"activationValue", cases[i].activation});
        assert_good(&trigger);
        assert_true(judged_with_rates(&trigger, cases[i].messages, 0, cases[i].published,
                                      cases[i].delivered, &judgement));
        if (judgement.value != cases[i].value || judgement.active != cases[i].active)
            fail_msg("case %zu: %g, %d", i, judgement.value, judgement.active);
    }
}

static void rates_that_the_broker_did_not_tell_are_an_error(void **state)
{
    (void)state;
    struct judgement judgement;
    TRIGGER(trigger, {"host", HTTP_HOST}, {"mode", "DeliverGetRate"}, {"value", "5"});
    assert_true(judged_with_rates(&trigger, 1, 0, 1, 1, &judgement));
    assert_false(judged_with_rates(&trigger, 1, 0, NAN, 1, &judgement));
    assert_false(judged_with_rates(&trigger, 1, 0, 1, NAN, &judgement));
    assert_false(judged_with_rates(&trigger, NAN, 0, 1, 1, &judgement));
}

static void amqp_counts_ready_messages(void **state)
{
    (void)state;
    struct judgement judgement;
    TRIGGER(trigger, {"host", AMQP_HOST});
    assert_true(judged(&trigger, 37, NAN, &judgement));
    assert_true(judgement.value == 37 && judgement.active);
    assert_true(judged(&trigger, 0, NAN, &judgement));
    assert_true(judgement.value == 0 && !judgement.active);
}

static void http_counts_unacknowledged_messages_too(void **state)
{
    (void)state;
    struct judgement judgement;
    TRIGGER(all, {"host", HTTP_HOST});
    assert_true(judged(&all, 30, 7, &judgement));
    assert_true(judgement.value == 37);
    TRIGGER(ready, {"host", HTTP_HOST}, {"excludeUnacknowledged", "true"});
    assert_true(judged(&ready, 30, 7, &judgement));
    assert_true(judgement.value == 30);
}

static void a_count_that_the_broker_did_not_tell_is_an_error(void **state)
{
    (void)state;
    struct judgement judgement;
    TRIGGER(http, {"host", HTTP_HOST});
    assert_false(judged(&http, 30, NAN, &judgement));
    assert_false(judged(&http, NAN, 7, &judgement));
    TRIGGER(amqp, {"host", AMQP_HOST});
    assert_false(judged(&amqp, NAN, NAN, &judgement));
}

static void active_is_above_the_activation_value_and_not_at_it(void **state)
{
    (void)state;
    struct judgement judgement;
    TRIGGER(trigger, {"host", AMQP_HOST}, {"activationValue", "5"});
    assert_true(judged(&trigger, 5, NAN, &judgement));
    assert_false(judgement.active);
    assert_true(judged(&trigger, 6, NAN, &judgement));
    assert_true(judgement.active);
}

static void a_missing_host_is_told_once(void **state)
{
    (void)state;
    TRIGGER(trigger, {"queueLength", "5"});
    assert_says(&trigger, "host is missing");
    assert_null(strstr(error_text(&trigger.error), "must be a URL"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_queue_length_is_the_target),
        cmocka_unit_test(a_mode_and_its_value_are_the_target),
        cmocka_unit_test(without_a_target_it_is_20),
        cmocka_unit_test(the_metric_is_named_as_keda_names_it),
        cmocka_unit_test(each_mode_is_judged_as_keda_judges_it),
        cmocka_unit_test(rates_that_the_broker_did_not_tell_are_an_error),
        cmocka_unit_test(amqp_counts_ready_messages),
        cmocka_unit_test(http_counts_unacknowledged_messages_too),
        cmocka_unit_test(a_count_that_the_broker_did_not_tell_is_an_error),
        cmocka_unit_test(active_is_above_the_activation_value_and_not_at_it),
        cmocka_unit_test(a_missing_host_is_told_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
