#include "measure/scaler.h"

#include "scalers/kafka/trigger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

static struct evaluation evaluated(const struct trigger *trigger, double lag, double partitions,
                                   double with_lag)
{
    struct error error = {0};
    struct evaluation evaluation;
    struct reading reading = READING_UNKNOWN;
    reading.waiting = lag;
    reading.waiting_for_activation = lag;
    reading.partitions = partitions;
    reading.partitions_with_lag = with_lag;
    assert_true(scaler_kafka.evaluate(&trigger->options, &reading, &evaluation, &error));
    return evaluation;
}

static void the_metric_spec_is_that_of_keda(void **state)
{
    (void)state;
    TRIGGER(trigger, {"lagThreshold", "5"});
    struct metric_spec spec;
    scaler_kafka.metric_spec(&trigger.options, &spec);
    assert_string_equal(spec.metric_name, "kafka-videoJob");
    assert_float_equal(spec.target, 5, 0);
    free(spec.metric_name);
}

static void queries_of_one_group_are_measured_together(void **state)
{
    (void)state;
    TRIGGER(one, {"topic", "videos"});
    TRIGGER(other, {"topic", "images"});
    TRIGGER(strange, {"consumerGroup", "strangers"});
    const struct trigger *const triggers[] = {&one, &other, &strange};
    char *bundles[ARRAY_LENGTH(triggers)];
    for (size_t i = 0; i < ARRAY_LENGTH(triggers); i++)
        bundles[i] =
            scaler_kafka.bundle(triggers[i]->options.connection, triggers[i]->options.query);
    assert_string_equal(bundles[0], bundles[1]);
    assert_string_not_equal(bundles[0], bundles[2]);
    for (size_t i = 0; i < ARRAY_LENGTH(triggers); i++)
        free(bundles[i]);
}

static void assert_metric(const struct trigger *trigger, const char *name)
{
    struct metric_spec spec;
    scaler_kafka.metric_spec(&trigger->options, &spec);
    assert_string_equal(spec.metric_name, name);
    free(spec.metric_name);
}

static void the_metric_is_named_after_what_is_measured(void **state)
{
    (void)state;
    TRIGGER(list, {"topic", "videos , images,videos"});
    assert_metric(&list, "kafka-videos,images,videos");
    TRIGGER(pattern, {"topic", "^orders-[a,b]{1,2}$"});
    assert_metric(&pattern, "kafka-^orders-[a,b]{1,2}$");
    TRIGGER(group, {"topic", " "});
    assert_metric(&group, "kafka-workers-topics");
}

static void wrong_metadata_has_a_metric_spec(void **state)
{
    (void)state;
    TRIGGER(trigger, {"consumerGroup", NULL}, {"topic", NULL}, {"lagThreshold", "many"});
    struct metric_spec spec;
    assert_false(trigger.good);
    scaler_kafka.metric_spec(&trigger.options, &spec);
    assert_string_equal(spec.metric_name, "kafka--topics");
    assert_float_equal(spec.target, 10, 0);
    free(spec.metric_name);
}

static void there_are_never_more_replicas_than_partitions(void **state)
{
    (void)state;
    TRIGGER(trigger, {"lagThreshold", "5"});
    assert_float_equal(evaluated(&trigger, 12, 3, 3).value, 12, 0);
    /* KEDA lets 17 through, which the HPA makes 4 replicas of. */
    assert_float_equal(evaluated(&trigger, 17, 3, 3).value, 15, 0);
    assert_float_equal(evaluated(&trigger, 1000, 3, 3).value, 15, 0);
}

static void idle_consumers_are_allowed_where_they_are_wanted(void **state)
{
    (void)state;
    TRIGGER(trigger, {"lagThreshold", "5"}, {"allowIdleConsumers", "true"});
    assert_float_equal(evaluated(&trigger, 1000, 3, 3).value, 1000, 0);
}

static void partitions_without_lag_need_no_replica(void **state)
{
    (void)state;
    TRIGGER(trigger, {"lagThreshold", "5"}, {"limitToPartitionsWithLag", "true"});
    assert_float_equal(evaluated(&trigger, 1000, 3, 1).value, 5, 0);
    assert_float_equal(evaluated(&trigger, 0, 3, 0).value, 0, 0);
}

