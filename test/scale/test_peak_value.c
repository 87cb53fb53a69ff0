#include "base/memory.h"
#include "scale/peak_value.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { START_MS = 1000000007, SECOND_MS = 1000, MINUTE_MS = 60 * SECOND_MS };

static int64_t at_s(int64_t seconds)
{
    return START_MS + seconds * SECOND_MS;
}

/* Every 15 s, as the HPA asks, from one second to another. */
static void answer(struct peak_value *peak, double value, int64_t from_s, int64_t to_s)
{
    for (int64_t i = from_s; i <= to_s; i += 15)
        peak_value_add(peak, value, at_s(i));
}

static void nothing_was_answered(void **state)
{
    (void)state;
    const struct peak_value peak = {0};
    assert_true(peak_value_before(&peak, at_s(0)) == 0);
}

static void the_largest_of_five_minutes_before_the_failure(void **state)
{
    (void)state;
    struct peak_value peak = {0};
    peak_value_add(&peak, 40, at_s(0));
    answer(&peak, 3, 15, 300);
    assert_true(peak_value_before(&peak, at_s(300)) == 40);
}

static void readings_older_than_the_window_are_not_counted(void **state)
{
    (void)state;
    struct peak_value peak = {0};
    peak_value_add(&peak, 40, at_s(0));
    answer(&peak, 3, 15, 340);
    assert_true(peak_value_before(&peak, at_s(340)) == 3);
}

static void answers_long_before_the_failure_are_not_counted(void **state)
{
    (void)state;
    struct peak_value peak = {0};
    peak_value_add(&peak, 40, at_s(0));
    peak_value_add(&peak, 3, at_s(200));
    assert_true(peak_value_before(&peak, at_s(420)) == 3);
    assert_true(peak_value_before(&peak, at_s(600)) == 0);
}

static void values_need_not_come_often(void **state)
{
    (void)state;
    struct peak_value peak = {0};
    peak_value_add(&peak, 40, at_s(0));
    peak_value_add(&peak, 3, at_s(299));
    assert_true(peak_value_before(&peak, at_s(299)) == 40);
    peak_value_add(&peak, 2, at_s(7200));
    assert_true(peak_value_before(&peak, at_s(7200)) == 2);
}

static void an_hour_of_outage_changes_nothing(void **state)
{
    (void)state;
    struct peak_value peak = {0};
    answer(&peak, 40, 0, 60);
    answer(&peak, 3, 75, 120);
    for (int64_t i = 120; i < 3600; i += 15) {
        peak_value_fail(&peak, at_s(121));
        assert_true(peak_value_before(&peak, at_s(121)) == 40);
    }
}

/* The replicas were held, and the HPA's window has them still. */
static void a_short_recovery_forgets_nothing(void **state)
{
    (void)state;
    struct peak_value peak = {0};
    peak_value_add(&peak, 40, at_s(0));
    peak_value_fail(&peak, at_s(10));
    peak_value_add(&peak, 3, at_s(3000));
    assert_true(peak_value_before(&peak, at_s(3010)) == 40);
}

/* Measuring worked for a moment, and failed again before anybody called. */
static void a_recovery_that_nobody_saw_forgets_nothing(void **state)
{
    (void)state;
    struct peak_value peak = {0};
    peak_value_add(&peak, 40, at_s(0));
    answer(&peak, 3, 15, 30);
    peak_value_fail(&peak, at_s(31));
    assert_true(peak_value_before(&peak, at_s(3000)) == 40);
    peak_value_fail(&peak, at_s(3000));
    peak_value_add(&peak, 3, at_s(3015));
    assert_true(peak_value_before(&peak, at_s(3030)) == 40);
    answer(&peak, 3, 3030, 3400);
    assert_true(peak_value_before(&peak, at_s(3400)) == 3);
}

/* Or a source that fails now and then would hold the value of a peak for ever. */
static void held_answers_do_not_prolong_the_window(void **state)
{
    (void)state;
    struct peak_value peak = {0};
    peak_value_add(&peak, 40, at_s(0));
    for (int64_t i = 30; i <= 600; i += 30) {
        peak_value_fail(&peak, at_s(i - 1));
        peak_value_add(&peak, 3, at_s(i));
    }
    assert_true(peak_value_before(&peak, at_s(600)) == 3);
}

static void a_failure_does_not_begin_before_the_last_answer(void **state)
{
    (void)state;
    struct peak_value peak = {0};
    peak_value_add(&peak, 40, at_s(0));
    answer(&peak, 3, 15, 345);
    peak_value_fail(&peak, at_s(0));
    peak_value_add(&peak, 3, at_s(346));
    assert_true(peak_value_before(&peak, at_s(346)) == 3);
}

static void each_value_is_known_for_five_minutes_and_not_for_six(void **state)
{
    (void)state;
    for (int64_t offset_ms = 0; offset_ms < MINUTE_MS; offset_ms += 777) {
        struct peak_value peak = {0};
        int64_t began_ms = START_MS + offset_ms;
        peak_value_add(&peak, 7, began_ms);
        for (int64_t i = SECOND_MS; i <= (int64_t)6 * MINUTE_MS; i += SECOND_MS) {
            peak_value_add(&peak, 1, began_ms + i);
            double largest = peak_value_before(&peak, began_ms + i);
            if (i <= PEAK_VALUE_WINDOW_MS)
                assert_true(largest == 7);
            if (i > PEAK_VALUE_WINDOW_MS + PEAK_VALUE_BUCKET_MS)
                assert_true(largest == 1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_was_answered),
        cmocka_unit_test(the_largest_of_five_minutes_before_the_failure),
        cmocka_unit_test(readings_older_than_the_window_are_not_counted),
        cmocka_unit_test(answers_long_before_the_failure_are_not_counted),
        cmocka_unit_test(values_need_not_come_often),
        cmocka_unit_test(an_hour_of_outage_changes_nothing),
        cmocka_unit_test(a_short_recovery_forgets_nothing),
        cmocka_unit_test(a_recovery_that_nobody_saw_forgets_nothing),
        cmocka_unit_test(held_answers_do_not_prolong_the_window),
        cmocka_unit_test(a_failure_does_not_begin_before_the_last_answer),
        cmocka_unit_test(each_value_is_known_for_five_minutes_and_not_for_six),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
