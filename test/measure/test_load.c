/* Which part of a connection's places is in use, and how long jobs wait for one. */
#include "measure/connection/load.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <cmocka.h>

static bool is_near(double number, double expected)
{
    return fabs(number - expected) < 1e-9;
}

static void the_part_of_the_places_in_use_is_averaged(void **state)
{
    (void)state;
    struct load load;
    load_init(&load, 5000);
    assert_true(load_utilization(&load, 5000) == 0);
    load_add_usage(&load, 2, 8, 15000); /* the first period is over */
    assert_true(is_near(load_utilization(&load, 15000), 0.25));
    load_add_usage(&load, 8, 8, 20000);
    assert_true(is_near(load_utilization(&load, 20000), (0.25 * 10 + 5) / 15));
    load_add_usage(&load, 0, 8, 25000);
    assert_true(is_near(load_utilization(&load, 25000), 0.5));
    load_add_usage(&load, 0, 8, 35000);
    assert_true(load_utilization(&load, 35000) == 0);
}

/* Places that were taken away may still be in use. */
static void it_is_never_more_than_all(void **state)
{
    (void)state;
    struct load load;
    load_init(&load, 0);
    load_add_usage(&load, 9, 3, 10000);
    assert_true(is_near(load_utilization(&load, 10000), 1));
}

static void without_a_limit_it_is_all_or_nothing(void **state)
{
    (void)state;
    struct load load;
    load_init(&load, 0);
    load_add_usage(&load, 7, SIZE_MAX, 5000);
    load_add_usage(&load, 0, SIZE_MAX, 10000);
    assert_true(is_near(load_utilization(&load, 10000), 0.5));
}

static void the_longest_delay_is_that_of_ten_to_twenty_seconds(void **state)
{
    (void)state;
    struct load load;
    load_init(&load, 0);
    load_add_delay(&load, 70, 1000);
    load_add_delay(&load, 30, 9000);
    assert_int_equal(load_recent_delay_ms(&load, 9999), 70);
    assert_int_equal(load_recent_delay_ms(&load, 10000), 70);
    load_add_delay(&load, 40, 19999);
    assert_int_equal(load_recent_delay_ms(&load, 19999), 70);
    assert_int_equal(load_recent_delay_ms(&load, 20000), 40);
    assert_int_equal(load_recent_delay_ms(&load, 30000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_part_of_the_places_in_use_is_averaged),
        cmocka_unit_test(it_is_never_more_than_all),
        cmocka_unit_test(without_a_limit_it_is_all_or_nothing),
        cmocka_unit_test(the_longest_delay_is_that_of_ten_to_twenty_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
