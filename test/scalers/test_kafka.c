#include "base/memory.h"
#include "base/text.h"
#include "kafka/measure/lag.h"
#include "kafka/measure/persistence.h"
#include "kafka/selection.h"
#include "measure/scaler.h"
#include "scalers/trigger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

extern const struct scaler scaler_kafka;
extern const struct scaler scaler_apache_kafka;

enum { NO_COMMIT = -1 };

/* A trigger's keys over these; a NULL value takes one away. */
static const struct option_entry usual[] = {
    {"bootstrapServers", "kafka:9092"},
    {"consumerGroup", "workers"},
    {"topic", "videoJob"},
};

static void trigger_init(struct trigger *trigger, const struct scaler *scaler,
                         const struct option_entry *entries, size_t count)
{
    struct option_entry all[32];
    size_t filled = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(usual); i++) {
        bool replaced = false;
        for (size_t j = 0; j < count; j++)
            replaced = replaced || text_equal(entries[j].key, usual[i].key);
        if (!replaced)
            all[filled++] = usual[i];
    }
    for (size_t j = 0; j < count; j++)
        if (entries[j].value != NULL)
            all[filled++] = entries[j];

    *trigger = trigger_parse(scaler, all, filled);
}

#define TRIGGER_OF(scaler, name, ...)                                                              \
    const struct option_entry name##_entries[] = {__VA_ARGS__};                                    \
    _cleanup_(trigger_done) struct trigger name;                                                   \
    trigger_init(&name, scaler, name##_entries, ARRAY_LENGTH(name##_entries))

#define TRIGGER(name, ...) TRIGGER_OF(&scaler_kafka, name, __VA_ARGS__)

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

static void a_list_of_topics_is_each_of_them_once(void **state)
{
    (void)state;
    struct kafka_selection selection;
    kafka_selection_init(&selection, " b, a ,b,c");
    assert_int_equal(selection.kind, KAFKA_SELECTION_OF_NAMES);
    assert_int_equal(selection.count, 3);
    assert_string_equal(selection.names[0], "a");
    assert_string_equal(selection.names[1], "b");
    assert_string_equal(selection.names[2], "c");
    kafka_selection_done(&selection);
}

static void a_topic_is_no_longer_than_kafka_has_them(void **state)
{
    (void)state;
    char longest[250 + 1] = {0};
    memset(longest, 'x', sizeof(longest) - 1);
    TRIGGER(too_long, {"topic", longest});
    assert_says(&too_long, "topic: number 1 is not a name");
    longest[249] = '\0';
    TRIGGER(long_enough, {"topic", longest});
    assert_true(long_enough.good);
}

static void a_pattern_has_no_more_than_256_characters(void **state)
{
    (void)state;
    char longest[257 + 1] = "^";
    memset(longest + 1, 'x', sizeof(longest) - 2);
    TRIGGER(too_long, {"topic", longest});
    assert_says(&too_long, "at most 256 characters");
    longest[256] = '\0';
    TRIGGER(long_enough, {"topic", longest});
    assert_true(long_enough.good);
}

/* The C library copies what is in a + at each level: this takes 99 MiB there, and four levels
 * more 1.8 GB. */
static void a_pattern_costs_little_however_it_is_nested(void **state)
{
    (void)state;
    struct timespec began;
    struct timespec ended;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &began);
    TRIGGER(nested, {"topic", "^(((((((((((((((((a)+)+)+)+)+)+)+)+)+)+)+)+)+)+)+)+)+"});
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ended);
    assert_true(nested.good);
    double ms =
        (double)(ended.tv_sec - began.tv_sec) * 1e3 + (double)(ended.tv_nsec - began.tv_nsec) / 1e6;
    print_message("%.3f ms\n", ms);
    assert_true(ms < 50);
}

