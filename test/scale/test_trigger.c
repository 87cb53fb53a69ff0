#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "scale/fixture.h"
#include "scale/trigger/trigger_answers.h"
#include "scale/trigger/trigger_objects.h"
#include "scale/trigger/trigger_peers.h"
#include "scale/trigger/trigger_replay.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FIND_AT(now_ms, ...) find_in("shop", now_ms, (const char *const[]){__VA_ARGS__, NULL})

static void the_order_of_the_metadata_does_not_matter(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(GOOD);
    assert_ptr_equal(trigger, FIND("queueName", "7", "scaler", "fake", "source", "a"));
    assert_ptr_not_equal(trigger, FIND("queueName", "8", "scaler", "fake", "source", "a"));
    assert_int_equal(triggers_count(triggers), 2);
}

static void a_key_that_is_there_twice_is_refused(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct option_entry entries[] = {{"scaler", "fake"}, {"queueName", "1"}, {"scaler", "fake"}};
    struct trigger_ref ref = {"worker", "shop", entries, 3};
    struct trigger *trigger = NULL;
    assert_false(triggers_find(triggers, &ref, 0, &trigger, &error));
    assert_int_equal(error.code, ERROR_INVALID);
    assert_string_equal(error_text(&error), "scalerMetadata has the key \"scaler\" twice");
}

