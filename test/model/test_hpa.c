#include "base/memory.h"
#include "model/hpa.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { SYNC = 15 };

/* A Deployment whose pods are there at once, and its HPA. */
struct fixture {
    struct hpa hpa;
    struct hpa_settings settings;
    int64_t replicas;
    int64_t now_s;
    struct hpa_decision last;
};

static struct fixture with_behavior(int64_t replicas)
{
    struct fixture fixture = {.settings = hpa_default_settings(), .replicas = replicas};
    fixture.settings.has_behavior = true;
    return fixture;
}

static struct fixture without_behavior(int64_t replicas)
{
    return (struct fixture){.settings = hpa_default_settings(), .replicas = replicas};
}

static int64_t sync_metrics(struct fixture *fixture, const struct hpa_metric *metrics, size_t count)
{
    const struct hpa_replicas replicas = {fixture->replicas, fixture->replicas, fixture->replicas};
    fixture->last = hpa_sync(&fixture->hpa, &fixture->settings, &replicas, metrics, count,
                             fixture->now_s * 1000);
    fixture->replicas = fixture->last.replicas;
    fixture->now_s += SYNC;
    return fixture->replicas;
}

static int64_t sync_value(struct fixture *fixture, double value, double target)
{
    const struct hpa_metric metric = {.value_milli = (int64_t)(value * 1000),
                                      .target_milli = (int64_t)(target * 1000)};
    return sync_metrics(fixture, &metric, 1);
}

static void expect_run(struct fixture *fixture, double value, const int64_t *run, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_int_equal(sync_value(fixture, value, 1), run[i]);
    hpa_done(&fixture->hpa);
}

static void default_policies_ramp_by_four_and_by_doubling(void **state)
{
    (void)state;
    static const int64_t run[] = {5, 10, 20, 40, 80, 100, 100};
    struct fixture fixture = with_behavior(1);
    expect_run(&fixture, 1000, run, ARRAY_LENGTH(run));
}

static void without_behavior_the_ramp_is_the_double_or_four(void **state)
{
    (void)state;
    static const int64_t run[] = {4, 8, 16, 32, 64, 100, 100};
    struct fixture fixture = without_behavior(1);
    expect_run(&fixture, 1000, run, ARRAY_LENGTH(run));
}

static void from_ten_replicas_on_there_is_no_step_of_one(void **state)
{
    (void)state;
    for (int64_t n = 1; n <= 90; n++) {
        bool steps = false;
        for (int64_t value_milli = n * 1000 + 1; value_milli <= (n + 1) * 1000; value_milli++) {
            struct fixture fixture = with_behavior(n);
            const struct hpa_metric metric = {.value_milli = value_milli, .target_milli = 1000};
            steps |= sync_metrics(&fixture, &metric, 1) == n + 1;
            hpa_done(&fixture.hpa);
        }
        assert_int_equal(steps, n < 10);
    }
}

static void a_capped_lag_of_64_sticks_from_59_on(void **state)
{
    (void)state;
    for (int64_t n = 40; n <= 64; n++) {
        struct fixture fixture = with_behavior(n);
        assert_int_equal(sync_value(&fixture, 64, 1), n >= 59 ? n : 64);
        hpa_done(&fixture.hpa);
    }
}

static void a_tolerance_of_zero_removes_the_dead_band_upwards(void **state)
{
    (void)state;
    struct fixture fixture = with_behavior(59);
    fixture.settings.up.tolerance = 0;
    assert_int_equal(sync_value(&fixture, 64, 1), 64);
    assert_int_equal(sync_value(&fixture, 60, 1), 64); /* downwards it is still there */
    assert_int_equal(fixture.last.reason, HPA_WITHIN_TOLERANCE);
    hpa_done(&fixture.hpa);
}

/* The recommendation of second 0 is in the window up to the sync at 285, and no longer at 300. */
static void it_goes_down_when_the_window_is_over(struct fixture fixture)
{
    assert_int_equal(sync_value(&fixture, 8, 1), 8);
    while (fixture.now_s < 300) {
        assert_int_equal(sync_value(&fixture, 3, 1), 8);
        assert_int_equal(fixture.last.reason, HPA_STABILIZED_DOWN);
    }
    assert_int_equal(sync_value(&fixture, 3, 1), 3);
    hpa_done(&fixture.hpa);
}

static void scale_down_waits_for_the_window(void **state)
{
    (void)state;
    it_goes_down_when_the_window_is_over(with_behavior(8));
    it_goes_down_when_the_window_is_over(without_behavior(8));
}