static void an_even_distribution_takes_a_divisor_of_the_partitions(void **state)
{
    (void)state;
    TRIGGER(trigger, {"lagThreshold", "5"}, {"ensureEvenDistributionOfPartitions", "true"},
            {"allowIdleConsumers", "true"});
    assert_float_equal(evaluated(&trigger, 1, 6, 1).value, 5, 0);
    assert_float_equal(evaluated(&trigger, 16, 6, 6).value, 30, 0); /* 4 does not divide 6 */
    assert_float_equal(evaluated(&trigger, 11, 6, 6).value, 15, 0);
    assert_float_equal(evaluated(&trigger, 1000, 6, 6).value, 30, 0);
    assert_float_equal(evaluated(&trigger, 0, 6, 0).value, 0, 0);
}

/* As each divisor was tried, up to the partitions; any number of lag, and of partitions up to 40.
 */
static void an_even_distribution_is_the_smallest_divisor_that_suffices(void **state)
{
    (void)state;
    TRIGGER(trigger, {"lagThreshold", "1"}, {"ensureEvenDistributionOfPartitions", "true"},
            {"allowIdleConsumers", "true"});
    for (int partitions = 1; partitions <= 40; partitions++)
        for (int lag = 1; lag <= 50; lag++) {
            int expected = 1;
            while (expected < partitions && (partitions % expected != 0 || expected < lag))
                expected++;
            assert_float_equal(evaluated(&trigger, lag, partitions, partitions).value, expected, 0);
        }
    /* A prime, and a lag that no other divisor suffices for: some thousand steps. */
    assert_float_equal(evaluated(&trigger, 1e7, 9999991, 1).value, 9999991, 0);
}

static void activity_is_decided_by_the_uncapped_lag(void **state)
{
    (void)state;
    TRIGGER(trigger, {"lagThreshold", "1"}, {"activationLagThreshold", "5"});
    assert_false(evaluated(&trigger, 5, 3, 3).active);
    assert_true(evaluated(&trigger, 6, 3, 3).active);
    TRIGGER(by_default, {"lagThreshold", "1"});
    assert_false(evaluated(&by_default, 0, 3, 0).active);
    assert_true(evaluated(&by_default, 1, 3, 1).active);
}

static void a_reading_without_lag_is_an_error(void **state)
{
    (void)state;
    TRIGGER(trigger, {"lagThreshold", "5"});
    struct error error = {0};
    struct evaluation evaluation;
    struct reading reading = READING_UNKNOWN;
    assert_false(scaler_kafka.evaluate(&trigger.options, &reading, &evaluation, &error));
    error_done(&error);
}

static void apache_kafka_has_fewer_rules(void **state)
{
    (void)state;
    TRIGGER_OF(&scaler_apache_kafka, trigger, {"limitToPartitionsWithLag", "true"},
               {"ensureEvenDistributionOfPartitions", "true"}, {"lagThreshold", "5"});
    assert_true(trigger.good);
    /* 11 of lag are 3 replicas, as 3 divides 6; but only 2 partitions have any. */
    assert_float_equal(evaluated(&trigger, 11, 6, 2).value, 10, 0);
    TRIGGER_OF(&scaler_apache_kafka, idle, {"limitToPartitionsWithLag", "true"},
               {"allowIdleConsumers", "true"});
    assert_says(&idle, "limitToPartitionsWithLag excludes allowIdleConsumers");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_metric_spec_is_that_of_keda),
        cmocka_unit_test(queries_of_one_group_are_measured_together),
        cmocka_unit_test(the_metric_is_named_after_what_is_measured),
        cmocka_unit_test(wrong_metadata_has_a_metric_spec),
        cmocka_unit_test(there_are_never_more_replicas_than_partitions),
        cmocka_unit_test(idle_consumers_are_allowed_where_they_are_wanted),
        cmocka_unit_test(partitions_without_lag_need_no_replica),
        cmocka_unit_test(an_even_distribution_takes_a_divisor_of_the_partitions),
        cmocka_unit_test(an_even_distribution_is_the_smallest_divisor_that_suffices),
        cmocka_unit_test(activity_is_decided_by_the_uncapped_lag),
        cmocka_unit_test(a_reading_without_lag_is_an_error),
        cmocka_unit_test(apache_kafka_has_fewer_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
