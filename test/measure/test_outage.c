/* Since when a query has no usable reading. */
#include "measure/connection/outage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void without_a_failure_there_is_no_outage(void **state)
{
    (void)state;
    struct outage outage = {0};
    assert_int_equal(outage_since_ms(&outage, 0), 0);
    assert_int_equal(outage_no_reading_since_ms(&outage), 0);
    outage_call(&outage, 1000); /* it may be answered in time */
    assert_int_equal(outage_since_ms(&outage, 0), 0);
    assert_int_equal(outage_no_reading_since_ms(&outage), 1000);
}

static void it_begins_with_the_first_call_that_was_not_answered(void **state)
{
    (void)state;
    struct outage outage = {0};
    outage_call(&outage, 1000);
    outage_call(&outage, 2000);
    assert_int_equal(outage_no_reading_since_ms(&outage), 1000);
    outage_attempt_failed(&outage, 3000);
    assert_int_equal(outage_since_ms(&outage, 0), 1000);
    assert_int_equal(outage_no_reading_since_ms(&outage), 0);
    outage_call(&outage, 4000);
    assert_int_equal(outage_no_reading_since_ms(&outage), 4000);
}

static void it_goes_on_with_each_further_failure(void **state)
{
    (void)state;
    struct outage outage = {0};
    outage_attempt_failed(&outage, 1000);
    outage_attempt_failed(&outage, 2000);
    assert_int_equal(outage_since_ms(&outage, 0), 1000);
    assert_int_equal(outage_since_ms(&outage, 3000), 1000);
}

static void a_failed_connection_fails_a_query_that_did_not(void **state)
{
    (void)state;
    struct outage outage = {0};
    assert_int_equal(outage_since_ms(&outage, 2000), 2000);
    outage_call(&outage, 1000);
    assert_int_equal(outage_since_ms(&outage, 2000), 1000);
}

static void a_connection_alone_does_not_end_it(void **state)
{
    (void)state;
    struct outage outage = {0};
    outage_connected(&outage, 1000);
    assert_int_equal(outage_since_ms(&outage, 0), 0); /* nothing has failed since */
    assert_int_equal(outage_no_reading_since_ms(&outage), 1000);
    outage_connected(&outage, 5000); /* it failed again meanwhile */
    outage_attempt_failed(&outage, 6000);
    assert_int_equal(outage_since_ms(&outage, 0), 1000);
}

static void a_reading_ends_it(void **state)
{
    (void)state;
    struct outage outage = {0};
    outage_connected(&outage, 1000);
    outage_attempt_failed(&outage, 2000);
    outage_call(&outage, 3000);
    outage_reading(&outage);
    assert_int_equal(outage_since_ms(&outage, 0), 0);
    outage_attempt_failed(&outage, 4000);
    assert_int_equal(outage_since_ms(&outage, 0), 4000);
}

static void a_query_that_takes_the_place_of_another_one_has_its_outage(void **state)
{
    (void)state;
    struct outage outage = {0};
    outage_inherit(&outage, 1000, 0, 1500);
    outage_attempt_failed(&outage, 2000);
    assert_int_equal(outage_since_ms(&outage, 0), 1000);
    outage_inherit(&outage, 0, 0, 3000); /* of one that works */
    assert_int_equal(outage_since_ms(&outage, 0), 0);
}

/* It has not failed; but what fails next is the same outage. */
static void nor_does_an_outage_begin_twice_that_had_no_reading_yet(void **state)
{
    (void)state;
    struct outage outage = {0};
    outage_inherit(&outage, 0, 1000, 1500);
    assert_int_equal(outage_since_ms(&outage, 0), 0);
    assert_int_equal(outage_no_reading_since_ms(&outage), 1000);
    assert_int_equal(outage_since_ms(&outage, 3000), 1000);
    outage_inherit(&outage, 0, 0,
                   1700); /* of another one: it has no reading of its own for all that */
    assert_int_equal(outage_no_reading_since_ms(&outage), 1000);
    outage_attempt_failed(&outage, 2000);
    assert_int_equal(outage_since_ms(&outage, 0), 1000);
    outage_reading(&outage);
    assert_int_equal(outage_no_reading_since_ms(&outage), 0);
}

/* New credentials that the source does not accept: others have failed with them for hours. */
static void what_works_has_no_part_in_the_failure_of_the_connection_that_it_comes_to(void **state)
{
    (void)state;
    struct outage outage = {0};
    outage_inherit(&outage, 0, 0, 5000);
    assert_int_equal(outage_since_ms(&outage, 1000), 5000);
    assert_int_equal(outage_since_ms(&outage, 6000), 6000);
    outage = (struct outage){0};
    outage_call(&outage, 2000);
    outage_inherit(&outage, 0, 0, 5000);
    assert_int_equal(outage_since_ms(&outage, 1000), 5000);
    outage_connected(&outage, 1000);
    assert_int_equal(outage_no_reading_since_ms(&outage), 5000);
    outage_attempt_failed(&outage, 7000);
    assert_int_equal(outage_since_ms(&outage, 0), 5000);
    outage_reading(&outage);
    assert_int_equal(outage_since_ms(&outage, 1000), 1000);
}

static void what_failed_before_goes_on_failing_there(void **state)
{
    (void)state;
    struct outage outage = {0};
    outage_inherit(&outage, 2000, 0, 5000);
    assert_int_equal(outage_since_ms(&outage, 1000), 2000);
    outage = (struct outage){0};
    outage_inherit(&outage, 0, 3000, 5000);
    assert_int_equal(outage_since_ms(&outage, 1000), 3000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_failure_there_is_no_outage),
        cmocka_unit_test(it_begins_with_the_first_call_that_was_not_answered),
        cmocka_unit_test(it_goes_on_with_each_further_failure),
        cmocka_unit_test(a_failed_connection_fails_a_query_that_did_not),
        cmocka_unit_test(a_connection_alone_does_not_end_it),
        cmocka_unit_test(a_reading_ends_it),
        cmocka_unit_test(a_query_that_takes_the_place_of_another_one_has_its_outage),
        cmocka_unit_test(nor_does_an_outage_begin_twice_that_had_no_reading_yet),
        cmocka_unit_test(what_works_has_no_part_in_the_failure_of_the_connection_that_it_comes_to),
        cmocka_unit_test(what_failed_before_goes_on_failing_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
