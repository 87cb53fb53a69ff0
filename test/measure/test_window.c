#include "measure/window.h"

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

static void add(struct window *window, int64_t at_ms, double waiting)
{
    struct reading reading = reading_of(waiting, 0);
    window_add(window, at_ms, &reading);
}

static void it_is_bounded_and_keeps_the_newest(void **state)
{
    (void)state;
    struct window window = {.interval_ms = 5000};
    for (int i = 1; i <= 1000; i++)
        add(&window, (int64_t)i * 5000, i);
    assert_int_equal(window.count, WINDOW_MAX_SAMPLES);
    assert_int_equal(window.samples[WINDOW_MAX_SAMPLES - 1].at_ms, 1000 * 5000);
    assert_int_equal(window.samples[0].at_ms, (1000 - WINDOW_MAX_SAMPLES + 1) * 5000);
}

/* A push measures after 5, 10, 20 ms: that must not drive out the last five minutes. */
static void many_in_one_interval_are_one_sample_that_has_their_maximum(void **state)
{
    (void)state;
    struct window window = {.interval_ms = 5000};
    add(&window, 5000, 0);
    add(&window, 10000, 0);
    for (int i = 0; i < 500; i++)
        add(&window, 10001 + i, i == 250 ? 7 : 0);
    assert_int_equal(window.count, 3);
    assert_true(window.samples[2].reading.waiting == 0);
    assert_true(window.samples[2].max_waiting == 7);
}

static void a_failure_and_a_long_silence_are_gaps(void **state)
{
    (void)state;
    struct window window = {.interval_ms = 5000};
    add(&window, 5000, 1);
    assert_true(window.samples[0].is_after_gap);
    add(&window, 10000, 1);
    assert_false(window.samples[1].is_after_gap);
    window_add_gap(&window);
    add(&window, 15000, 1);
    assert_true(window.samples[2].is_after_gap);
    add(&window, 60000, 1);
    assert_true(window.samples[3].is_after_gap);
}

static void a_gap_is_not_lost_where_samples_become_one(void **state)
{
    (void)state;
    struct window window = {.interval_ms = 5000};
    add(&window, 5000, 1);
    add(&window, 10000, 1);
    window_add_gap(&window);
    add(&window, 10500, 1);
    add(&window, 11000, 1);
    assert_true(window.samples[2].is_after_gap);
}

static void a_source_with_one_number_waits_by_it(void **state)
{
    (void)state;
    struct reading reading = READING_UNKNOWN;
    assert_true(isnan(window_waiting(&reading)));
    reading.value = 12;
    assert_true(window_waiting(&reading) == 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_bounded_and_keeps_the_newest),
        cmocka_unit_test(many_in_one_interval_are_one_sample_that_has_their_maximum),
        cmocka_unit_test(a_failure_and_a_long_silence_are_gaps),
        cmocka_unit_test(a_gap_is_not_lost_where_samples_become_one),
        cmocka_unit_test(a_source_with_one_number_waits_by_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
