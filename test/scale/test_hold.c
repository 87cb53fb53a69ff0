#include "base/memory.h"
#include "scale/answer/hold.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

enum { START_MS = 1000000007, SECOND_MS = 1000, WINDOW_S = 300 };

static struct hold hold;
static int64_t window_s;

static int set_up(void **state)
{
    (void)state;
    hold = (struct hold){0};
    window_s = WINDOW_S;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hold_done(&hold);
    return 0;
}

static int64_t at_s(int64_t seconds)
{
    return START_MS + seconds * SECOND_MS;
}

/* GetMetrics is answered from a measurement. */
static void add(double value, int64_t seconds)
{
    hold_measured(&hold, value, value > 0, at_s(seconds), at_s(seconds));
    hold_add(&hold, value, window_s * SECOND_MS, at_s(seconds));
}

/* Every 15 s, as the HPA calls, from one second to another. */
static void answer(double value, int64_t from_s, int64_t to_s)
{
    for (int64_t i = from_s; i <= to_s; i += 15)
        add(value, i);
}

static void be_out(int64_t from_s, int64_t to_s)
{
    for (int64_t i = from_s; i <= to_s; i += 15)
        hold_failed(&hold, at_s(i));
}

static void nothing_was_answered(void **state)
{
    (void)state;
    assert_false(hold.is_active);
    assert_true(hold_value(&hold) == 0);
    assert_int_equal(hold_since_ms(&hold, 7), 7);
}

static void it_begins_with_the_first_answer_that_no_measurement_gave(void **state)
{
    (void)state;
    add(40, 0);
    assert_int_equal(hold_since_ms(&hold, at_s(9)), at_s(9));
    be_out(31, 3000);
    assert_int_equal(hold_since_ms(&hold, at_s(3001)), at_s(31));
    assert_int_equal(hold.failing_since_ms, at_s(31));
    add(40, 3015);
    assert_int_equal(hold.failing_since_ms, 0);
    be_out(3020, 3050);
    assert_int_equal(hold_since_ms(&hold, at_s(3050)), at_s(3020));
}

static void only_what_was_active_is_held(void **state)
{
    (void)state;
    add(40, 0);
    assert_true(hold.is_active);
    add(0, 1);
    assert_false(hold.is_active);
}

/* A stream or IsActive sees it first; the HPA did not get that value, and gets it now. */
static void the_last_answer_of_any_call_counts(void **state)
{
    (void)state;
    add(3, 0);
    hold_measured(&hold, 40, true, at_s(1), at_s(1));
    assert_true(hold_value(&hold) == 40);
    add(3, 2);
    assert_true(hold_value(&hold) == 3);
}

static void it_is_the_largest_of_the_window_that_ends_with_the_last_answer(void **state)
{
    (void)state;
    static const int64_t windows_s[] = {0, 60, 300, 900};
    for (size_t i = 0; i < ARRAY_LENGTH(windows_s); i++) {
        window_s = windows_s[i];
        add(40, 0);
        add(3, window_s > 0 ? window_s - 1 : 0);
        assert_true(hold_value(&hold) == (window_s == 0 ? 3 : 40));
        add(3, window_s);
        assert_true(hold_value(&hold) == 3);
        add(2, window_s + 1);
        assert_true(hold_value(&hold) == (window_s == 0 ? 2 : 3));
        hold_done(&hold);
    }
}

/* The replicas that there are follow from it. */
static void the_last_answer_counts_however_old_it_is(void **state)
{
    (void)state;
    window_s = 0;
    add(40, 0);
    be_out(7200, 7300);
    assert_true(hold_value(&hold) == 40);
}

static void values_need_not_come_often(void **state)
{
    (void)state;
    add(40, 0);
    add(3, 299);
    assert_true(hold_value(&hold) == 40);
    add(2, 7200);
    assert_true(hold_value(&hold) == 2);
}

static void an_hour_of_outage_changes_nothing(void **state)
{
    (void)state;
    answer(40, 0, 60);
    answer(3, 75, 120);
    be_out(121, 3600);
    assert_true(hold_value(&hold) == 40);
}