static void a_window_upwards_takes_its_minimum(void **state)
{
    (void)state;
    struct fixture fixture = with_behavior(2);
    fixture.settings.up.window_ms = 60000;
    assert_int_equal(sync_value(&fixture, 2, 1), 2);
    assert_int_equal(sync_value(&fixture, 9, 1), 2);
    assert_int_equal(fixture.last.reason, HPA_STABILIZED_UP);
    assert_int_equal(sync_value(&fixture, 4, 1), 2);
    assert_int_equal(sync_value(&fixture, 9, 1), 2);
    assert_int_equal(sync_value(&fixture, 9, 1), 4); /* at 60 s the 2 is out of the window */
    hpa_done(&fixture.hpa);
}

static void without_behavior_a_higher_recommendation_of_the_window_is_still_gone_to(void **state)
{
    (void)state;
    struct fixture fixture = without_behavior(1);
    assert_int_equal(sync_value(&fixture, 20, 1), 4);
    assert_int_equal(sync_value(&fixture, 1, 1), 8);
    assert_int_equal(sync_value(&fixture, 1, 1), 16);
    assert_int_equal(sync_value(&fixture, 1, 1), 20);
    hpa_done(&fixture.hpa);

    fixture = with_behavior(1);
    assert_int_equal(sync_value(&fixture, 20, 1), 5);
    assert_int_equal(sync_value(&fixture, 1, 1), 5);
    hpa_done(&fixture.hpa);
}

static void policies_count_what_their_period_has_seen(void **state)
{
    (void)state;
    static const int64_t run[] = {4, 4, 4, 4, 7, 7, 7, 7, 10};
    struct fixture fixture = with_behavior(1);
    fixture.settings.up.policies[0] = (struct hpa_policy){HPA_PODS, 3, 60000};
    fixture.settings.up.policy_count = 1;
    assert_int_equal(sync_value(&fixture, 50, 1), run[0]);
    assert_int_equal(fixture.last.reason, HPA_LIMITED_BY_POLICY);
    expect_run(&fixture, 50, run + 1, ARRAY_LENGTH(run) - 1);
}

static void the_smallest_change_is_taken_with_min(void **state)
{
    (void)state;
    static const int64_t run[] = {2, 4, 8, 12, 16};
    struct fixture fixture = with_behavior(1);
    fixture.settings.up.select = HPA_SELECT_MIN;
    expect_run(&fixture, 50, run, ARRAY_LENGTH(run));
}

static void downwards_too(void **state)
{
    (void)state;
    static const int64_t smallest[] = {18, 16, 14, 12, 10, 9, 8, 7};
    static const int64_t largest[] = {10, 5, 2, 1, 1};
    struct fixture fixture = with_behavior(20);
    fixture.settings.down = (struct hpa_rules){
        .tolerance = 0.1,
        .select = HPA_SELECT_MIN,
        .policies = {{HPA_PODS, 2, 15000}, {HPA_PERCENT, 10, 15000}},
        .policy_count = 2,
    };
    expect_run(&fixture, 1, smallest, ARRAY_LENGTH(smallest));

    fixture = with_behavior(20);
    fixture.settings.down = (struct hpa_rules){
        .tolerance = 0.1,
        .policies = {{HPA_PODS, 2, 15000}, {HPA_PERCENT, 50, 15000}},
        .policy_count = 2,
    };
    expect_run(&fixture, 1, largest, ARRAY_LENGTH(largest));
}

static void a_disabled_direction_stays(void **state)
{
    (void)state;
    struct fixture fixture = with_behavior(5);
    fixture.settings.up.select = HPA_SELECT_DISABLED;
    fixture.settings.down.select = HPA_SELECT_DISABLED;
    fixture.settings.down.window_ms = 0;
    assert_int_equal(sync_value(&fixture, 50, 1), 5);
    assert_int_equal(fixture.last.reason, HPA_LIMITED_BY_POLICY);
    assert_int_equal(sync_value(&fixture, 1, 1), 5);
    hpa_done(&fixture.hpa);
}

/* What was removed within the period may be added again beside what the policy allows. */
static void changes_of_both_directions_count(void **state)
{
    (void)state;
    struct fixture fixture = with_behavior(10);
    fixture.settings.down.window_ms = 0;
    fixture.settings.up.policies[0] = (struct hpa_policy){HPA_PODS, 1, 60000};
    fixture.settings.up.policy_count = 1;
    assert_int_equal(sync_value(&fixture, 4, 1), 4);
    assert_int_equal(sync_value(&fixture, 50, 1), 11);
    hpa_done(&fixture.hpa);
}

