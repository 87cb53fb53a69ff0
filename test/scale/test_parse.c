/* From metadata and connections to what a trigger measures, and its mistakes. */
#include "scale/fixture.h"

#include <string.h>

static void the_metric_is_named_and_found_as_keda_does(void **state)
{
    (void)state;
    struct trigger *trigger =
        FIND("scaler", "fake", "source", "a", "queueName", "a/b.c:d%e(F)", "queueLength", "2.5");
    assert_string_equal(trigger->parsed.metric_name, "fake-a-b-c-d-e-F-");
    const struct trigger *odd =
        FIND("scaler", "fake", "source", "a", "queueName", "a\nb\tc\x7f\u00e9");
    assert_string_equal(odd->parsed.metric_name, "fake-a-b-c-\u00e9");
    assert_true(trigger->parsed.target == 2.5);
    assert_true(trigger_has_metric(trigger, "fake-a-b-c-d-e-F-"));
    assert_true(trigger_has_metric(trigger, "s0-fake-a-b-c-d-e-F-"));
    assert_true(trigger_has_metric(trigger, "S12-FAKE-a-b-c-d-e-f-"));
    assert_false(trigger_has_metric(trigger, "s-fake-a-b-c-d-e-F-"));
    assert_false(trigger_has_metric(trigger, "x0-fake-a-b-c-d-e-F-"));
    assert_false(trigger_has_metric(trigger, "fake"));
}

static void an_absent_scaler_is_an_error_with_what_to_do(void **state)
{
    (void)state;
    struct trigger *trigger = FIND("scaler", "fake-cluster");
    assert_mistake(trigger, ERROR_INVALID,
                   "scaler \"fake-cluster\" was left out: there are: fake, isolated");
    assert_string_equal(trigger->parsed.metric_name, "backlog-invalid");
}

static void an_unknown_scaler_still_has_a_metric(void **state)
{
    (void)state;
    struct trigger *trigger = FIND("scaler", "fakir");
    assert_string_equal(trigger->parsed.metric_name, "backlog-invalid");
    assert_true(trigger->parsed.target == 1);
    assert_mistake(trigger, ERROR_INVALID,
                   "scaler \"fakir\" is unknown: there are: fake, isolated");
}

static void wrong_metadata_still_has_a_metric_with_the_default_target(void **state)
{
    (void)state;
    struct trigger *trigger = FIND("scaler", "fake", "queueLength", "0", "queueNam", "q");
    assert_string_equal(trigger->parsed.metric_name, "fake-");
    assert_true(trigger->parsed.target == 5);
    assert_mistake(trigger, ERROR_INVALID, "source is missing");
    assert_mistake(trigger, ERROR_INVALID, "queueLength \"0\" must be");
    assert_mistake(trigger, ERROR_INVALID, "did you mean \"queueName\"?");
}

static void kedas_own_keys_are_allowed(void **state)
{
    (void)state;
    struct trigger *trigger =
        FIND(GOOD, "scalerAddress", "backlog:9090", "enableTLS", "true", "unsafeSsl", "false",
             "caCert", "x", "tlsClientCert", "x", "tlsClientKey", "x", "metricName", "old");
    assert_false(error_is_set(&trigger->parsed.mistakes));
}

static void a_trigger_has_its_own_interval_and_hold(void **state)
{
    (void)state;
    struct trigger *standard = FIND(GOOD, "interval", " ");
    assert_int_equal(standard->parsed.rules.interval_ms, 5000);
    assert_int_equal(standard->parsed.rules.hold_ms, 60000);
    struct trigger *own = FIND(GOOD, "interval", "1m30s", "hold", "0s");
    assert_string_equal(error_text(&own->parsed.mistakes), "");
    assert_int_equal(own->parsed.rules.interval_ms, 90000);
    assert_int_equal(own->parsed.rules.hold_ms, 0);

    struct trigger *wrong = FIND(GOOD, "interval", "30ms", "hold", "60", "holt", "1s");
    assert_mistake(wrong, ERROR_INVALID, "interval \"30ms\" must be a duration");
    assert_mistake(wrong, ERROR_INVALID, "from 1s to 1h");
    assert_mistake(wrong, ERROR_INVALID, "hold \"60\" must have a unit, as in 30s, 5m or 500ms");
    assert_mistake(wrong, ERROR_INVALID, "unknown key \"holt\": did you mean \"hold\"?");
}

static void a_named_connection_brings_its_keys(void **state)
{
    (void)state;
    struct trigger *trigger = FIND("scaler", "fake", "connectionName", "orders", "queueName", "7");
    assert_string_equal(error_text(&trigger->parsed.mistakes), "");
    struct trigger *same = FIND("scaler", "fake", "connectionName", "orders", "queueName", "7",
                                "source", " amqp://orders ");
    assert_string_equal(error_text(&same->parsed.mistakes), "");
    struct trigger *blank =
        FIND("scaler", "fake", "connectionName", "orders", "queueName", "7", "source", " ");
    assert_string_equal(error_text(&blank->parsed.mistakes), "");
    assert_string_equal(trigger->parsed.values[OPTION_CONNECTION]->identity,
                        blank->parsed.values[OPTION_CONNECTION]->identity);
    assert_string_equal(trigger->parsed.values[OPTION_CONNECTION]->identity,
                        same->parsed.values[OPTION_CONNECTION]->identity);
}