/* The replicas were held, and the HPA's window has them still. */
static void a_short_recovery_forgets_nothing(void **state)
{
    (void)state;
    add(40, 0);
    answer(3, 15, 30);
    be_out(31, 3000);
    add(3, 3015);
    assert_true(hold_value(&hold) == 40);
    answer(3, 3030, 3400);
    assert_true(hold_value(&hold) == 3);
}

/* Or a source that fails now and then would hold the value of a peak for ever. */
static void a_source_that_fails_now_and_then_does_not_prolong_the_window(void **state)
{
    (void)state;
    add(40, 0);
    for (int64_t i = 30; i <= 600; i += 30) {
        be_out(i - 1, i - 1);
        add(3, i);
    }
    assert_true(hold_value(&hold) == 3);
}

/* Too many different values: it may hold for longer than the window, and never for less. */
static void of_many_values_none_is_forgotten_too_soon(void **state)
{
    (void)state;
    enum { VALUES = 3000 };
    srand(1);
    double *values = memory_array(VALUES, sizeof(*values));
    for (int i = 0; i < VALUES; i++) {
        values[i] = 1e6 - i + rand() % 100;
        add(values[i], i);
        double expected = 0, longer = 0;
        for (int k = i; k >= 0 && k >= i - 2 * WINDOW_S; k--) {
            expected = k > i - WINDOW_S ? fmax(expected, values[k]) : expected;
            longer = fmax(longer, values[k]);
        }
        assert_true(hold_value(&hold) >= expected && hold_value(&hold) <= longer);
        assert_true(hold.peaks_count <= PEAKS_MAX);
    }
    free(values);
}

/* ---- of others ---- */

static void take(double value, int64_t since_s, const struct peak *peaks, size_t count,
                 int64_t seconds)
{
    struct held held = {.value = value, .since_ms = at_s(since_s), .peaks_count = count};
    for (size_t i = 0; i < count; i++)
        held.peaks[i] = peaks[i];
    hold_take(&hold, &held, at_s(seconds));
}

static void what_another_replica_holds_counts_until_it_is_measured_here(void **state)
{
    (void)state;
    const struct peak peaks[] = {{12, at_s(-20)}, {7, at_s(-10)}};
    take(7, -10, peaks, 2, 0);
    assert_true(hold.is_active && !hold.is_own);
    assert_true(hold_value(&hold) == 12);
    assert_int_equal(hold_since_ms(&hold, at_s(0)), at_s(-10));
    be_out(1, 31);
    assert_int_equal(hold_since_ms(&hold, at_s(31)), at_s(-10)); /* it goes on */
    assert_int_equal(hold.failing_since_ms, at_s(1));
    add(0, 32);
    assert_false(hold.is_active);
    take(7, -10, peaks, 2, 33);
    assert_false(hold.is_active);
    add(1, 34);
    assert_true(hold_value(&hold) == 12); /* as if it had been answered here */
}

/* By the clock here, which began with the machine. */
static void what_is_older_than_the_machine_is_so(void **state)
{
    (void)state;
    const struct held held = {.value = 7, .since_ms = -5000};
    hold_take(&hold, &held, 1000);
    hold_failed(&hold, 1000);
    assert_int_equal(hold_since_ms(&hold, 1000), -5000);
    struct held given;
    assert_true(hold_give(&hold, 1000, &given));
    assert_int_equal(given.since_ms, -5000);
}

static void of_two_others_the_larger_value_counts_and_the_later_time(void **state)
{
    (void)state;
    const struct peak peaks[] = {{700, at_s(-200)}};
    take(500, -20, NULL, 0, 0);
    take(0.001, -10, NULL, 0, 0);
    take(600, -30, peaks, 1, 0);
    assert_true(hold.value == 600);
    assert_true(hold_value(&hold) == 700);
    assert_int_equal(hold_since_ms(&hold, at_s(0)), at_s(-10));
}

