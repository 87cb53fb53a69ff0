#include "base/memory.h"
#include "manifest/fixture.h"
#include "manifest/measurement/comparison.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#define OBJECT(kind, type, metadata)                                                               \
    "kind: " kind "\nmetadata: {name: jobs, namespace: shop}\nspec:\n  pollingInterval: 10\n"      \
    "  fallback: {replicas: 3}\n  triggers:\n  - {type: " type ", metadata: {" metadata "}}\n"

enum { INTERVAL_MS = 5000 };

/* One trigger, and what both sides measure of it. */
struct pair {
    struct findings findings;
    struct manifests manifests;
    struct measurement measurement;
    struct comparison comparison;
    const char *type;
    int64_t now_ms;
};

static void pair_begin(struct pair *pair, const char *text)
{
    *pair = (struct pair){.type = "scaledobject"};
    pair->manifests = manifests_of(text, &pair->findings);
    assert_int_equal(measurement_prepare(&pair->manifests, &pair->measurement), 1);
    pair->measurement.items[0].triggers[0].answer.target = 5;
    comparison_begin(scaler_list, &pair->measurement, INTERVAL_MS, &pair->comparison);
}

static void pair_done(struct pair *pair)
{
    comparison_done(&pair->comparison);
    measurement_done(&pair->measurement);
    manifests_done(&pair->manifests);
    findings_done(&pair->findings);
}

/* A round; `keda` NULL: its page has nothing of the trigger. */
static void round_of(struct pair *pair, const char *keda, double own)
{
    _cleanup_(memory_free) char *page =
        text_format("# TYPE keda_scaler_metrics_value gauge\n"
                    "keda_scaler_metrics_value{metric=\"s0-x\",namespace=\"shop\",scaledObject="
                    "\"other\",scaler=\"x\",triggerIndex=\"0\",type=\"scaledobject\"} 1e9\n"
                    "%s{metric=\"s0-\\\"x\\\"\",namespace=\"shop\",scaledObject=\"jobs\","
                    "scaler=\"x\",triggerIndex=\"0\",type=\"%s\"} %s\n",
                    keda == NULL ? "keda_scaler_active" : "keda_scaler_metrics_value", pair->type,
                    keda == NULL ? "1" : keda);
    struct keda_metrics metrics;
    keda_metrics_parse(page, &metrics);
    pair->measurement.items[0].triggers[0].answer.value = own;
    comparison_add(&pair->comparison, &metrics, "default", pair->now_ms);
    pair->now_ms += INTERVAL_MS;
    keda_metrics_done(&metrics);
}

static enum comparison_verdict verdict_of(const struct pair *pair)
{
    return comparison_verdict(&pair->comparison.items[0]);
}

static void assert_reason(const struct pair *pair, const char *part)
{
    _cleanup_(memory_free) char *reason = comparison_reason(&pair->comparison.items[0]);
    assert_non_null(reason);
    if (strstr(reason, part) == NULL)
        fail_msg("%s", reason);
}

#define REDIS OBJECT("ScaledObject", "redis", "address: 'r:1', listName: x")

static void a_value_of_the_last_poll_is_equal(void **state)
{
    (void)state;
    struct pair pair;
    pair_begin(&pair, REDIS);
    static const double own[] = {3, 8, 12, 12, 20, 25, 31};
    static const char *const keda[] = {"3", "3", "3", "9.5", "12", "12.0004", "20"};
    for (size_t i = 0; i < ARRAY_LENGTH(own); i++)
        round_of(&pair, keda[i], own[i]);
    assert_int_equal(pair.comparison.items[0].equal, ARRAY_LENGTH(own));
    assert_int_equal(verdict_of(&pair), COMPARISON_EQUAL);
    assert_null(comparison_reason(&pair.comparison.items[0]));
    pair_done(&pair);
}

/* Nobody knows what was there before the first round. */
static void a_difference_counts_once_a_poll_is_over(void **state)
{
    (void)state;
    struct pair pair;
    pair_begin(&pair, REDIS);
    for (int i = 0; i < 4; i++)
        round_of(&pair, "7", 12);
    assert_int_equal(verdict_of(&pair), COMPARISON_UNCLEAR);
    round_of(&pair, "7", 12);
    assert_int_equal(verdict_of(&pair), COMPARISON_DIFFERENT);
    assert_true(pair.comparison.items[0].keda == 7 && pair.comparison.items[0].own == 12);
    round_of(&pair, "12", 12);
    assert_int_equal(verdict_of(&pair), COMPARISON_DIFFERENT);
    assert_true(pair.comparison.items[0].keda == 7);
    assert_reason(&pair, "older than pollingInterval");
    pair_done(&pair);
}

