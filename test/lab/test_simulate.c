#include "base/memory.h"
#include "base/text.h"
#include "lab/plot.h"
#include "lab/simulate_settings.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static struct simulation_settings common(void)
{
    return (struct simulation_settings){.model = model_default_settings(), .is_push = true};
}

static const struct option_list no_files = {0};

static void pieces_are_compared(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct simulate_settings settings = {0};
    const struct simulation_settings base = common();
    assert_true(simulate_settings_read(
        &no_files,
        " threshold=600; threshold=1.5, cooldownPeriod=60 ,push=false, metricType=Value;", &base,
        &settings, &error));
    assert_int_equal(settings.count, 2);
    assert_string_equal(settings.items[0].name, "threshold=600");
    assert_true(settings.items[0].settings.target == 600);
    assert_true(settings.items[0].settings.is_push);
    assert_true(settings.items[1].settings.target == 1.5);
    assert_int_equal(settings.items[1].settings.model.cooldown_ms, 60000);
    assert_int_equal(settings.items[1].settings.model.types[0], HPA_VALUE);
    assert_false(settings.items[1].settings.is_push);
    simulate_settings_done(&settings);
}

static void steps_have_commas(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct simulate_settings settings = {0};
    const struct simulation_settings base = common();
    assert_true(simulate_settings_read(
        &no_files, "steps=1=1, 10=2,100=5,threshold=5; threshold=5, steps=3=1,7=2", &base,
        &settings, &error));
    const struct policy_settings *first = &settings.items[0].settings.policy;
    const struct policy_settings *second = &settings.items[1].settings.policy;
    assert_int_equal(first->level_count, 3);
    assert_true(first->levels[1].waiting == 10 && first->levels[2].replicas == 5);
    assert_true(settings.items[0].settings.target == 5);
    assert_int_equal(second->level_count, 2);
    assert_true(second->levels[1].waiting == 7);
    simulate_settings_done(&settings);
}

static void a_wrong_piece_is_refused(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"cooldownPeriod=60", "the target is missing"},
        {"threshold", "must be KEY=VALUE"},
        {" ; ", "has no KEY=VALUE"},
        {"", "has no KEY=VALUE"},
        {"treshold=5", "no key \"treshold\""},
        {"threshold=0", "threshold cannot be \"0\""},
        {"threshold=5,maxReplicaCount=1.5", "maxReplicaCount cannot be \"1.5\""},
        {"threshold=5,push=maybe", "push cannot be \"maybe\""},
        {"threshold=5,1.5", "threshold cannot be \"5,1.5\""},
        {"steps=1=1,10=2,5=7", "steps \"1=1,10=2,5=7\" must be levels"},
        {"steps=1=1,10=2,treshold=5", "no key \"treshold\""},
        {"threshold=5,minReplicaCount=101", "minReplicaCount is above maxReplicaCount"},
    };
    const struct simulation_settings base = common();
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        _cleanup_(error_done) struct error error = {0};
        struct simulate_settings settings = {0};
        assert_false(simulate_settings_read(&no_files, table[i][0], &base, &settings, &error));
        if (strstr(error_text(&error), table[i][1]) == NULL)
            fail_msg("\"%s\" is not in \"%s\"", table[i][1], error_text(&error));
    }
}

/* A ScaledObject of one trigger, with at most 10 replicas. */
static bool read_object(const char *type, const char *metadata, const char *set,
                        struct simulate_settings *ret_settings, struct error *error)
{
    char path[] = "/tmp/simulate-XXXXXX";
    int descriptor = mkstemp(path);
    FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "w");
    const struct option_list files = {.items = (const char *[]){path}, .count = 1};
    const struct simulation_settings base = common();
    assert_non_null(file);
    fprintf(file,
            "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: a}\nspec:\n"
            "  scaleTargetRef: {name: a}\n  maxReplicaCount: 10\n"
            "  triggers: [{type: %s, metadata: {%s}}]\n",
            type, metadata);
    assert_int_equal(fclose(file), 0);
    bool good = simulate_settings_read(&files, set, &base, ret_settings, error);
    unlink(path);
    return good;
}

