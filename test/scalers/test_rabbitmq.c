#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler.h"
#include "rabbitmq/url.h"
#include "scalers/trigger.h"

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

static struct rabbitmq_url parsed(const struct rabbitmq_connection *options)
{
    struct error error = {0};
    struct rabbitmq_url url = {0};
    if (!rabbitmq_url_parse(options, &url, &error))
        fail_msg("%s: %s", options->host, error_text(&error));
    return url;
}

static struct rabbitmq_url parsed_host(const char *host)
{
    return parsed(&(struct rabbitmq_connection){.host = host});
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
        struct rabbitmq_query query = {names[i][0]};
        struct rabbitmq_target target = {0};
        struct plan plan = {0};
        scaler_rabbitmq.plan(&(struct options){&connection, &query, &target}, &plan);
        assert_string_equal(plan.metric_name, names[i][1]);
        free(plan.metric_name);
    }
}

static bool judged(const struct trigger *trigger, double ready, double unacknowledged,
                   struct judgement *ret_judgement)
{
    _cleanup_(error_done) struct error error = {0};
    struct reading reading = READING_UNKNOWN;
    reading.waiting = ready;
    reading.in_flight = unacknowledged;
    return scaler_rabbitmq.judge(&trigger->options, &reading, ret_judgement, &error);
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

static void an_amqp_url_is_taken_apart(void **state)
{
    (void)state;
    _cleanup_(rabbitmq_url_done) struct rabbitmq_url url =
        parsed_host("AMQPS://us%65r:p%40ss%2Fw%3Ard@rabbit.prod:1234/a%2Fb?heartbeat=10");
    assert_true(url.tls && !url.http);
    assert_string_equal(url.host, "rabbit.prod");
    assert_int_equal(url.port, 1234);
    assert_string_equal(url.user, "user");
    assert_string_equal(url.password, "p@ss/w:rd");
    assert_string_equal(url.vhost, "a/b");
}

static void the_management_api_may_stand_behind_a_prefix(void **state)
{
    (void)state;
    _cleanup_(rabbitmq_url_done) struct rabbitmq_url url =
        parsed_host("https://rabbit/some/path/vh");
    assert_true(url.tls && url.http);
    assert_int_equal(url.port, 443);
    assert_null(url.user);
    assert_string_equal(url.prefix, "/some/path");
    assert_string_equal(url.vhost, "vh");
}

static void an_empty_path_is_the_default_vhost(void **state)
{
    (void)state;
    static const char *const hosts[] = {
        "amqp://rabbit",     "amqp://rabbit/",     "amqp://rabbit/%2f",     "amqp://rabbit?a=b",
        "http://rabbit",     "http://rabbit/",     "http://rabbit/%2F",     "http://rabbit/path/",
        "http://rabbit#a/b", "amqp://[::1]:5672/", "http://[fe80::1]/%2f?", "http://rabbit:/",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(hosts); i++) {
        _cleanup_(rabbitmq_url_done) struct rabbitmq_url url = parsed_host(hosts[i]);
        assert_string_equal(url.vhost, "/");
    }
}

static void an_ipv6_address_loses_its_brackets(void **state)
{
    (void)state;
    _cleanup_(rabbitmq_url_done) struct rabbitmq_url url = parsed_host("amqp://u:p@[fe80::1]:99/v");
    assert_string_equal(url.host, "fe80::1");
    assert_int_equal(url.port, 99);
}

static void keys_override_what_the_host_says(void **state)
{
    (void)state;
    const struct rabbitmq_connection options = {
        .host = "amqp://u:p@rabbit/v", .username = "me", .password = "mine", .vhost_name = "w"};
    _cleanup_(rabbitmq_url_done) struct rabbitmq_url url = parsed(&options);
    assert_string_equal(url.user, "me");
    assert_string_equal(url.password, "mine");
    assert_string_equal(url.vhost, "w");
}

static void amqp_without_a_user_is_guest(void **state)
{
    (void)state;
    _cleanup_(rabbitmq_url_done) struct rabbitmq_url none = parsed_host("amqp://rabbit");
    assert_string_equal(none.user, "guest");
    assert_string_equal(none.password, "guest");
    _cleanup_(rabbitmq_url_done) struct rabbitmq_url half = parsed_host("amqp://me@rabbit");
    assert_string_equal(half.user, "me");
    assert_string_equal(half.password, "guest");
}

static void a_wrong_url_is_refused_without_showing_it(void **state)
{
    (void)state;
    static const char *const hosts[] = {
        "rabbit:5672",
        "amqp:/secret@rabbit",
        "ftp://u:secret@rabbit/",
        "amqp://",
        "amqp://u:secret@",
        "amqp://u:secret@:5672/",
        "amqp://u:secret%zz@rabbit",
        "amqp://u:secret%4",
        "amqp://u:secret%00@rabbit",
        "amqp://u:sec#ret@rabbit/",
        "amqp://u:sec/ret@rabbit/",
        "amqp://u:secret@rabbit:0/",
        "amqp://u:secret@rabbit:65536/",
        "amqp://u:secret@rabbit:99999999999999999999/",
        "amqp://u:secret@rabbit:56a/",
        "amqp://u:secret@[::1/",
        "amqp://u:secret@[::1]5672/",
        "amqp://u:secret@rabbit/%",
        "amqp://u:secret@rab bit/",
        "amqp://u:secret@rabbit/a\nb",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(hosts); i++) {
        _cleanup_(error_done) struct error error = {0};
        _cleanup_(rabbitmq_url_done) struct rabbitmq_url url = {0};
        const struct rabbitmq_connection options = {.host = hosts[i]};
        if (rabbitmq_url_parse(&options, &url, &error))
            fail_msg("%s was taken", hosts[i]);
        assert_int_equal(error.code, ERROR_INVALID);
        assert_true(text_starts_with(error_text(&error), "host"));
        assert_null(strstr(error_text(&error), "sec"));
        assert_null(url.host);
    }
}

static void names_are_escaped_for_paths_without_plus(void **state)
{
    (void)state;
    _cleanup_(memory_free) char *escaped = rabbitmq_url_escaped("a b/c%d+e?f#g");
    assert_string_equal(escaped, "a%20b%2Fc%25d%2Be%3Ff%23g");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_queue_length_is_the_target),
        cmocka_unit_test(a_mode_and_its_value_are_the_target),
        cmocka_unit_test(without_a_target_it_is_20),
        cmocka_unit_test(the_metric_is_named_as_keda_names_it),
        cmocka_unit_test(amqp_counts_ready_messages),
        cmocka_unit_test(http_counts_unacknowledged_messages_too),
        cmocka_unit_test(a_count_that_the_broker_did_not_tell_is_an_error),
        cmocka_unit_test(active_is_above_the_activation_value_and_not_at_it),
        cmocka_unit_test(a_missing_host_is_told_once),
        cmocka_unit_test(an_amqp_url_is_taken_apart),
        cmocka_unit_test(the_management_api_may_stand_behind_a_prefix),
        cmocka_unit_test(an_empty_path_is_the_default_vhost),
        cmocka_unit_test(an_ipv6_address_loses_its_brackets),
        cmocka_unit_test(keys_override_what_the_host_says),
        cmocka_unit_test(amqp_without_a_user_is_guest),
        cmocka_unit_test(a_wrong_url_is_refused_without_showing_it),
        cmocka_unit_test(names_are_escaped_for_paths_without_plus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