/* Each is as old as whoever answered it says. */
static void what_another_replica_answered_later_stays_longer(void **state)
{
    (void)state;
    const struct peak own[] = {{10, at_s(-240)}, {3, at_s(-60)}};
    const struct peak later[] = {{12, at_s(-120)}, {8, at_s(-30)}};
    take(3, -60, own, 2, 0);
    take(8, -30, later, 2, 0);
    assert_int_equal(hold.peaks_count, 2); /* they are larger than what was there before */
    add(1, 179);
    assert_true(hold_value(&hold) == 12);
    add(1, 181);
    assert_true(hold_value(&hold) == 8);
    add(1, 271);
    assert_true(hold_value(&hold) == 1);
}

static void an_outage_does_not_end_what_another_replica_answered(void **state)
{
    (void)state;
    const struct peak peak = {40, at_s(-200)};
    take(10, -200, &peak, 1, 0);
    be_out(10, 3610);
    add(10, 3660);
    assert_true(hold_value(&hold) == 40);
    add(10, 3751);
    assert_true(hold_value(&hold) == 10);
}

/* As what was answered here: the window stands still while measuring fails. */
static void what_is_learned_in_an_outage_is_as_old_as_it_was_before(void **state)
{
    (void)state;
    const struct peak peak = {40, at_s(3500)};
    add(10, 0);
    be_out(10, 3600);
    take(10, 3500, &peak, 1, 3600);
    add(10, 3610);
    add(10, 3500 + window_s + 9);
    assert_true(hold_value(&hold) == 40);
    add(10, 3500 + window_s + 10);
    assert_true(hold_value(&hold) == 10);
}

/* Calls that came first were not answered. */
static void what_comes_after_the_first_failure_is_held_from_its_own_time_on(void **state)
{
    (void)state;
    be_out(1, 1);
    take(7, -10, NULL, 0, 2);
    assert_true(hold.is_active);
    assert_int_equal(hold_since_ms(&hold, at_s(2)), at_s(-10));
}

static void what_is_given_is_as_old_as_before_the_failure(void **state)
{
    (void)state;
    struct held held;
    assert_false(hold_give(&hold, at_s(0), &held));
    add(30, 0);
    add(20, 8);
    assert_true(hold_give(&hold, at_s(9), &held));
    assert_int_equal(held.since_ms, at_s(8));
    be_out(10, 100);
    assert_true(hold_give(&hold, at_s(110), &held));
    assert_true(held.value == 20);
    assert_int_equal(held.since_ms, at_s(10));
    assert_int_equal(held.peaks_count, 2);
    assert_true(held.peaks[0].value == 30 && held.peaks[1].value == 20);
    assert_int_equal(held.peaks[0].at_ms, at_s(100));
    assert_int_equal(held.peaks[1].at_ms, at_s(108));
    add(0, 111);
    assert_false(hold_give(&hold, at_s(111), &held));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_was_answered),
        TEST(it_begins_with_the_first_answer_that_no_measurement_gave),
        TEST(only_what_was_active_is_held),
        TEST(the_last_answer_of_any_call_counts),
        TEST(it_is_the_largest_of_the_window_that_ends_with_the_last_answer),
        TEST(the_last_answer_counts_however_old_it_is),
        TEST(values_need_not_come_often),
        TEST(an_hour_of_outage_changes_nothing),
        TEST(a_short_recovery_forgets_nothing),
        TEST(a_source_that_fails_now_and_then_does_not_prolong_the_window),
        TEST(of_many_values_none_is_forgotten_too_soon),
        TEST(what_another_replica_holds_counts_until_it_is_measured_here),
        TEST(of_two_others_the_larger_value_counts_and_the_later_time),
        TEST(what_comes_after_the_first_failure_is_held_from_its_own_time_on),
        TEST(what_is_older_than_the_machine_is_so),
        TEST(what_another_replica_answered_later_stays_longer),
        TEST(an_outage_does_not_end_what_another_replica_answered),
        TEST(what_is_learned_in_an_outage_is_as_old_as_it_was_before),
        TEST(what_is_given_is_as_old_as_before_the_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
