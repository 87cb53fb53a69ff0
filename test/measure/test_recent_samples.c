#include "measure/recent_samples.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static struct reading reading_of(double waiting, double in_flight)
{
    struct reading reading = READING_UNKNOWN;
    reading.waiting = waiting;
    reading.in_flight = in_flight;
    return reading;
}

static void add(struct recent_samples *recent, int64_t at_ms, double waiting)
{
    struct reading reading = reading_of(waiting, 0);
    recent_samples_add(recent, at_ms, &reading);
}

static void it_is_bounded_and_keeps_the_newest(void **state)
{
    (void)state;
    struct recent_samples recent = {.interval_ms = 5000};
    for (int i = 1; i <= 1000; i++)
        add(&recent, (int64_t)i * 5000, i);
    assert_int_equal(recent.count, RECENT_SAMPLES_MAX);
    assert_int_equal(recent.samples[RECENT_SAMPLES_MAX - 1].at_ms, 1000 * 5000);
    assert_int_equal(recent.samples[0].at_ms, (1000 - RECENT_SAMPLES_MAX + 1) * 5000);
}

/* A push measures after 5, 10, 20 ms: that must not drive out the last five minutes. */
static void many_in_one_interval_are_one_sample_that_has_their_maximum(void **state)
{
    (void)state;
    struct recent_samples recent = {.interval_ms = 5000};
    add(&recent, 5000, 0);
    add(&recent, 10000, 0);
    for (int i = 0; i < 500; i++)
        add(&recent, 10001 + i, i == 250 ? 7 : 0);
    assert_int_equal(recent.count, 3);
    assert_true(recent.samples[2].reading.waiting == 0);
    assert_true(recent.samples[2].max_waiting == 7);
}

static void a_failure_and_a_long_silence_are_gaps(void **state)
{
    (void)state;
    struct recent_samples recent = {.interval_ms = 5000};
    add(&recent, 5000, 1);
    assert_true(recent.samples[0].is_after_gap);
    add(&recent, 10000, 1);
    assert_false(recent.samples[1].is_after_gap);
    recent_samples_add_gap(&recent);
    add(&recent, 15000, 1);
    assert_true(recent.samples[2].is_after_gap);
    add(&recent, 60000, 1);
    assert_true(recent.samples[3].is_after_gap);
}

/* One whose queries take 25 s is not asked more often. */
static void what_a_slow_source_takes_is_no_gap(void **state)
{
    (void)state;
    struct recent_samples recent = {.interval_ms = 5000};
    add(&recent, 5000, 1);
    recent.duration_ms = 25000;
    add(&recent, 31000, 1);
    assert_false(recent.samples[1].is_after_gap);
    add(&recent, 132000, 1);
    assert_true(recent.samples[2].is_after_gap);
}

/* One that cannot keep up measures each query late, and evenly. */
static void a_wait_for_a_turn_is_no_gap(void **state)
{
    (void)state;
    struct recent_samples recent = {.interval_ms = 2000};
    add(&recent, 2000, 1);
    recent.waited_ms = 11000;
    add(&recent, 15000, 1);
    assert_false(recent.samples[1].is_after_gap);
    assert_int_equal(recent_samples_unseen_ms(&recent, 13000), 5000);
    assert_int_equal(recent_samples_unseen_ms(&recent, 8000), 0);
    recent.waited_ms = 4000; /* what the rest was is not known */
    add(&recent, 28000, 1);
    assert_true(recent.samples[2].is_after_gap);
}

static void a_gap_is_not_lost_where_samples_become_one(void **state)
{
    (void)state;
    struct recent_samples recent = {.interval_ms = 5000};
    add(&recent, 5000, 1);
    add(&recent, 10000, 1);
    recent_samples_add_gap(&recent);
    add(&recent, 10500, 1);
    add(&recent, 11000, 1);
    assert_true(recent.samples[2].is_after_gap);
}

static void a_source_with_one_number_waits_by_it(void **state)
{
    (void)state;
    struct reading reading = READING_UNKNOWN;
    assert_true(isnan(recent_samples_waiting(&reading)));
    reading.value = 12;
    assert_true(recent_samples_waiting(&reading) == 12);
}

/* Nothing that was unknown for a moment was idle all the time. */
static void unknown_is_not_idle_where_samples_become_one(void **state)
{
    (void)state;
    for (int unknown = 0; unknown < 2; unknown++) {
        struct recent_samples recent = {.interval_ms = 5000};
        const struct recent_sample *last = &recent.samples[2];
        add(&recent, 5000, 0);
        add(&recent, 10000, 0);
        for (int i = 1; i <= 2; i++) {
            struct reading reading = reading_of(0, i == unknown + 1 ? NAN : 0);
            recent_samples_add(&recent, 10000 + i, &reading);
        }
        assert_int_equal(recent.count, 3);
        assert_true(isnan(last->max_in_flight));
        assert_true(last->max_waiting == 0);
        struct reading busy = reading_of(NAN, 3);
        recent_samples_add(&recent, 10003, &busy);
        assert_int_equal(recent.count, 3);
        assert_true(last->max_in_flight == 3);
        assert_true(isnan(last->max_waiting));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_bounded_and_keeps_the_newest),
        cmocka_unit_test(many_in_one_interval_are_one_sample_that_has_their_maximum),
        cmocka_unit_test(a_failure_and_a_long_silence_are_gaps),
        cmocka_unit_test(what_a_slow_source_takes_is_no_gap),
        cmocka_unit_test(a_wait_for_a_turn_is_no_gap),
        cmocka_unit_test(a_gap_is_not_lost_where_samples_become_one),
        cmocka_unit_test(a_source_with_one_number_waits_by_it),
        cmocka_unit_test(unknown_is_not_idle_where_samples_become_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