static void minimum_and_maximum_hold(void **state)
{
    (void)state;
    struct fixture fixture = with_behavior(200);
    fixture.settings.min_replicas = 3;
    fixture.settings.down.window_ms = 0;
    assert_int_equal(sync_value(&fixture, 500, 1), 100);
    assert_int_equal(fixture.last.reason, HPA_ABOVE_MAX);
    assert_int_equal(sync_value(&fixture, 500, 1), 100);
    assert_int_equal(fixture.last.reason, HPA_LIMITED_BY_MAX);
    assert_int_equal(sync_value(&fixture, 0, 1), 3);
    assert_int_equal(fixture.last.reason, HPA_LIMITED_BY_MIN);
    fixture.replicas = 1;
    assert_int_equal(sync_value(&fixture, 0, 1), 3);
    assert_int_equal(fixture.last.reason, HPA_BELOW_MIN);
    fixture.replicas = 0;
    assert_int_equal(sync_value(&fixture, 500, 1), 0);
    assert_int_equal(fixture.last.reason, HPA_DISABLED);
    hpa_done(&fixture.hpa);
}

static void a_value_multiplies_the_ready_pods(void **state)
{
    (void)state;
    struct hpa_settings settings = hpa_default_settings();
    struct hpa_metric metric = {HPA_VALUE, 30000, 10000, false};
    const struct hpa_replicas replicas = {.spec = 4, .status = 4, .ready = 2};
    bool within = true;
    assert_int_equal(hpa_metric_replicas(&metric, &settings, &replicas, &within), 6);
    assert_false(within);
    metric.value_milli = 10900;
    assert_int_equal(hpa_metric_replicas(&metric, &settings, &replicas, &within), 4);
    assert_true(within);
}

static void the_largest_metric_wins(void **state)
{
    (void)state;
    const struct hpa_metric metrics[] = {
        {HPA_AVERAGE_VALUE, 3000, 1000, false},
        {HPA_AVERAGE_VALUE, 7000, 1000, false},
        {HPA_AVERAGE_VALUE, 5000, 1000, false},
    };
    struct fixture fixture = with_behavior(4);
    assert_int_equal(sync_metrics(&fixture, metrics, 3), 7);
    assert_int_equal(fixture.last.metric, 1);
    hpa_done(&fixture.hpa);
}

static void a_failed_metric_stops_the_way_down_and_not_the_way_up(void **state)
{
    (void)state;
    const struct hpa_metric down[] = {{HPA_AVERAGE_VALUE, 3000, 1000, false}, {.is_failed = true}};
    const struct hpa_metric up[] = {{.is_failed = true}, {HPA_AVERAGE_VALUE, 6000, 1000, false}};
    const struct hpa_metric none[] = {{.is_failed = true}, {.is_failed = true}};
    struct fixture fixture = with_behavior(5);
    fixture.settings.down.window_ms = 0;
    assert_int_equal(sync_metrics(&fixture, down, 2), 5);
    assert_int_equal(fixture.last.reason, HPA_METRICS_FAILED);
    assert_int_equal(sync_metrics(&fixture, none, 2), 5);
    assert_int_equal(fixture.last.reason, HPA_METRICS_FAILED);
    assert_int_equal(sync_metrics(&fixture, up, 2), 6);
    assert_int_equal(sync_metrics(&fixture, down, 1), 3);
    hpa_done(&fixture.hpa);
}

static void a_huge_value_is_as_many_as_allowed(void **state)
{
    (void)state;
    struct fixture fixture = with_behavior(80);
    const struct hpa_metric metric = {HPA_AVERAGE_VALUE, INT64_MAX, 1, false};
    assert_int_equal(sync_metrics(&fixture, &metric, 1), 100);
    hpa_done(&fixture.hpa);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_policies_ramp_by_four_and_by_doubling),
        cmocka_unit_test(without_behavior_the_ramp_is_the_double_or_four),
        cmocka_unit_test(from_ten_replicas_on_there_is_no_step_of_one),
        cmocka_unit_test(a_capped_lag_of_64_sticks_from_59_on),
        cmocka_unit_test(a_tolerance_of_zero_removes_the_dead_band_upwards),
        cmocka_unit_test(scale_down_waits_for_the_window),
        cmocka_unit_test(a_window_upwards_takes_its_minimum),
        cmocka_unit_test(without_behavior_a_higher_recommendation_of_the_window_is_still_gone_to),
        cmocka_unit_test(policies_count_what_their_period_has_seen),
        cmocka_unit_test(the_smallest_change_is_taken_with_min),
        cmocka_unit_test(downwards_too),
        cmocka_unit_test(a_disabled_direction_stays),
        cmocka_unit_test(changes_of_both_directions_count),
        cmocka_unit_test(minimum_and_maximum_hold),
        cmocka_unit_test(a_value_multiplies_the_ready_pods),
        cmocka_unit_test(the_largest_metric_wins),
        cmocka_unit_test(a_failed_metric_stops_the_way_down_and_not_the_way_up),
        cmocka_unit_test(a_huge_value_is_as_many_as_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