/* However much is added between two rounds. */
static void a_value_that_is_always_more_differs_though_both_grow(void **state)
{
    (void)state;
    struct pair pair;
    pair_begin(&pair, REDIS);
    for (int i = 0; i < 12; i++) {
        _cleanup_(memory_free) char *keda = text_format("%d", 10 * i + 5);
        round_of(&pair, keda, 10 * i);
    }
    assert_int_equal(pair.comparison.items[0].equal, 0);
    assert_int_equal(verdict_of(&pair), COMPARISON_DIFFERENT);
    pair_done(&pair);
}

/* KEDA has what the management API had, which was 5 s old. */
static void statistics_of_rabbitmq_are_older(void **state)
{
    (void)state;
    static const char *const texts[] = {
        OBJECT("ScaledObject", "rabbitmq", "host: 'http://r/', queueName: q"), REDIS};
    static const enum comparison_verdict verdicts[] = {COMPARISON_EQUAL, COMPARISON_DIFFERENT};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        struct pair pair;
        pair_begin(&pair, texts[i]);
        for (int n = 0; n < 14; n++) {
            _cleanup_(memory_free) char *keda = text_format("%d", n - 4);
            round_of(&pair, keda, n);
        }
        assert_int_equal(verdict_of(&pair), verdicts[i]);
        pair_done(&pair);
    }
}

/* What KEDA measured in between may be anything. */
static void after_rounds_without_a_page_it_begins_anew(void **state)
{
    (void)state;
    struct pair pair;
    pair_begin(&pair, REDIS);
    for (int i = 0; i < 8; i++)
        round_of(&pair, "7", 7);
    comparison_skip(&pair.comparison);
    pair.now_ms += INTERVAL_MS;
    for (int i = 0; i < 4; i++)
        round_of(&pair, "9", 12);
    assert_int_equal(verdict_of(&pair), COMPARISON_EQUAL);
    round_of(&pair, "9", 12);
    assert_int_equal(verdict_of(&pair), COMPARISON_DIFFERENT);
    pair_done(&pair);
}

static void a_value_that_changes_is_evaluated_by_its_side(void **state)
{
    (void)state;
    struct pair pair;
    pair_begin(&pair, REDIS);
    for (int i = 0; i < 9; i++)
        round_of(&pair, i % 2 ? "40" : "41", 10 + i % 3);
    assert_int_equal(verdict_of(&pair), COMPARISON_DIFFERENT);
    pair_done(&pair);
    pair_begin(&pair, REDIS);
    for (int i = 0; i < 12; i++)
        round_of(&pair, i % 2 ? "40" : "1", 10 + i % 3);
    assert_int_equal(verdict_of(&pair), COMPARISON_UNCLEAR);
    assert_reason(&pair, "faster than KEDA measures");
    pair_done(&pair);
}

static void changing_rounds(struct pair *pair, int first, int count, int more)
{
    for (int i = first; i < first + count; i++) {
        _cleanup_(memory_free) char *keda = text_format("%d", i + more);
        round_of(pair, keda, i);
    }
}

/* Three bursts of work, never for long: KEDA's values in the two rounds of each. */
static void bursts(struct pair *pair, const char *first, const char *second)
{
    pair_begin(pair, REDIS);
    for (int burst = 0; burst < 3; burst++) {
        for (int i = 0; i < 40; i++)
            round_of(pair, "0", 0);
        round_of(pair, first, 10);
        round_of(pair, second, 12);
    }
}

