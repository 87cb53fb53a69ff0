#include "kafka/options.h"

#include "scalers/kafka/trigger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void version_does_not_split_a_connection(void **state)
{
    (void)state;
    TRIGGER(old, {"version", "1.0.0"});
    TRIGGER(new, {"version", "3.9.0"});
    assert_string_equal(old.values[OPTION_CONNECTION]->identity,
                        new.values[OPTION_CONNECTION]->identity);
    assert_string_equal(old.values[OPTION_QUERY]->identity, new.values[OPTION_QUERY]->identity);
}

static void thresholds_do_not_split_a_query(void **state)
{
    (void)state;
    TRIGGER(one, {"lagThreshold", "5"});
    TRIGGER(other, {"lagThreshold", "50"}, {"allowIdleConsumers", "true"});
    assert_string_equal(one.values[OPTION_QUERY]->identity, other.values[OPTION_QUERY]->identity);
}

/* KEDA's default. */
static void the_first_message_may_activate(void **state)
{
    (void)state;
    TRIGGER(zero, {"activationLagThreshold", "0"});
    TRIGGER(below, {"activationLagThreshold", "-1"});
    assert_true(zero.good);
    assert_false(below.good);
}

static void persistent_lag_time_is_a_duration(void **state)
{
    (void)state;
    TRIGGER(trigger, {"excludePersistentLag", "true"}, {"persistentLagTime", "2s"});
    const struct kafka_query *query = trigger.options.query;
    assert_true(query->exclude_persistent_lag);
    assert_int_equal(query->persistent_lag_ms, 2000);
}

static void only_the_wanted_partitions_count(void **state)
{
    (void)state;
    TRIGGER(some, {"partitionLimitation", "1, 3-4"});
    TRIGGER(all, {"partitionLimitation", ""});
    static const bool wanted[] = {false, true, false, true, true, false};
    for (int32_t i = 0; i < (int32_t)ARRAY_LENGTH(wanted); i++) {
        assert_int_equal(kafka_query_has_partition(some.options.query, i), wanted[i]);
        assert_true(kafka_query_has_partition(all.options.query, i));
    }
}

static void without_a_topic_no_partition_is_left_out(void **state)
{
    (void)state;
    TRIGGER(trigger, {"topic", NULL}, {"partitionLimitation", "1-2"});
    assert_true(trigger.good);
    assert_true(kafka_query_has_partition(trigger.options.query, 7));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_does_not_split_a_connection),
        cmocka_unit_test(thresholds_do_not_split_a_query),
        cmocka_unit_test(the_first_message_may_activate),
        cmocka_unit_test(persistent_lag_time_is_a_duration),
        cmocka_unit_test(only_the_wanted_partitions_count),
        cmocka_unit_test(without_a_topic_no_partition_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