static void the_metric_is_named_and_found_as_keda_does(void **state)
{
    (void)state;
    struct trigger *trigger =
        FIND("scaler", "fake", "source", "a", "queueName", "a/b.c:d%e(F)", "queueLength", "2.5");
    assert_string_equal(trigger->parsed.metric_name, "fake-a-b-c-d-e-F-");
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

static void a_limit_on_inline_connections_is_an_error_and_an_expired_trigger_frees_one(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct query *query = NULL;
    query_of(FIND(GOOD));
    query_of(FIND(ORDERS));
    struct trigger *other = FIND("scaler", "fake", "source", "b", "queueName", "7");
    assert_false(triggers_acquire_query(triggers, other, clock_now_ms(), &query, &error));
    assert_int_equal(error.code, ERROR_LIMIT);
    triggers_expire(triggers, 1000);
    other = FIND("scaler", "fake", "source", "b", "queueName", "7");
    while (!triggers_acquire_query(triggers, other, clock_now_ms(), &query,
                                   &error)) { /* its thread is to end */
        assert_int_equal(error.code, ERROR_LIMIT);
        usleep(1000);
    }
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
    assert_null(figures.status);
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
    int64_t now_ms = report.snapshot.sent_ms + 4000;
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

#define JOBS "scaler", "fake", "source", "a", "queueName", "jobs", "steps", "1=1, 10=5"

static double replicas_now(const struct trigger *trigger)
{
    struct trigger_report now;
    trigger_report(trigger, clock_now_ms(), &now);
    double replicas = now.answer.kind == ANSWER_VALUE ? now.answer.replicas : -1;
    trigger_report_done(&now);
    return replicas;
}

/* The level of 20 is left below 1 alone. */
static void a_policy_decides_at_each_reading_whoever_reads_it(void **state)
{
    (void)state;
    fake_set_queue("jobs", 20);
    struct trigger *trigger = FIND(JOBS);
    query_of(trigger);
    measure_again(trigger);
    fake_set_queue("jobs", 5);
    measure_again(trigger);
    assert_true(replicas_now(trigger) == 5);
    fake_set_queue("jobs", 0);
    measure_again(trigger);
    fake_set_queue("jobs", 5);
    measure_again(trigger);
    assert_true(replicas_now(trigger) == 1);
}

/* Where the HPA is to see that it is at its maximum, the value is of more. */
static void at_the_maximum_replicas_are_what_the_policy_wants(void **state)
{
    (void)state;
    _cleanup_(answer_done) struct answer answer = {0};
    fake_set_queue("jobs", 20);
    struct trigger *trigger = FIND(JOBS, "maxReplicaCount", "3");
    struct answer_call call = {.arrived_ms = clock_now_ms()};
    query_of(trigger);
    measure_again(trigger);
    trigger_decide(trigger, &call, clock_now_ms(), &answer);
    assert_int_equal(answer.kind, ANSWER_VALUE);
    assert_true(answer.value > 3 * trigger->parsed.target);
    assert_true(answer.replicas == 3);
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
    struct snapshot snapshot = {.last_attempt = ATTEMPT_FAILED,
                                .is_measured = true,
                                .reading = READING_UNKNOWN,
                                .sent_ms = now_ms - 5000,
                                .failed_at_ms = now_ms - 100,
                                .failing_since_ms = now_ms - 1000};
    snapshot.reading.waiting = 100;
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
    const struct snapshot snapshot = {.last_attempt = ATTEMPT_FAILED,
                                      .is_measured = true,
                                      .reading = READING_UNKNOWN,
                                      .sent_ms = now_ms - 5000,
                                      .failed_at_ms = now_ms - 100,
                                      .failing_since_ms = now_ms - 1000};
    struct trigger_policy_copy found = {.evaluated = {.is_good = true, .evaluation = {20, true}}};
    found.effective.result.replicas = 7;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        _cleanup_(answer_done) struct answer answer = {0};
        struct trigger *trigger = FIND(JOBS, "maxReplicaCount", rows[i].max);
        assert_true(trigger->policy != NULL && trigger->policy->effective.is_on);
        trigger_decide_by(trigger, &snapshot, &found, &call, now_ms, &answer);
        assert_true(answer.kind == ANSWER_VALUE && answer.held);
        assert_float_equal(answer.replicas, rows[i].replicas, 0);
    }
}

/* One replica for each message in flight. */
static struct trigger_policy *policy_of_in_flight(void)
{
    struct trigger_policy *policy = memory_new(sizeof(*policy));
    policy->effective.is_on = true;
    policy->effective.settings.in_flight_per_replica = 1;
    policy->basis.threshold = 5;
    return policy;
}

enum { INTERVAL_MS = 5000 };

static void decide_at(struct trigger_policy *policy, struct recent_samples *recent, int interval,
                      double in_flight)
{
    const struct trigger_policy_owner owner = {"shop", "worker"};
    struct evaluation_result evaluated = {.is_good = true,
                                          .evaluation = {.value = 20, .active = true}};
    struct reading reading = READING_UNKNOWN;
    reading.waiting = 20;
    reading.in_flight = in_flight;
    recent_samples_add(recent, interval * (int64_t)INTERVAL_MS, &reading);
    trigger_policy_decide(policy, &owner, recent, &evaluated);
}

/* The next reading lacks what the settings need: the decision before says nothing about it. */
static void a_policy_that_cannot_decide_gives_no_value(void **state)
{
    (void)state;
    struct trigger_policy *policy = policy_of_in_flight();
    struct recent_samples recent = {.interval_ms = INTERVAL_MS};
    for (int i = 1; i <= 2; i++) {
        _cleanup_(trigger_policy_copy_done) struct trigger_policy_copy copy = {0};
        bool is_known = i == 1;
        decide_at(policy, &recent, i, is_known ? 30 : NAN);
        trigger_policy_copy(policy, 0, &copy);
        assert_int_equal(copy.evaluated.is_good, is_known);
        assert_int_equal(copy.effective.has_decided, is_known);
        assert_true(!is_known || copy.evaluated.evaluation.value == 30);
    }
    trigger_policy_free(policy);
}

static void a_policy_is_logged_when_it_changes_and_at_most_once_a_minute(void **state)
{
    (void)state;
    static const struct {
        int interval, in_flight, logged_interval;
    } decisions[] = {{1, 30, 1}, {2, 31, 1}, {12, 32, 1}, {13, 32, 13}, {26, 32, 13}, {27, 33, 27}};
    struct trigger_policy *policy = policy_of_in_flight();
    struct recent_samples recent = {.interval_ms = INTERVAL_MS};
    for (size_t i = 0; i < ARRAY_LENGTH(decisions); i++) {
        decide_at(policy, &recent, decisions[i].interval, decisions[i].in_flight);
        assert_int_equal(policy->logged_at_ms, decisions[i].logged_interval * INTERVAL_MS);
    }
    assert_int_equal(policy->logged_replicas, 33);
    trigger_policy_free(policy);
}

static void the_last_changes_of_a_policy_are_kept(void **state)
{
    (void)state;
    enum { SAME = 3, INTERVALS = SAME + TRIGGER_POLICY_CHANGES + 2 };
    struct trigger_policy *policy = policy_of_in_flight();
    struct recent_samples recent = {.interval_ms = INTERVAL_MS};
    for (int i = 1; i <= SAME; i++)
        decide_at(policy, &recent, i, 30);
    assert_int_equal(policy->change_count, 1);
    for (int i = SAME + 1; i <= INTERVALS; i++)
        decide_at(policy, &recent, i, 30 + i);

    _cleanup_(trigger_policy_copy_done) struct trigger_policy_copy copy = {0};
    trigger_policy_copy(policy, TRIGGER_COPY_CHANGES, &copy);
    assert_int_equal(copy.change_count, TRIGGER_POLICY_CHANGES);
    const int first = INTERVALS + 1 - TRIGGER_POLICY_CHANGES;
    for (int i = first; i <= INTERVALS; i++) {
        const struct trigger_policy_change *change = &copy.changes[i - first];
        assert_int_equal(change->at_ms, i * INTERVAL_MS);
        assert_int_equal(change->replicas, 30 + i);
        assert_true(change->value == 30 + i);
        assert_true(change->active);
        assert_int_equal(change->term, POLICY_BY_IN_FLIGHT);
        assert_ptr_equal(trigger_policy_at(&copy, (i + 1) * INTERVAL_MS - 1), change);
    }
    assert_null(trigger_policy_at(&copy, first * INTERVAL_MS - 1));
    trigger_policy_free(policy);
}

/* There are up to 120, for each of the dashboard's rows, once a second. */
static void the_changes_of_a_policy_are_copied_for_the_past_alone(void **state)
{
    (void)state;
    struct trigger_report report;
    fake_set_queue("jobs", 20);
    struct trigger *trigger = FIND(JOBS);
    query_of(trigger);
    measure_again(trigger);
    assert_true(trigger->policy->change_count > 0);
    trigger_report(trigger, clock_now_ms(), &report);
    assert_null(report.policy.changes);
    assert_true(report.policy.effective.words.length > 0);
    trigger_report_done(&report);
    trigger_report_with_changes(trigger, clock_now_ms(), &report);
    assert_true(report.policy.change_count > 0);
    assert_true(report.policy.effective.words.length > 0);
    trigger_report_done(&report);
}

/* 2.2 of the history is a float, which is a little more. */
static void past_replicas_of_a_policy_are_of_what_was_measured(void **state)
{
    (void)state;
    struct trigger_report now, past;
    struct snapshot snapshot = {.last_attempt = ATTEMPT_GOOD,
                                .is_measured = true,
                                .reading = READING_UNKNOWN,
                                .sent_ms = clock_now_ms()};
    struct trigger *trigger = FIND("scaler", "fake", "source", "a", "queueName", "jobs",
                                   "queueLength", "1.1", "steps", "100=9");
    query_of(trigger);
    trigger_report_with_changes(trigger, snapshot.sent_ms, &now);
    snapshot.reading.waiting = (double)2.2F;
    trigger_report_past(trigger, &now, &snapshot, NULL, snapshot.sent_ms, &past);
    assert_int_equal(past.answer.kind, ANSWER_VALUE);
    assert_true(past.answer.replicas == 2);
    assert_null(past.error);
    trigger_report_done(&past);
    trigger_report_done(&now);
}

/* The sample before it has what is held. */
static void a_past_answer_is_the_same_where_fewer_are_wanted(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(GOOD);
    query_of(trigger);
    wait_until_measured(trigger);
    fake_set_queue("7", FAKE_MISSING);
    wait_until_failed(trigger);
    _cleanup_(trigger_report_done) struct trigger_report now = {0};
    trigger_report_with_changes(trigger, clock_now_ms(), &now);
    for (size_t max = 0; max <= 2; max++) {
        _cleanup_(memory_free) struct trigger_figures *rows = NULL;
        bool has_more = false;
        assert_int_equal(trigger_replay(trigger, &now, max, &rows, &has_more), max);
        assert_int_equal(has_more, max < 2);
        if (max == 0)
            continue;
        assert_string_equal(rows[max - 1].state, "held");
        assert_float_equal(rows[max - 1].value, 7, 0);
    }
}

/* Between two readings, and not since a failure in between. */
static void arrivals_of_the_past_are_what_waiting_grew_by(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(GOOD);
    query_of(trigger);
    wait_until_measured(trigger);
    fake_set_queue("7", FAKE_MISSING);
    wait_until_failed(trigger);
    fake_set_queue("7", 20);
    measure_again(trigger);
    _cleanup_(trigger_report_done) struct trigger_report now = {0};
    _cleanup_(memory_free) struct trigger_figures *rows = NULL;
    bool has_more = false;
    trigger_report_with_changes(trigger, clock_now_ms(), &now);
    assert_int_equal(trigger_replay(trigger, &now, 3, &rows, &has_more), 3);
    double seconds = (double)(rows[2].at_ms - rows[0].at_ms) / 1000;
    assert_float_equal(rows[0].arrivals * seconds, 13, 1e-6);
    assert_true(isnan(rows[1].arrivals) && isnan(rows[2].arrivals));
}

/* All that pages and calls do, between two readings. */
static void observers_change_nothing(void **state)
{
    (void)state;
    _cleanup_(answer_done) struct answer answer = {0};
    fake_set_queue("jobs", 20);
    struct trigger *trigger = FIND(JOBS, "maxReplicaCount", "9", "shadow", "steps=5=2");
    query_of(trigger);
    measure_again(trigger);
    const struct policy_state before = trigger->policy->effective.state;
    const struct policy_state shadow = trigger->policy->shadow.state;
    const struct peak_value *peak = trigger->answers.peak;
    for (int i = 0; i < 50; i++) {
        struct answer_call call = {.arrived_ms = clock_now_ms(), .out_of_time = true};
        assert_true(replicas_now(trigger) == 5);
        trigger_decide(trigger, &call, clock_now_ms(), &answer);
        assert_int_equal(answer.policy.replicas, 5);
        assert_int_equal(answer.policy.shadow_replicas, 2);
        answer_done(&answer);
        usleep(1000);
    }
    assert_memory_equal(&trigger->policy->effective.state, &before, sizeof(before));
    assert_memory_equal(&trigger->policy->shadow.state, &shadow, sizeof(shadow));
    assert_ptr_equal(trigger->answers.peak, peak);
}

/* A shadow changes no answer. */
static void with_a_shadow_alone_the_threshold_says_how_many_replicas(void **state)
{
    (void)state;
    fake_set_queue("jobs", 21);
    struct trigger *trigger =
        FIND("scaler", "fake", "source", "a", "queueName", "jobs", "shadow", "steps=1=2");
    query_of(trigger);
    measure_again(trigger);
    assert_true(replicas_now(trigger) == 5);
}

/* The other trigger had no use for samples, and its reading is known. */
static void a_policy_begins_with_the_reading_that_is_known(void **state)
{
    (void)state;
    fake_set_queue("jobs", 20);
    struct trigger *other = FIND("scaler", "fake", "source", "a", "queueName", "jobs");
    query_of(other);
    wait_until_measured(other);
    fake_set_queue("jobs", FAKE_HANGS);
    struct trigger *trigger = FIND(JOBS);
    assert_ptr_equal(query_of(trigger), query_of(other));
    assert_true(replicas_now(trigger) == 5);
}

/* It is not made younger by those who have it of others: it ends for all at one time. */
static void what_the_policies_of_other_replicas_wanted_ends(void **state)
{
    (void)state;
    enum { AGE_MS = 20 * 1000, LEFT_MS = 40 * 1000 };
    struct peer_values *values = peer_values_new();
    struct peer_value value = {0};
    fake_set_queue("jobs", 20);
    struct trigger *trigger = FIND(JOBS, "hold", "1m");
    query_of(trigger);
    measure_again(trigger);
    int64_t now_ms = clock_now_ms();
    assert_true(trigger_peers_give(trigger, now_ms, &value));
    int64_t own = value.policy_peak;
    assert_int_equal(value.policy_peak_ms, now_ms);

    value.policy_peak = 1000;
    value.policy_peak_ms = now_ms - AGE_MS;
    assert_true(peer_values_add(values, &value, now_ms));
    trigger_peers_take(trigger, values, now_ms);
    assert_int_equal(trigger->policy->effective.state.peak.own, own);
    assert_int_equal(trigger->policy->effective.state.peak.peers_until_ms, now_ms + LEFT_MS);
    assert_true(trigger_peers_give(trigger, now_ms, &value));
    assert_int_equal(value.policy_peak, 1000);
    assert_int_equal(value.policy_peak_ms, now_ms - AGE_MS);

    value.policy_peak = (int64_t)POLICY_MAX_REPLICAS + 1;
    value.policy_peak_ms = now_ms;
    assert_true(peer_values_add(values, &value, now_ms));
    trigger_peers_take(trigger, values, now_ms);
    assert_int_equal(trigger->policy->effective.state.peak.of_peers, 1000);
    assert_int_equal(trigger->policy->effective.state.peak.peers_until_ms, now_ms + LEFT_MS);
    assert_true(trigger_peers_give(trigger, now_ms + LEFT_MS, &value));
    assert_int_equal(value.policy_peak, own);
    peer_values_free(values);
}

/* KEDA calls for an edited trigger as for another one; those of one poll are no edits. */
static void an_edited_trigger_keeps_the_replicas_of_the_former(void **state)
{
    (void)state;
    enum { LATER_MS = 60 * 1000 };
    const char *const sibling[] = {JOBS, "interval", "3s", NULL};
    const char *const edited[] = {JOBS, "interval", "2s", NULL};
    struct trigger *former = FIND(JOBS);
    former->policy->effective.state.peak.own = 7; /* it follows no query yet */
    const struct trigger *other = find_in("shop", 1, sibling);
    const struct policy_peak *peak = &other->policy->effective.state.peak;
    assert_int_equal(peak->of_peers, 0);
    const struct trigger *trigger = find_in("shop", LATER_MS, edited);
    peak = &trigger->policy->effective.state.peak;
    assert_int_equal(peak->own, 0);
    assert_int_equal(peak->of_peers, 7);
    assert_int_equal(peak->peers_until_ms, LATER_MS + trigger->parsed.rules.hold_ms);
}

static void what_the_policy_of_another_replica_did_not_want_counts_for_nothing(void **state)
{
    (void)state;
    struct peer_values *values = peer_values_new();
    fake_set_queue("jobs", 20);
    struct trigger *trigger = FIND(JOBS, "hold", "1m");
    const struct policy_peak *known = &trigger->policy->effective.state.peak;
    query_of(trigger);
    measure_again(trigger);
    int64_t now_ms = clock_now_ms();
    for (int peak = 0; peak <= 1; peak++) {
        struct peer_value value;
        assert_true(trigger_peers_give(trigger, now_ms, &value));
        value.policy_peak = peak;
        value.policy_peak_ms = now_ms;
        assert_true(peer_values_add(values, &value, now_ms));
        trigger_peers_take(trigger, values, now_ms);
        assert_int_equal(known->of_peers, peak);
        assert_int_equal(known->peers_until_ms, peak == 0 ? 0 : now_ms + 60000);
    }
    peer_values_free(values);
}

static bool have_one_digest(struct trigger *one, struct trigger *other)
{
    struct peer_values *values = peer_values_new();
    const struct peer_value value = {.value = 1, .since_ms = clock_now_ms()};
    assert_true(peer_values_add(values, &value, clock_now_ms())); /* or nobody looks for his own */
    trigger_peers_take(one, values, clock_now_ms());
    trigger_peers_take(other, values, clock_now_ms());
    peer_values_free(values);
    assert_true(one->has_peer_digest && other->has_peer_digest);
    return memcmp(one->peer_digest, other->peer_digest, PEER_DIGEST_BYTES) == 0;
}

static void peers_tell_triggers_apart_by_namespace_and_metadata(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(GOOD, "queueLength", "9");
    const char *const same[] = {GOOD, "queueLength", "9", NULL};
    assert_false(have_one_digest(trigger, find_in("shop2", 0, same)));
    /* The same bytes, one behind the other. */
    assert_false(have_one_digest(
        trigger, FIND("scaler", "fake", "source", "a", "queueLength", "9queueName7")));
}

static void peers_are_told_no_secret_by_which_triggers_are_known(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(GOOD, "password", "a");
    assert_true(have_one_digest(trigger, FIND(GOOD, "password", "b")));
    assert_false(have_one_digest(trigger, FIND(GOOD)));
}

static void peers_tell_triggers_apart_by_their_urls_without_credentials(void **state)
{
    (void)state;
    struct trigger *trigger = FIND(GOOD, "url", "http://me:word@here/x");
    assert_true(have_one_digest(trigger, FIND(GOOD, "url", "http://you:other@here/x")));
    assert_false(have_one_digest(trigger, FIND(GOOD, "url", "http://me:word@there/x")));
}

/* One is found, too, where calls came since its id was read. */
static void the_triggers_of_an_object_are_in_the_order_of_their_last_calls(void **state)
{
    (void)state;
    const struct trigger *first = FIND(GOOD);
    const struct trigger *second = FIND(GOOD, "queueLength", "9");
    uint64_t ids[3] = {0};
    find_in("shop2", 0, (const char *const[]){GOOD, NULL});
    assert_int_equal(triggers_of_object(triggers, "shop", "other", ids, 3), 0);
    assert_null(triggers_of_object_find(triggers, "shop", "other", first->id));

    assert_int_equal(triggers_of_object(triggers, "shop", "worker", ids, 3), 2);
    assert_int_equal(ids[0], second->id);
    assert_int_equal(ids[1], first->id);
    assert_int_equal(triggers_of_object(triggers, "shop", "worker", ids, 1), 1);
    assert_int_equal(ids[0], second->id);

    assert_ptr_equal(FIND(GOOD), first);
    for (size_t i = 0; i < 2; i++)
        assert_ptr_equal(
            triggers_of_object_find(triggers, "shop", "worker", i == 0 ? second->id : first->id),
            i == 0 ? second : first);
    assert_int_equal(triggers_of_object(triggers, "shop", "worker", ids, 3), 2);
    assert_int_equal(ids[0], first->id);
    assert_int_equal(ids[1], second->id);

    triggers_expire(triggers, 1000000);
    assert_null(triggers_of_object_find(triggers, "shop", "worker", ids[0]));
}

/* It may come after the trigger's first call. */
static void what_another_replica_gave_is_taken_by_the_next_call(void **state)
{
    (void)state;
    struct peer_values *values = peer_values_new();
    struct peer_value value = {.value = 7};
    triggers_free(triggers);
    triggers = triggers_new(&(struct triggers_settings){.scalers = fake_scalers,
                                                        .engine = engine,
                                                        .rules = {.interval_ms = 5000},
                                                        .peers = values,
                                                        .forget_ms = 1000,
                                                        .max_inline = 1,
                                                        .max = 3,
                                                        .max_bytes = 1 << 20});
    assert_true(peer_values_add(values, &value, 0)); /* another trigger's */
    struct trigger *trigger = FIND(GOOD);
    assert_null(trigger->answers.of_peers);
    memcpy(value.digest, trigger->peer_digest, PEER_DIGEST_BYTES);
    assert_true(peer_values_add(values, &value, 0));
    assert_ptr_equal(FIND(GOOD), trigger);
    assert_non_null(trigger->answers.of_peers);
    assert_float_equal(trigger->answers.of_peers->value, 7, 0);
    triggers_free(TAKE(triggers));
    peer_values_free(values);
}

static void a_trigger_without_a_query_gives_peers_nothing(void **state)
{
    (void)state;
    struct peer_value value;
    assert_false(trigger_peers_give(FIND("scaler", "nonesuch"), clock_now_ms(), &value));
    assert_false(trigger_peers_give(FIND(GOOD), clock_now_ms(), &value));
}

/* The age is that before the last answer: held values make nothing older. */
static void what_was_answered_earlier_is_given_with_its_age(void **state)
{
    (void)state;
    struct peer_value value;
    fake_set_queue("jobs", 20);
    struct trigger *trigger = FIND("scaler", "fake", "source", "a", "queueName", "jobs");
    query_of(trigger);
    measure_again(trigger);
    int64_t now_ms = clock_now_ms();
    struct answer answer = {.kind = ANSWER_VALUE, .value = 30, .active = true};
    trigger_answers_begin_round(trigger, &answer, now_ms - 9000);
    answer.held = true;
    answer.failing_since_ms = now_ms - 7000;
    trigger_answers_begin_round(trigger, &answer, now_ms - 5000);
    answer = (struct answer){.kind = ANSWER_VALUE, .value = 20, .active = true};
    trigger_answers_begin_round(trigger, &answer, now_ms - 1000);

    assert_true(trigger_peers_give(trigger, now_ms, &value));
    assert_true(value.value == 20);
    assert_int_equal(value.earlier_count, 2);
    assert_true(value.earlier[0].value == 30);
    assert_int_equal(value.earlier[0].at_ms, now_ms - (8000 - 2000));
    assert_true(value.earlier[1].value == 20);
    assert_int_equal(value.earlier[1].at_ms, now_ms);
    assert_int_equal(value.earlier[2].at_ms, 0);
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
    struct answer refused = {.kind = ANSWER_REFUSED};
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

/* Answers with what its policy has found. */
static void record(struct trigger *trigger, const char *call, struct answer answer, int64_t now_ms)
{
    answer.policy = trigger_policy_found(trigger->policy);
    trigger_answers_record(trigger, call, &answer, now_ms);
}

static void in_an_outage_the_status_of_consumers_is_unknown(void **state)
{
    (void)state;
    const struct trigger_policy_stats *stats = triggers_policy_stats(triggers);
    struct trigger *trigger = FIND(GOOD, "maxReplicaCount", "5");
    struct answer answer = {.kind = ANSWER_VALUE, .value = 3, .active = true};
    trigger->policy->effective.result.status = FLOW_STALL;
    assert_int_equal(stats->statuses[FLOW_UNKNOWN], 1); /* no answer yet */
    record(trigger, "GetMetrics", answer, 1000);
    assert_int_equal(stats->statuses[FLOW_STALL], 1);
    answer.held = true;
    record(trigger, "GetMetrics", answer, 2000);
    assert_int_equal(stats->statuses[FLOW_STALL], 0);
    assert_int_equal(stats->statuses[FLOW_UNKNOWN], 1);
    answer = (struct answer){.kind = ANSWER_REFUSED};
    record(trigger, "GetMetrics", answer, 3000);
    assert_int_equal(stats->statuses[FLOW_UNKNOWN], 1);
}

static void the_sums_of_policies_follow_answers_and_drops(void **state)
{
    (void)state;
    const struct trigger_policy_stats *stats = triggers_policy_stats(triggers);
    const struct answer answer = {.kind = ANSWER_VALUE, .value = 3, .active = true};
    struct trigger *five = FIND(GOOD, "maxReplicaCount", "5");
    struct trigger *nine = FIND(GOOD, "maxReplicaCount", "9");
    FIND(GOOD); /* none of a policy */
    five->policy->effective.result.replicas = 5;
    nine->policy->effective.result.replicas = 9;
    nine->policy->shadow.result.replicas = 7;
    nine->policy->effective.result.status = FLOW_OK;
    assert_int_equal(stats->replicas, 0); /* they have answered nothing yet */
    record(five, "GetMetrics", answer, 1000);
    record(nine, "GetMetrics", answer, 1000);
    record(nine, "IsActive", answer, 1000);
    assert_int_equal(stats->replicas, 14);
    assert_int_equal(stats->shadow_replicas, 7);
    assert_int_equal(stats->statuses[FLOW_OK], 1);
    five->policy->effective.result.replicas = 2;
    record(five, "GetMetrics", answer, 2000);
    assert_int_equal(stats->replicas, 11);
    triggers_expire(triggers, 5000);
    assert_int_equal(triggers_count(triggers), 0);
    assert_memory_equal(stats, &(struct trigger_policy_stats){0}, sizeof(*stats));
}

/* What was dropped or came in between harms no walk. */
static void a_walk_sees_each_trigger_that_stays_once(void **state)
{
    (void)state;
    const char *const first[] = {GOOD, NULL};
    const char *const second[] = {GOOD, "queueLength", "1", NULL};
    const char *const third[] = {GOOD, "queueLength", "2", NULL};
    find_in("shop", 0, first);
    find_in("shop", 0, second);
    struct trigger *three = find_in("shop", 2000, third);
    struct trigger *one = find_in("shop", 2000, first);
    assert_ptr_equal(triggers_first(triggers), one);
    triggers_expire(triggers, 1500); /* the second, which is next */
    assert_ptr_equal(triggers_next(triggers), three);
    assert_null(triggers_next(triggers));
}

static void nobody_could_call_in_a_pause(void **state)
{
    (void)state;
    const char *const first[] = {GOOD, NULL};
    find_in("shop", 0, first);
    triggers_resume(triggers, 600000);
    int64_t next_ms = triggers_expire(triggers, 600000);
    assert_int_equal(triggers_count(triggers), 1);
    assert_true(next_ms > 600000);
    triggers_expire(triggers, next_ms);
    assert_int_equal(triggers_count(triggers), 0);
}

/* Who walks may give up anywhere, and says nothing. */
static void a_walk_begins_anew_wherever_the_last_one_was(void **state)
{
    (void)state;
    struct trigger *one = FIND(GOOD);
    struct trigger *other = FIND(GOOD, "queueLength", "1");
    assert_ptr_equal(triggers_first(triggers), one);
    assert_ptr_equal(triggers_next(triggers), other);
    assert_ptr_equal(triggers_first(triggers), one);
    assert_ptr_equal(triggers_next(triggers), other);
    assert_null(triggers_next(triggers));
    assert_null(triggers_next(triggers));
}

static void a_trigger_with_mistakes_is_never_measured(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct query *query = NULL;
    assert_false(triggers_acquire_query(triggers, FIND("scaler", "fake"), 0, &query, &error));
    assert_int_equal(error.code, ERROR_INVALID);
    struct connection_stats stats;
    engine_stats(engine, &stats);
    assert_int_equal(stats.counts[COUNT_CONNECTIONS], 0);
}

static void buckets_have_each_trigger_once(void **state)
{
    (void)state;
    static const char *const lengths[] = {"1", "2", "3"};
    size_t count = 0;
    assert_true(triggers_buckets(triggers) == 0);
    for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++)
        FIND(GOOD, "queueLength", lengths[i]);
    for (uint64_t bucket = 0; bucket < triggers_buckets(triggers); bucket++)
        for (const struct trigger *each = NULL;
             (each = triggers_at(triggers, bucket, each)) != NULL;)
            count++;
    assert_int_equal(count, 3);
}

static void a_trigger_that_is_no_longer_called_is_superseded_by_a_later_one(void **state)
{
    (void)state;
    /* The loop's clock may not have moved between the first calls of two triggers. */
    for (int64_t later_ms = 1000; later_ms <= 1001; later_ms++) {
        const char *const *former_pairs = (const char *const[]){GOOD, NULL};
        const char *const *newest_pairs = (const char *const[]){GOOD, "queueLength", "9", NULL};
        const char *namespace = later_ms == 1000 ? "shop" : "sales";
        struct trigger *former = find_in(namespace, 1000, former_pairs);
        struct trigger *newest = find_in(namespace, later_ms, newest_pairs);
        find_in(namespace, 20000, newest_pairs);
        assert_true(trigger_objects_superseded(former));
        assert_false(trigger_objects_superseded(newest));
        triggers_expire(triggers, INT64_MAX / 2);
    }
}

static void triggers_of_one_object_that_are_called_in_turn_supersede_none(void **state)
{
    (void)state;
    struct trigger *one = FIND_AT(1000, GOOD);
    struct trigger *other = FIND_AT(1000, GOOD, "queueLength", "9");
    FIND_AT(12000, GOOD, "queueLength", "9");
    FIND_AT(20000, GOOD);
    assert_false(trigger_objects_superseded(one));
    assert_false(trigger_objects_superseded(other));
    /* A stream is a call all the time. */
    triggers_pin(triggers, one);
    FIND_AT(80000, GOOD, "queueLength", "9");
    assert_false(trigger_objects_superseded(one));
    triggers_unpin(triggers, one, 80000);
}

static void a_trigger_whose_edit_is_reverted_is_superseded_by_the_former_one(void **state)
{
    (void)state;
    struct trigger *former = FIND_AT(0, GOOD);
    FIND_AT(30000, GOOD);
    struct trigger *edited = FIND_AT(60000, GOOD, "queueLength", "9");
    FIND_AT(90000, GOOD, "queueLength", "9");
    assert_true(trigger_objects_superseded(former));
    for (int64_t at_ms = 120000; at_ms <= 180000; at_ms += 30000)
        FIND_AT(at_ms, GOOD);
    assert_true(trigger_objects_superseded(edited));
    assert_false(trigger_objects_superseded(former));
    /* And edited again. */
    FIND_AT(210000, GOOD, "queueLength", "9");
    assert_false(trigger_objects_superseded(edited));
}

static void a_trigger_that_is_removed_is_superseded_by_the_others(void **state)
{
    (void)state;
    struct trigger *one = FIND_AT(0, GOOD);
    struct trigger *removed = FIND_AT(0, GOOD, "queueLength", "9");
    FIND_AT(30000, GOOD);
    FIND_AT(30000, GOOD, "queueLength", "9");
    /* It may miss two of its pauses, and the time in which a poll calls for all. */
    static const int64_t calls_ms[] = {60000, 90000, 100000};
    for (size_t i = 0; i < ARRAY_LENGTH(calls_ms); i++) {
        FIND_AT(calls_ms[i], GOOD);
        assert_false(trigger_objects_superseded(removed));
    }
    FIND_AT(100001, GOOD);
    assert_true(trigger_objects_superseded(removed));
    assert_false(trigger_objects_superseded(one));
}

/* With `useCachedMetrics` KEDA answers the HPA itself for one trigger, and calls for the other. */
static void a_trigger_that_only_polls_call_for_is_not_superseded_between_them(void **state)
{
    (void)state;
    struct trigger *polled = FIND_AT(0, GOOD);
    for (int64_t at_ms = 0; at_ms <= 900000; at_ms += 15000) {
        struct trigger *other = FIND_AT(at_ms, GOOD, "queueLength", "9");
        assert_false(trigger_objects_superseded(polled));
        assert_false(trigger_objects_superseded(other));
        if (at_ms % 300000 == 0)
            FIND_AT(at_ms + 500, GOOD);
    }
}

/* At 0 replicas the HPA calls for none of them. */
static void triggers_that_only_polls_call_for_from_now_on_are_not_superseded(void **state)
{
    (void)state;
    struct trigger *first = FIND_AT(0, GOOD);
    struct trigger *second = FIND_AT(500, GOOD, "queueLength", "9");
    for (int64_t at_ms = 15000; at_ms <= 60000; at_ms += 15000) {
        FIND_AT(at_ms, GOOD);
        FIND_AT(at_ms + 500, GOOD, "queueLength", "9");
    }
    FIND_AT(360000, GOOD);
    assert_false(trigger_objects_superseded(second));
    FIND_AT(360500, GOOD, "queueLength", "9");
    assert_false(trigger_objects_superseded(first));
    assert_false(trigger_objects_superseded(second));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_order_of_the_metadata_does_not_matter),
        TEST(a_key_that_is_there_twice_is_refused),
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
        TEST(a_limit_on_inline_connections_is_an_error_and_an_expired_trigger_frees_one),
        TEST(a_named_connection_is_for_its_namespaces),
        TEST(an_unusable_connection_does_not_hide_the_other_mistakes),
        TEST(a_trigger_answers_with_the_reading_of_its_query),
        TEST(figures_are_of_the_reading_and_of_the_last_answer),
        TEST(a_policy_decides_at_each_reading_whoever_reads_it),
        TEST(at_the_maximum_replicas_are_what_the_policy_wants),
        TEST(what_is_held_is_no_more_than_the_replicas_of_the_hpa_are_for),
        TEST(replicas_of_a_held_value_are_of_the_value_up_to_the_maximum),
        TEST(a_policy_that_cannot_decide_gives_no_value),
        TEST(a_policy_is_logged_when_it_changes_and_at_most_once_a_minute),
        TEST(the_last_changes_of_a_policy_are_kept),
        TEST(the_changes_of_a_policy_are_copied_for_the_past_alone),
        TEST(past_replicas_of_a_policy_are_of_what_was_measured),
        TEST(a_past_answer_is_the_same_where_fewer_are_wanted),
        TEST(arrivals_of_the_past_are_what_waiting_grew_by),
        TEST(observers_change_nothing),
        TEST(with_a_shadow_alone_the_threshold_says_how_many_replicas),
        TEST(a_policy_begins_with_the_reading_that_is_known),
        TEST(what_the_policies_of_other_replicas_wanted_ends),
        TEST(an_edited_trigger_keeps_the_replicas_of_the_former),
        TEST(what_the_policy_of_another_replica_did_not_want_counts_for_nothing),
        TEST(peers_tell_triggers_apart_by_namespace_and_metadata),
        TEST(peers_are_told_no_secret_by_which_triggers_are_known),
        TEST(peers_tell_triggers_apart_by_their_urls_without_credentials),
        TEST(what_another_replica_gave_is_taken_by_the_next_call),
        TEST(a_trigger_without_a_query_gives_peers_nothing),
        TEST(the_triggers_of_an_object_are_in_the_order_of_their_last_calls),
        TEST(what_was_answered_earlier_is_given_with_its_age),
        TEST(held_triggers_are_counted_until_they_are_measured_or_refused),
        TEST(a_round_repeats_what_get_metrics_was_answered_for_a_while),
        TEST(in_an_outage_the_status_of_consumers_is_unknown),
        TEST(the_sums_of_policies_follow_answers_and_drops),
        TEST(a_walk_sees_each_trigger_that_stays_once),
        TEST(nobody_could_call_in_a_pause),
        TEST(a_walk_begins_anew_wherever_the_last_one_was),
        TEST(buckets_have_each_trigger_once),
        TEST(a_trigger_that_is_no_longer_called_is_superseded_by_a_later_one),
        TEST(triggers_of_one_object_that_are_called_in_turn_supersede_none),
        TEST(a_trigger_whose_edit_is_reverted_is_superseded_by_the_former_one),
        TEST(a_trigger_that_is_removed_is_superseded_by_the_others),
        TEST(a_trigger_that_only_polls_call_for_is_not_superseded_between_them),
        TEST(triggers_that_only_polls_call_for_from_now_on_are_not_superseded),
        TEST(a_trigger_with_mistakes_is_never_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
