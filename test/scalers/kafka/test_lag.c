#include "kafka/lag.h"

#include "scalers/kafka/trigger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { NO_COMMIT = -1 };

static void lag_is_what_is_not_committed(void **state)
{
    (void)state;
    TRIGGER(trigger, {"offsetResetPolicy", "earliest"});
    assert_float_equal(kafka_lag_of(trigger.options.query, 4, 10, 2), 6, 0);
    assert_float_equal(kafka_lag_of(trigger.options.query, 10, 10, 2), 0, 0);
    assert_false(kafka_lag_needs_earliest(trigger.options.query, 4, 10));
}

static void without_a_commit_the_reset_policy_decides(void **state)
{
    (void)state;
    TRIGGER(latest, {"offsetResetPolicy", "latest"});
    TRIGGER(earliest, {"offsetResetPolicy", "earliest"});
    assert_float_equal(kafka_lag_of(latest.options.query, NO_COMMIT, 10, 0), 1, 0);
    assert_float_equal(kafka_lag_of(earliest.options.query, NO_COMMIT, 10, 3), 7, 0);
    assert_false(kafka_lag_needs_earliest(latest.options.query, NO_COMMIT, 10));
    assert_true(kafka_lag_needs_earliest(earliest.options.query, NO_COMMIT, 10));
}

static void without_a_commit_zero_is_zero_where_it_is_wanted(void **state)
{
    (void)state;
    TRIGGER(latest, {"scaleToZeroOnInvalidOffset", "true"});
    TRIGGER(earliest, {"scaleToZeroOnInvalidOffset", "true"}, {"offsetResetPolicy", "earliest"});
    assert_float_equal(kafka_lag_of(latest.options.query, NO_COMMIT, 10, 0), 0, 0);
    assert_float_equal(kafka_lag_of(earliest.options.query, NO_COMMIT, 10, 0), 0, 0);
    assert_false(kafka_lag_needs_earliest(earliest.options.query, NO_COMMIT, 10));
}

static void a_commit_beyond_the_end_counts_as_none(void **state)
{
    (void)state;
    TRIGGER(latest, {"offsetResetPolicy", "latest"});
    TRIGGER(earliest, {"offsetResetPolicy", "earliest"});
    assert_float_equal(kafka_lag_of(latest.options.query, 100, 12, 0), 1, 0);
    assert_float_equal(kafka_lag_of(earliest.options.query, 100, 12, 0), 12, 0);
    assert_true(kafka_lag_needs_earliest(earliest.options.query, 100, 12));
}

static void removed_messages_are_no_lag(void **state)
{
    (void)state;
    TRIGGER(latest, {"offsetResetPolicy", "latest"});
    TRIGGER(none, {"scaleToZeroOnInvalidOffset", "true"});
    assert_float_equal(kafka_lag_of(latest.options.query, 10, 100, 100), 0, 0);
    assert_float_equal(kafka_lag_of(latest.options.query, 10, 105, 100), 5, 0);
    assert_float_equal(kafka_lag_of(none.options.query, 10, 105, 100), 5, 0);
    assert_float_equal(kafka_lag_of(latest.options.query, 10, 100, 104), 0, 0);
}

static void a_beginning_that_moved_past_the_end_is_no_negative_lag(void **state)
{
    (void)state;
    TRIGGER(earliest, {"offsetResetPolicy", "earliest"});
    assert_float_equal(kafka_lag_of(earliest.options.query, NO_COMMIT, 10, 14), 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lag_is_what_is_not_committed),
        cmocka_unit_test(without_a_commit_the_reset_policy_decides),
        cmocka_unit_test(without_a_commit_zero_is_zero_where_it_is_wanted),
        cmocka_unit_test(a_commit_beyond_the_end_counts_as_none),
        cmocka_unit_test(removed_messages_are_no_lag),
        cmocka_unit_test(a_beginning_that_moved_past_the_end_is_no_negative_lag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