/* Some are of KEDA's own scalers, of which Backlog has some. */
static void the_keys_of_a_trigger_are_those_that_its_scaler_reads(void **state)
{
    (void)state;
#define STREAMS "external", "scaler: redis-streams, stream: jobs, "
    static const struct {
        const char *type, *metadata;
        double target, activation;
    } rows[] = {
        {STREAMS "consumerGroup: a, pendingEntriesCount: '7', activationLagCount: '3'", 7, 3},
        {STREAMS "consumerGroup: a, pendingEntriesCount: '7', lagCount: '20'", 20, 0},
        {STREAMS "consumerGroup: a, pendingEntriesCount: '7', lagCount: '0'", 7, 0},
        {STREAMS "streamLength: '9', lagCount: '20', activationLagCount: '4'", 9, 4},
        {"redis-streams", "stream: jobs, streamLength: '9', activationLagCount: '4'", 9, 4},
        {"kafka", "lagThreshold: '50', activationLagThreshold: '6'", 50, 6},
        {"rabbitmq", "queueName: a, mode: QueueLength, value: '8', activationValue: '1'", 8, 1},
        {"aws-sqs-queue", "queueLength: '11', activationQueueLength: '2'", 11, 2},
        {"kafka", "lagThreshold: many", 0, 0},
        {"kafka", "topic: jobs", 0, 0},
    };
#undef STREAMS
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        _cleanup_(error_done) struct error error = {0};
        struct simulate_settings settings = {0};
        bool good = read_object(rows[i].type, rows[i].metadata, NULL, &settings, &error);
        if (good != (rows[i].target > 0))
            fail_msg("row %zu: %s", i, error_text(&error));
        if (!good)
            continue;
        assert_true(settings.items[0].settings.target == rows[i].target);
        assert_true(settings.items[0].settings.activation == rows[i].activation);
        simulate_settings_done(&settings);
    }
}

static void hold_is_that_of_the_trigger(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct simulate_settings settings = {0};
    if (!read_object("kafka", "lagThreshold: '5', hold: 1m30s, holdWindow: 10m",
                     "push=true; hold=20", &settings, &error))
        fail_msg("%s", error_text(&error));
    assert_int_equal(settings.items[0].settings.hold_ms, 90 * 1000);
    assert_int_equal(settings.items[0].settings.hold_window_ms, 600 * 1000);
    assert_int_equal(settings.items[1].settings.hold_ms, 20 * 1000);
    simulate_settings_done(&settings);
}

#define OBJECTIVE                                                                                  \
    "external-push", "scaler: redis, listLength: '100', maxWait: 60s, ratePerReplica: '10'"

static void a_policy_may_ask_for_as_many_replicas_as_the_object(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct simulate_settings settings = {0};
    assert_true(read_object(OBJECTIVE, "maxReplicaCount=50; push=false", &settings, &error));
    assert_int_equal(settings.items[0].settings.policy.max_replicas, 50);
    assert_int_equal(settings.items[1].settings.policy.max_replicas, 10);
    simulate_settings_done(&settings);
}