static void without_a_topic_no_partition_is_left_out(void **state)
{
    (void)state;
    TRIGGER(trigger, {"topic", NULL}, {"partitionLimitation", "1-2"});
    assert_true(trigger.good);
    assert_true(kafka_query_has_partition(trigger.options.query, 7));
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

static int64_t updated(struct kafka_persistence *persistence, int64_t committed, int64_t latest,
                       int64_t now_ms)
{
    kafka_persistence_update(persistence, 0, committed, latest, now_ms);
    return kafka_persistence_ms(persistence, 0, now_ms);
}

static void a_commit_is_stuck_for_as_long_as_it_was_not_seen_to_move(void **state)
{
    (void)state;
    struct kafka_persistence_group *all = NULL;
    struct kafka_persistence *persistence =
        kafka_persistence_for(&all, "workers", "videoJob", 1, 1000);
    assert_int_equal(updated(persistence, 4, 9, 1000), 0);
    assert_int_equal(updated(persistence, 4, 12, 3000), 2000);
    assert_int_equal(updated(persistence, 4, 12, 3000), 2000);
    assert_int_equal(updated(persistence, 5, 12, 4000), 0);
    assert_int_equal(updated(persistence, 5, 12, 9000), 5000);
    assert_ptr_equal(kafka_persistence_for(&all, "workers", "videoJob", 1, 1000), persistence);
    kafka_persistence_forget_all(&all);
    assert_null(all);
}

static void a_partition_that_was_idle_is_not_stuck(void **state)
{
    (void)state;
    struct kafka_persistence_group *all = NULL;
    struct kafka_persistence *persistence =
        kafka_persistence_for(&all, "workers", "videoJob", 1, 1000);
    updated(persistence, 9, 9, 1000);
    assert_int_equal(updated(persistence, 9, 9, 60000), 0);
    assert_int_equal(updated(persistence, 9, 10, 120000), 0);
    assert_int_equal(updated(persistence, 9, 10, 121000), 1000);
    kafka_persistence_forget_all(&all);
}

static void unmeasured_partitions_are_not_stuck(void **state)
{
    (void)state;
    struct kafka_persistence_group *all = NULL;
    struct kafka_persistence *persistence =
        kafka_persistence_for(&all, "workers", "videoJob", 1, 1000);
    updated(persistence, 4, 9, 1000);
    kafka_persistence_restart(persistence, 0, 1000);
    assert_int_equal(updated(persistence, 4, 9, 2000), 1000);
    kafka_persistence_restart(persistence, 0, 2500);
    assert_int_equal(updated(persistence, 4, 9, 3000), 0);
    /* More partitions: perhaps the topic was made again. */
    persistence = kafka_persistence_for(&all, "workers", "videoJob", 2, 1000);
    assert_int_equal(updated(persistence, 4, 9, 4000), 0);
    kafka_persistence_forget_all(&all);
}

static void excluded_partitions_go_on(void **state)
{
    (void)state;
    struct kafka_persistence_group *all = NULL;
    struct kafka_persistence *persistence =
        kafka_persistence_for(&all, "workers", "videoJob", 2, 1000);
    kafka_persistence_update(persistence, 0, 4, 9, 1000);
    kafka_persistence_update(persistence, 1, 4, 9, 1000);
    kafka_persistence_restart(persistence, 1, 2500);
    assert_int_equal(kafka_persistence_ms(persistence, 0, 3000), 2000);
    assert_int_equal(kafka_persistence_ms(persistence, 1, 3000), 0);
    kafka_persistence_forget_all(&all);
}

static void a_group_starts_again_with_all_of_its_topics(void **state)
{
    (void)state;
    struct kafka_persistence_group *all = NULL;
    static const char *const groups[] = {"workers", "workers", "others"};
    static const char *const topics[] = {"videoJob", "mailJob", "videoJob"};
    static const bool is_stuck[] = {true, false, true};
    for (size_t i = 0; i < ARRAY_LENGTH(groups); i++)
        updated(kafka_persistence_for(&all, groups[i], topics[i], 1, 1000), 4, 9, 1000);
    updated(kafka_persistence_for(&all, "workers", "videoJob", 1, 1000), 4, 9, 1500);
    kafka_persistence_restart_group(all, "workers", 1500);
    kafka_persistence_restart_group(all, "workers", 1200); /* it began earlier */
    for (size_t i = 0; i < ARRAY_LENGTH(groups); i++) {
        struct kafka_persistence *persistence =
            kafka_persistence_for(&all, groups[i], topics[i], 1, 1000);
        assert_int_equal(kafka_persistence_ms(persistence, 0, 2500), is_stuck[i] ? 1500 : 0);
        assert_int_equal(updated(persistence, 4, 9, 3000), is_stuck[i] ? 2000 : 0);
    }
    kafka_persistence_forget_all(&all);
    assert_null(all);
}

static void a_topic_starts_again_where_the_query_counts_it(void **state)
{
    (void)state;
    TRIGGER(trigger, {"partitionLimitation", "1"});
    struct kafka_persistence_group *all = NULL;
    struct kafka_persistence *persistence =
        kafka_persistence_for(&all, "workers", "videoJob", 2, 1000);
    for (int32_t i = 0; i < 2; i++)
        kafka_persistence_update(persistence, i, 4, 9, 1000);
    kafka_persistence_restart_topic(all, trigger.options.query, "videoJob", 2000);
    kafka_persistence_restart_topic(all, trigger.options.query, "mailJob", 2000);
    assert_int_equal(kafka_persistence_ms(persistence, 0, 3000), 2000);
    assert_int_equal(kafka_persistence_ms(persistence, 1, 3000), 0);
    kafka_persistence_forget_all(&all);
}

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

static void a_beginning_that_moved_past_the_end_is_no_negative_lag(void **state)
{
    (void)state;
    TRIGGER(earliest, {"offsetResetPolicy", "earliest"});
    assert_float_equal(kafka_lag_of(earliest.options.query, NO_COMMIT, 10, 14), 0, 0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_does_not_split_a_connection),
        cmocka_unit_test(thresholds_do_not_split_a_query),
        cmocka_unit_test(the_metric_spec_is_that_of_keda),
        cmocka_unit_test(queries_of_one_group_are_measured_together),
        cmocka_unit_test(wrong_metadata_has_a_metric_spec),
        cmocka_unit_test(the_metric_is_named_after_what_is_measured),
        cmocka_unit_test(a_list_of_topics_is_each_of_them_once),
        cmocka_unit_test(a_topic_is_no_longer_than_kafka_has_them),
        cmocka_unit_test(a_pattern_has_no_more_than_256_characters),
        cmocka_unit_test(a_pattern_costs_little_however_it_is_nested),
        cmocka_unit_test(without_a_topic_no_partition_is_left_out),
        cmocka_unit_test(apache_kafka_has_fewer_rules),
        cmocka_unit_test(a_commit_is_stuck_for_as_long_as_it_was_not_seen_to_move),
        cmocka_unit_test(a_partition_that_was_idle_is_not_stuck),
        cmocka_unit_test(unmeasured_partitions_are_not_stuck),
        cmocka_unit_test(excluded_partitions_go_on),
        cmocka_unit_test(a_group_starts_again_with_all_of_its_topics),
        cmocka_unit_test(a_topic_starts_again_where_the_query_counts_it),
        cmocka_unit_test(lag_is_what_is_not_committed),
        cmocka_unit_test(without_a_commit_the_reset_policy_decides),
        cmocka_unit_test(without_a_commit_zero_is_zero_where_it_is_wanted),
        cmocka_unit_test(a_commit_beyond_the_end_counts_as_none),
        cmocka_unit_test(a_beginning_that_moved_past_the_end_is_no_negative_lag),
        cmocka_unit_test(persistent_lag_time_is_a_duration),
        cmocka_unit_test(only_the_wanted_partitions_count),
        cmocka_unit_test(there_are_never_more_replicas_than_partitions),
        cmocka_unit_test(idle_consumers_are_allowed_where_they_are_wanted),
        cmocka_unit_test(partitions_without_lag_need_no_replica),
        cmocka_unit_test(an_even_distribution_takes_a_divisor_of_the_partitions),
        cmocka_unit_test(an_even_distribution_is_the_smallest_divisor_that_suffices),
        cmocka_unit_test(activity_is_decided_by_the_uncapped_lag),
        cmocka_unit_test(a_reading_without_lag_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