static void rounds_without_work_do_not_hide_a_difference(void **state)
{
    (void)state;
    struct pair pair;
    pair_begin(&pair, REDIS);
    for (int i = 0; i < 3; i++)
        round_of(&pair, "0", 0);
    assert_int_equal(verdict_of(&pair), COMPARISON_EQUAL);
    for (int i = 0; i < 26; i++)
        round_of(&pair, "100", 10 + i % 19);
    assert_int_equal(verdict_of(&pair), COMPARISON_DIFFERENT);
    pair_done(&pair);
    bursts(&pair, "20", "24");
    assert_int_equal(pair.comparison.items[0].above, 6);
    assert_int_equal(verdict_of(&pair), COMPARISON_DIFFERENT);
    pair_done(&pair);
    bursts(&pair, "20", "-1"); /* of both sides: it may be that nobody was fast enough */
    assert_int_equal(verdict_of(&pair), COMPARISON_UNCLEAR);
    pair_done(&pair);
}

/* KEDA measures late, and then again as it should. */
static void late_polls_of_a_value_that_grows_are_still_equal(void **state)
{
    (void)state;
    struct pair pair;
    pair_begin(&pair, REDIS);
    changing_rounds(&pair, 0, 40, 0);
    for (int i = 40; i < 46; i++)
        round_of(&pair, "39", i); /* of the last window: above nothing, and below at the end */
    changing_rounds(&pair, 46, 40, 0);
    assert_int_equal(pair.comparison.items[0].below, 3);
    assert_int_equal(pair.comparison.items[0].above, 0);
    assert_int_equal(verdict_of(&pair), COMPARISON_EQUAL);
    assert_null(comparison_reason(&pair.comparison.items[0]));
    pair_done(&pair);
}

static void a_long_time_on_one_side_differs_however_much_was_equal(void **state)
{
    (void)state;
    struct pair pair;
    pair_begin(&pair, REDIS);
    changing_rounds(&pair, 0, 200, 0);
    changing_rounds(&pair, 200, 4, 50);
    assert_int_equal(verdict_of(&pair), COMPARISON_EQUAL);
    changing_rounds(&pair, 204, 1, 50);
    assert_int_equal(verdict_of(&pair), COMPARISON_DIFFERENT);
    changing_rounds(&pair, 205, 200, 0);
    assert_int_equal(verdict_of(&pair), COMPARISON_DIFFERENT);
    pair_done(&pair);
}

static void a_trigger_that_fails_at_the_end_or_often_is_failed(void **state)
{
    (void)state;
    struct pair pair;
    pair_begin(&pair, REDIS);
    struct measured_trigger *trigger = &pair.measurement.items[0].triggers[0];
    error_invalid(&trigger->error, "HTTP 500");
    changing_rounds(&pair, 0, 20, 0);
    trigger->answer.is_failed = true;
    round_of(&pair, "20", 0);
    assert_int_equal(verdict_of(&pair), COMPARISON_FAILED);
    assert_reason(&pair, "HTTP 500");
    trigger->answer.is_failed = false;
    changing_rounds(&pair, 21, 20, 0);
    assert_int_equal(verdict_of(&pair), COMPARISON_EQUAL);
    trigger->answer.is_failed = true;
    changing_rounds(&pair, 41, 10, 0);
    trigger->answer.is_failed = false;
    changing_rounds(&pair, 51, 1, 0);
    assert_int_equal(verdict_of(&pair), COMPARISON_FAILED);
    changing_rounds(&pair, 52, 100, 0);
    assert_int_equal(verdict_of(&pair), COMPARISON_EQUAL);
    round_of(&pair, NULL, 152);
    assert_int_equal(verdict_of(&pair), COMPARISON_ABSENT);
    assert_int_equal(comparison_rounds(&pair.comparison.items[0]), 152);
    pair_done(&pair);
}

static void what_one_side_does_not_have_is_not_equal(void **state)
{
    (void)state;
    struct pair pair;
    pair_begin(&pair, REDIS);
    round_of(&pair, NULL, 5);
    assert_int_equal(verdict_of(&pair), COMPARISON_ABSENT);
    assert_reason(&pair, "keda_scaler_detail_errors_total");
    pair_done(&pair);
    pair_begin(&pair, REDIS);
    struct measured_trigger *trigger = &pair.measurement.items[0].triggers[0];
    trigger->answer.is_failed = true;
    error_invalid(&trigger->error, "no route");
    round_of(&pair, "5", 0);
    assert_int_equal(verdict_of(&pair), COMPARISON_FAILED);
    assert_reason(&pair, "no route");
    pair_done(&pair);
    pair_begin(&pair, OBJECT("ScaledJob", "redis", "address: 'r:1', listName: x"));
    round_of(&pair, "5", 5); /* of a ScaledObject of this name */
    assert_int_equal(verdict_of(&pair), COMPARISON_ABSENT);
    pair.type = "scaledjob";
    round_of(&pair, "5", 5);
    assert_int_equal(verdict_of(&pair), COMPARISON_EQUAL);
    pair_done(&pair);
}

