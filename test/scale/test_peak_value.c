#include "base/memory.h"
#include "scale/answer/peak_value.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

enum { START_MS = 1000000007, SECOND_MS = 1000, WINDOW_S = 300 };

static struct peak_value peak;
static int64_t window_s;

static int set_up(void **state)
{
    (void)state;
    peak = (struct peak_value){0};
    window_s = WINDOW_S;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    peak_value_done(&peak);
    return 0;
}

static int64_t at_s(int64_t seconds)
{
    return START_MS + seconds * SECOND_MS;
}

static void add(double value, int64_t seconds)
{
    peak_value_add(&peak, value, window_s * SECOND_MS, at_s(seconds));
}

/* Every 15 s, as the HPA calls, from one second to another. */
static void answer(double value, int64_t from_s, int64_t to_s)
{
    for (int64_t i = from_s; i <= to_s; i += 15)
        add(value, i);
}

/* Measuring fails from the first second on, and a held value is answered every 15 s until the
 * other. */
static void be_out(int64_t from_s, int64_t to_s)
{
    for (int64_t i = from_s; i <= to_s; i += 15)
        peak_value_hold(&peak, at_s(from_s), at_s(i));
}

static double largest(void)
{
    return peak_value_largest(&peak);
}

static void nothing_was_answered(void **state)
{
    (void)state;
    assert_true(largest() == 0);
}

static void it_is_the_largest_of_the_window_that_ends_with_the_last_answer(void **state)
{
    (void)state;
    static const int64_t windows_s[] = {0, 60, 300, 900};
    for (size_t i = 0; i < ARRAY_LENGTH(windows_s); i++) {
        window_s = windows_s[i];
        add(40, 0);
        add(3, window_s > 0 ? window_s - 1 : 0);
        assert_true(largest() == (window_s == 0 ? 3 : 40));
        add(3, window_s);
        assert_true(largest() == 3);
        add(2, window_s + 1);
        assert_true(largest() == (window_s == 0 ? 2 : 3));
        peak_value_done(&peak);
    }
}

/* The replicas that there are follow from it. */
static void the_last_answer_counts_however_old_it_is(void **state)
{
    (void)state;
    window_s = 0;
    add(40, 0);
    be_out(7200, 7300);
    assert_true(largest() == 40);
}

static void values_need_not_come_often(void **state)
{
    (void)state;
    add(40, 0);
    add(3, 299);
    assert_true(largest() == 40);
    add(2, 7200);
    assert_true(largest() == 2);
}

static void an_hour_of_outage_changes_nothing(void **state)
{
    (void)state;
    answer(40, 0, 60);
    answer(3, 75, 120);
    be_out(121, 3600);
    assert_true(largest() == 40);
}

/* The replicas were held, and the HPA's window has them still. */
static void a_short_recovery_forgets_nothing(void **state)
{
    (void)state;
    add(40, 0);
    answer(3, 15, 30);
    be_out(31, 3000);
    add(3, 3015);
    assert_true(largest() == 40);
    answer(3, 3030, 3400);
    assert_true(largest() == 3);
}

/* After the hold the calls failed, and the HPA had no value to remember. */
static void the_time_without_a_held_value_counts(void **state)
{
    (void)state;
    add(40, 0);
    answer(3, 15, 30);
    be_out(31, 60);
    add(3, 4000);
    assert_true(largest() == 3);
}

/* As where a reading came that could not be evaluated. */
static void the_time_between_two_failures_counts_though_nothing_was_answered(void **state)
{
    (void)state;
    add(40, 0);
    answer(3, 15, 30);
    be_out(31, 60);
    be_out(3000, 3030);
    add(3, 3045);
    assert_true(largest() == 3);
}

/* Or a source that fails now and then would hold the value of a peak for ever. */
static void held_answers_do_not_prolong_the_window(void **state)
{
    (void)state;
    add(40, 0);
    for (int64_t i = 30; i <= 600; i += 30) {
        be_out(i - 1, i - 1);
        add(3, i);
    }
    assert_true(largest() == 3);
}