static void a_policy_keeps_the_keys_that_set_does_not_change(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0}, wrong = {0};
    struct simulate_settings settings = {0}, none = {0};
    assert_true(read_object(OBJECTIVE,
                            "scaleDownWhenIdle=5m; maxWait=30s; push=false; steps=5=2; "
                            "maxWait=, ratePerReplica=",
                            &settings, &error));
    static const struct {
        int64_t idle_ms, max_wait_ms;
        size_t levels;
        double rate;
    } expected[] = {
        {300000, 60000, 0, 10}, {0, 30000, 0, 10}, {0, 60000, 0, 10}, {0, 60000, 1, 10}, {0}};
    assert_int_equal(settings.count, ARRAY_LENGTH(expected));
    for (size_t i = 0; i < ARRAY_LENGTH(expected); i++) {
        const struct policy_settings *policy = &settings.items[i].settings.policy;
        assert_true(settings.items[i].settings.has_policy == (expected[i].rate > 0));
        assert_int_equal(policy->idle_ms, expected[i].idle_ms);
        assert_int_equal(policy->max_wait_ms, expected[i].max_wait_ms);
        assert_int_equal(policy->level_count, expected[i].levels);
        assert_true(policy->rate == expected[i].rate);
    }
    simulate_settings_done(&settings);

    assert_false(read_object(OBJECTIVE, "startTime=60s", &none, &wrong));
    assert_string_equal(error_text(&wrong), "a, startTime=60s: startTime (60 s) must be shorter "
                                            "than maxWait (60 s): no replica starts in time");
}

static void a_plot_has_each_curve_and_escapes_names(void **state)
{
    (void)state;
    static const double values[3000] = {[10] = 5, [2999] = 7};
    const struct plot_panel panel = {
        .title = "replicas", .series = {{"a<b", values}, {"c&d", values}}, .series_count = 2};
    const struct plot plot = {"plot", 3000, 1, &panel, 1};
    _cleanup_(text_done) struct text svg = {0};
    plot_draw(&plot, &svg);
    assert_non_null(strstr(svg.bytes, "a&lt;b"));
    assert_non_null(strstr(svg.bytes, "c&amp;d"));
    const char *first = strstr(svg.bytes, "<polyline");
    assert_non_null(first);
    assert_non_null(strstr(first + 1, "<polyline"));
    assert_true(svg.length < 65536);
}

static void a_plot_draws_what_is_thinned_to_its_buckets(void **state)
{
    (void)state;
    static const size_t lengths[] = {1, 799, 800, 801, 1599, 1600, 1601, 7200, 2678400};
    for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
        size_t bucket = plot_bucket(lengths[i]);
        assert_int_equal(plot_bucket((lengths[i] + bucket - 1) / bucket), 1);
    }
    assert_int_equal(plot_bucket(800), 1);
    assert_int_equal(plot_bucket(801), 2);
}

static void a_plot_leaves_a_gap_where_a_value_is_unknown(void **state)
{
    (void)state;
    static const double values[] = {1, 2, NAN, NAN, 0};
    const struct plot_panel panel = {
        .title = "in flight", .series = {{"a", values}}, .series_count = 1};
    const struct plot plot = {"plot", ARRAY_LENGTH(values), 60, &panel, 1};
    _cleanup_(text_done) struct text svg = {0};
    plot_draw(&plot, &svg);
    const char *first = strstr(svg.bytes, "<polyline");
    const char *second = strstr(first + 1, "<polyline");
    assert_non_null(second);
    assert_null(strstr(second + 1, "<polyline"));
    assert_non_null(strstr(svg.bytes, ">5 min<")); /* a value is a minute */
    assert_null(strstr(svg.bytes, ">6 min<"));
    assert_null(strstr(svg.bytes, "nan"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_compared),
        cmocka_unit_test(steps_have_commas),
        cmocka_unit_test(a_wrong_piece_is_refused),
        cmocka_unit_test(the_keys_of_a_trigger_are_those_that_its_scaler_reads),
        cmocka_unit_test(hold_is_that_of_the_trigger),
        cmocka_unit_test(a_policy_may_ask_for_as_many_replicas_as_the_object),
        cmocka_unit_test(a_policy_keeps_the_keys_that_set_does_not_change),
        cmocka_unit_test(a_plot_has_each_curve_and_escapes_names),
        cmocka_unit_test(a_plot_draws_what_is_thinned_to_its_buckets),
        cmocka_unit_test(a_plot_leaves_a_gap_where_a_value_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