static void the_reason_is_of_the_scaler(void **state)
{
    (void)state;
#define KAFKA(more) OBJECT("ScaledObject", "kafka", "bootstrapServers: k, consumerGroup: g" more)
    static const struct {
        const char *text, *keda;
        double own;
        const char *reason;
    } cases[] = {
        {REDIS, "15", 2, "that of the fallback"},
        {KAFKA(", topic: t, excludePersistentLag: 'true'"), "9", 2, "excludePersistentLag"},
        {KAFKA(", topic: t, excludePersistentLag: TRUE"), "9", 2, "excludePersistentLag"},
        {KAFKA(""), "900", 2, "8104"},
        {KAFKA(", topic: t"), "17", 13, "one replica more"},
        {OBJECT("ScaledObject", "nats-jetstream", "stream: s"), "9", 2, "3860"},
        {OBJECT("ScaledObject", "rabbitmq", "host: 'http://r/', queueName: q"), "9", 2,
         "management API"},
        {OBJECT("ScaledObject", "rabbitmq", "hostFromEnv: R, queueName: q"), "9", 2, "over HTTP"},
        {OBJECT("ScaledObject", "redis-streams", "lagCount: '5'"), "0", 2, "XDEL"},
        {OBJECT("ScaledObject", "postgresql", "query: q"), "9", 2, "when it runs"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct pair pair;
        pair_begin(&pair, cases[i].text);
        for (int n = 0; n < 9; n++)
            round_of(&pair, cases[i].keda, cases[i].own);
        assert_int_equal(verdict_of(&pair), COMPARISON_DIFFERENT);
        assert_reason(&pair, cases[i].reason);
        pair_done(&pair);
    }
}

static void lines_that_are_none_are_passed_over(void **state)
{
    (void)state;
    static const char page[] =
        "keda_scaler_metrics_value{namespace=\"a\",scaledObject=\"b\",triggerIndex=\"1\",type="
        "\"scaledjob\"} 2.5 1700000000\n"
        "keda_scaler_metrics_value{namespace=\"a\",namespace=\"b\"} 1\n"
        "keda_scaler_metrics_value{namespace=\"a\",scaledObject=\"c} 1\n"
        "keda_scaler_metrics_value{namespace=\"a\",scaledObject=\"c\"} NaN\n"
        "keda_scaler_metrics_value{namespace=\"a\",scaledObject=\"c\",scaler=\"composite-metric\"} "
        "1\n"
        "keda_scaler_metrics_value{namespace=\"a\"";
    struct keda_metrics metrics;
    keda_metrics_parse(page, &metrics);
    assert_int_equal(metrics.count, 1);
    assert_true(keda_metrics_find(&metrics, "a", "b", true, 1)->value == 2.5);
    assert_null(keda_metrics_find(&metrics, "a", "b", false, 1));
    assert_null(keda_metrics_find(&metrics, "a", "b", true, 0));
    keda_metrics_done(&metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_of_the_last_poll_is_equal),
        cmocka_unit_test(a_difference_counts_once_a_poll_is_over),
        cmocka_unit_test(a_value_that_is_always_more_differs_though_both_grow),
        cmocka_unit_test(statistics_of_rabbitmq_are_older),
        cmocka_unit_test(after_rounds_without_a_page_it_begins_anew),
        cmocka_unit_test(a_value_that_changes_is_evaluated_by_its_side),
        cmocka_unit_test(rounds_without_work_do_not_hide_a_difference),
        cmocka_unit_test(late_polls_of_a_value_that_grows_are_still_equal),
        cmocka_unit_test(a_long_time_on_one_side_differs_however_much_was_equal),
        cmocka_unit_test(a_trigger_that_fails_at_the_end_or_often_is_failed),
        cmocka_unit_test(what_one_side_does_not_have_is_not_equal),
        cmocka_unit_test(the_reason_is_of_the_scaler),
        cmocka_unit_test(lines_that_are_none_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