static void a_failure_does_not_begin_before_the_last_answer(void **state)
{
    (void)state;
    add(40, 0);
    answer(3, 15, 300);
    peak_value_hold(&peak, at_s(0), at_s(301));
    add(3, 302);
    assert_true(largest() == 3);
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
        assert_true(largest() >= expected && largest() <= longer);
        assert_true(peak.count <= PEAKS_MAX);
    }
    free(values);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void what_another_replica_answered_counts_where_it_is_larger(void **state)
{
    (void)state;
    const struct peak entries[] = {{40, at_s(-200)}, {20, at_s(-100)}, {5, at_s(-10)}};
    peak_value_add_earlier(&peak, entries, 3, at_s(0));
    assert_true(peak_value_largest(&peak) == 40);
    add(10, 50);
    assert_true(peak_value_largest(&peak) == 40);
    add(10, 101); /* 301 s after the first one */
    assert_true(peak_value_largest(&peak) == 20);
    peak_value_add_earlier(&peak, entries, 1, at_s(102));
    assert_true(peak_value_largest(&peak) == 40);
    peak_value_add_earlier(&peak, entries + 2, 1, at_s(102));
    assert_true(peak_value_largest(&peak) == 40);
}

/* Each is as old as whoever answered it says. */
static void what_another_replica_answered_later_stays_longer(void **state)
{
    (void)state;
    const struct peak own[] = {{10, at_s(-240)}, {3, at_s(-60)}};
    const struct peak later[] = {{12, at_s(-120)}, {8, at_s(-30)}};
    peak_value_add_earlier(&peak, own, 2, at_s(0));
    peak_value_add_earlier(&peak, later, 2, at_s(0));
    assert_int_equal(peak.count, 2); /* they are larger than what was there before */
    add(1, 179);
    assert_true(peak_value_largest(&peak) == 12);
    add(1, 181);
    assert_true(peak_value_largest(&peak) == 8);
    add(1, 271);
    assert_true(peak_value_largest(&peak) == 1);
}

static void an_outage_does_not_end_what_another_replica_answered(void **state)
{
    (void)state;
    const struct peak entry = {40, at_s(-200)};
    peak_value_add_earlier(&peak, &entry, 1, at_s(0));
    peak_value_hold(&peak, at_s(0), at_s(10));
    peak_value_hold(&peak, at_s(0), at_s(3600));
    add(10, 3650);
    assert_true(peak_value_largest(&peak) == 40);
    add(10, 3701);
    assert_true(peak_value_largest(&peak) == 10);
}

/* As what was answered here: the window stands still while measuring fails. */
static void what_is_learned_after_an_outage_is_as_old_as_it_was_before(void **state)
{
    (void)state;
    const struct peak entry = {40, at_s(3500)};
    add(10, 0);
    be_out(0, 3600);
    add(10, 3600);
    peak_value_add_earlier(&peak, &entry, 1, at_s(3600));
    add(10, 3600 + window_s - 101);
    assert_true(largest() == 40);
    add(10, 3600 + window_s - 99);
    assert_true(largest() == 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_was_answered),
        TEST(it_is_the_largest_of_the_window_that_ends_with_the_last_answer),
        TEST(the_last_answer_counts_however_old_it_is),
        TEST(values_need_not_come_often),
        TEST(an_hour_of_outage_changes_nothing),
        TEST(a_short_recovery_forgets_nothing),
        TEST(the_time_without_a_held_value_counts),
        TEST(the_time_between_two_failures_counts_though_nothing_was_answered),
        TEST(held_answers_do_not_prolong_the_window),
        TEST(a_failure_does_not_begin_before_the_last_answer),
        TEST(of_many_values_none_is_forgotten_too_soon),
        TEST(what_another_replica_answered_counts_where_it_is_larger),
        TEST(what_another_replica_answered_later_stays_longer),
        TEST(what_is_learned_after_an_outage_is_as_old_as_it_was_before),
        TEST(an_outage_does_not_end_what_another_replica_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
