/* The largest of a time: merged, joined and dropped. */
#include "scale/policy/peaks.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void assert_peaks(const struct peak *peaks, size_t count, const struct peak *expected,
                         size_t expected_count)
{
    assert_true(count == expected_count);
    for (size_t i = 0; i < count; i++) {
        assert_true(peaks[i].value == expected[i].value);
        assert_int_equal(peaks[i].at_ms, expected[i].at_ms);
    }
}

#define ASSERT_PEAKS(peaks, count, ...)                                                            \
    assert_peaks(peaks, count, (const struct peak[]){__VA_ARGS__},                                 \
                 ARRAY_LENGTH(((const struct peak[]){__VA_ARGS__})))

/* 7 at 40 was larger than 5 at 30, and less than 9 at 20, which ends before it. */
static void at_each_time_the_larger_value_counts(void **state)
{
    (void)state;
    struct peak peaks[PEAKS_MAX] = {{9, 20}, {5, 30}, {2, 60}};
    const struct peak others[] = {{8, 10}, {7, 40}, {1, 70}};
    size_t count = peaks_merge(peaks, 3, PEAKS_MAX, others, ARRAY_LENGTH(others));
    ASSERT_PEAKS(peaks, count, {9, 20}, {7, 40}, {2, 60}, {1, 70});
    count = peaks_drop(peaks, count, 20);
    ASSERT_PEAKS(peaks, count, {7, 40}, {2, 60}, {1, 70});
    assert_int_equal(peaks_drop(peaks, count, 70), 0);
}

static void the_same_again_changes_nothing(void **state)
{
    (void)state;
    struct peak peaks[PEAKS_MAX] = {{9, 20}, {5, 30}};
    const struct peak others[] = {{9, 20}, {5, 30}};
    size_t count = peaks_merge(peaks, 2, PEAKS_MAX, others, 2);
    ASSERT_PEAKS(peaks, count, {9, 20}, {5, 30});
    count = peaks_merge(peaks, count, PEAKS_MAX, others, 0);
    ASSERT_PEAKS(peaks, count, {9, 20}, {5, 30});
    assert_int_equal(peaks_merge(peaks, 0, PEAKS_MAX, others, 0), 0);
}

static void of_too_many_the_two_that_are_closest_become_one(void **state)
{
    (void)state;
    struct peak peaks[3] = {{9, 20}, {5, 30}, {4, 33}};
    const struct peak others[] = {{1, 50}};
    size_t count = peaks_merge(peaks, 3, 3, others, 1);
    ASSERT_PEAKS(peaks, count, {9, 20}, {5, 33}, {1, 50});
}

static void as_many_as_may_be_on_both_sides_are_merged(void **state)
{
    (void)state;
    struct peak peaks[PEAKS_MAX];
    struct peak others[PEAKS_MAX];
    for (int i = 0; i < PEAKS_MAX; i++) {
        peaks[i] = (struct peak){200 - 2 * i, i * INT64_C(2)};
        others[i] = (struct peak){199 - 2 * i, i * INT64_C(2) + 1};
    }
    size_t count = peaks_merge(peaks, PEAKS_MAX, PEAKS_MAX, others, PEAKS_MAX);
    assert_int_equal(count, PEAKS_MAX);
    assert_true(peaks[0].value == 200);
    assert_int_equal(peaks[count - 1].at_ms, 2 * PEAKS_MAX - 1);
    for (size_t i = 1; i < count; i++)
        assert_true(peaks[i].value < peaks[i - 1].value && peaks[i].at_ms > peaks[i - 1].at_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_each_time_the_larger_value_counts),
        cmocka_unit_test(the_same_again_changes_nothing),
        cmocka_unit_test(of_too_many_the_two_that_are_closest_become_one),
        cmocka_unit_test(as_many_as_may_be_on_both_sides_are_merged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