/* Those that are before them in the order of the keys, and those behind. */
static void the_keys_beside_those_of_a_named_connection_stay(void **state)
{
    (void)state;
    struct trigger *trigger =
        FIND(ORDERS, "password", " ", "passwordFromEnv", " ", "queueLength", "9");
    assert_string_equal(error_text(&trigger->parsed.mistakes), "");
    assert_float_equal(trigger->parsed.target, 9, 0);
}

static void a_key_that_differs_from_the_named_connections_is_refused(void **state)
{
    (void)state;
    assert_mistake(FIND("scaler", "fake", "connectionName", "orders", "queueName", "7", "source",
                        "amqp://evil"),
                   ERROR_INVALID, "source differs from that of connection \"orders\"");
    assert_mistake(FIND("scaler", "fake", "connectionName", "orders", "queueName", "7",
                        "sourceFromEnv", "amqp://evil"),
                   ERROR_INVALID, "sourceFromEnv differs from that of connection \"orders\"");
}

/* Who guesses must not learn that a guess was right. */
static void a_secret_beside_a_named_connection_is_refused_whatever_it_is(void **state)
{
    (void)state;
    set_connections("connections:\n  orders: {scaler: fake, source: a, password: s3cret}\n");
    struct trigger *right = FIND(ORDERS, "password", "s3cret");
    struct trigger *wrong = FIND(ORDERS, "password", "wrong");
    assert_mistake(right, ERROR_INVALID, "password may hold a secret, and is not compared");
    assert_string_equal(error_text(&right->parsed.mistakes), error_text(&wrong->parsed.mistakes));
    triggers_expire(triggers, 5000);
    assert_mistake(FIND(ORDERS, "passwordFromEnv", "x"), ERROR_INVALID, "passwordFromEnv may hold");
    assert_false(error_is_set(&FIND(ORDERS, "password", " ")->parsed.mistakes));
}

static void inline_connections_can_be_denied(void **state)
{
    tear_down(state);
    start_triggers(true);
    struct trigger *denied = FIND(GOOD, "password", "x", "queueLength", "2");
    assert_mistake(denied, ERROR_DENIED,
                   "only connections of the connections file may be used "
                   "(--deny-inline-connections): name one in connectionName, "
                   "in place of password, source");
    assert_int_equal(denied->phase, TRIGGER_INVALID);
    assert_true(denied->parsed.target == 2);
    assert_mistake(FIND("scaler", "fake", "queueName", "7"), ERROR_DENIED,
                   "name one in connectionName");
    assert_false(error_is_set(&FIND(ORDERS)->parsed.mistakes));
}

static void a_named_connection_is_for_its_namespaces(void **state)
{
    (void)state;
    const char *const pairs[] = {"scaler", "fake", "connectionName", "orders", "queueName",
                                 "7",      NULL};
    assert_false(error_is_set(&find_in("billing-eu", 0, pairs)->parsed.mistakes));
    assert_mistake(find_in("kitchen", 0, pairs), ERROR_DENIED,
                   "connection \"orders\" cannot be used in namespace \"kitchen\"");
}

static void an_unusable_connection_does_not_hide_the_other_mistakes(void **state)
{
    (void)state;
    struct trigger *trigger =
        FIND("scaler", "fake", "connectionName", "ordres", "queueName", "7", "queueLength", "x");
    assert_mistake(trigger, ERROR_INVALID,
                   "connectionName \"ordres\" is not in the connections file");
    assert_mistake(trigger, ERROR_INVALID, "queueLength \"x\" must be");
    assert_null(strstr(error_text(&trigger->parsed.mistakes), "source is missing"));
    assert_mistake(FIND("scaler", "fake", "connectionName", "other", "queueName", "7"),
                   ERROR_INVALID, "connection \"other\" is one of scaler isolated, not of fake");
}

static void a_policy_needs_what_the_source_reports(void **state)
{
    (void)state;
    assert_mistake(FIND(GOOD, "maxWait", "60s"), ERROR_INVALID, "which fake does not report here");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_metric_is_named_and_found_as_keda_does),
        TEST(an_absent_scaler_is_an_error_with_what_to_do),
        TEST(an_unknown_scaler_still_has_a_metric),
        TEST(wrong_metadata_still_has_a_metric_with_the_default_target),
        TEST(kedas_own_keys_are_allowed),
        TEST(a_trigger_has_its_own_interval_and_hold),
        TEST(a_named_connection_brings_its_keys),
        TEST(the_keys_beside_those_of_a_named_connection_stay),
        TEST(a_key_that_differs_from_the_named_connections_is_refused),
        TEST(a_secret_beside_a_named_connection_is_refused_whatever_it_is),
        TEST(inline_connections_can_be_denied),
        TEST(a_named_connection_is_for_its_namespaces),
        TEST(an_unusable_connection_does_not_hide_the_other_mistakes),
        TEST(a_policy_needs_what_the_source_reports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
