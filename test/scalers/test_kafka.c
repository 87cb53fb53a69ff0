#include "base/memory.h"
#include "base/text.h"
#include "kafka/lag.h"
#include "kafka/selection.h"
#include "kafka/stall.h"
#include "measure/scaler.h"
#include "scalers/trigger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
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

static struct judgement judged(const struct trigger *trigger, double lag, double partitions,
                               double with_lag)
{
    struct error error = {0};
    struct judgement judgement;
    struct reading reading = READING_UNKNOWN;
    reading.waiting = lag;
    reading.waiting_for_activation = lag;
    reading.partitions = partitions;
    reading.partitions_with_lag = with_lag;
    assert_true(scaler_kafka.judge(&trigger->options, &reading, &judgement, &error));
    return judgement;
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

static void the_plan_is_that_of_keda(void **state)
{
    (void)state;
    TRIGGER(trigger, {"lagThreshold", "5"});
    struct plan plan;
    scaler_kafka.plan(&trigger.options, &plan);
    assert_string_equal(plan.metric_name, "kafka-videoJob");
    assert_float_equal(plan.target, 5, 0);
    free(plan.metric_name);
}

static void assert_metric(const struct trigger *trigger, const char *name)
{
    struct plan plan;
    scaler_kafka.plan(&trigger->options, &plan);
    assert_string_equal(plan.metric_name, name);
    free(plan.metric_name);
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

static void wrong_metadata_has_a_plan(void **state)
{
    (void)state;
    TRIGGER(trigger, {"consumerGroup", NULL}, {"topic", NULL}, {"lagThreshold", "many"});
    struct plan plan;
    assert_false(trigger.good);
    scaler_kafka.plan(&trigger.options, &plan);
    assert_string_equal(plan.metric_name, "kafka--topics");
    assert_float_equal(plan.target, 10, 0);
    free(plan.metric_name);
}

static void a_list_of_topics_is_each_of_them_once(void **state)
{
    (void)state;
    struct selection selection;
    selection_init(&selection, " b, a ,b,c");
    assert_int_equal(selection.kind, SELECTION_OF_NAMES);
    assert_int_equal(selection.count, 3);
    assert_string_equal(selection.names[0], "a");
    assert_string_equal(selection.names[1], "b");
    assert_string_equal(selection.names[2], "c");
    selection_done(&selection);
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

static void a_pattern_is_of_256_characters_at_most(void **state)
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

static void without_a_topic_no_partition_is_left_out(void **state)
{
    (void)state;
    TRIGGER(trigger, {"topic", NULL}, {"partitionLimitation", "1-2"});
    assert_true(trigger.good);
    assert_true(lag_counts(trigger.options.query, 7));
}

static void apache_kafka_has_fewer_rules(void **state)
{
    (void)state;
    TRIGGER_OF(&scaler_apache_kafka, trigger, {"limitToPartitionsWithLag", "true"},
               {"ensureEvenDistributionOfPartitions", "true"}, {"lagThreshold", "5"});
    assert_true(trigger.good);
    /* 11 of lag are 3 replicas, as 3 divides 6; but only 2 partitions have any. */
    assert_float_equal(judged(&trigger, 11, 6, 2).value, 10, 0);
    TRIGGER_OF(&scaler_apache_kafka, idle, {"limitToPartitionsWithLag", "true"},
               {"allowIdleConsumers", "true"});
    assert_says(&idle, "limitToPartitionsWithLag excludes allowIdleConsumers");
}

static int64_t looked(struct stall *stall, int64_t committed, int64_t latest, int64_t now_ms)
{
    return stall_look(stall, 0, committed, latest, now_ms);
}

static void a_commit_is_stuck_for_as_long_as_it_was_seen_not_to_move(void **state)
{
    (void)state;
    struct kafka_client client = {0};
    struct stall *stall = stall_use(&client, "workers", "videoJob", 1);
    assert_int_equal(looked(stall, 4, 9, 1000), 0);
    assert_int_equal(looked(stall, 4, 12, 3000), 2000);
    assert_int_equal(looked(stall, 4, 12, 3000), 2000);
    assert_int_equal(looked(stall, 5, 12, 4000), 0);
    assert_int_equal(looked(stall, 5, 12, 9000), 5000);
    assert_ptr_equal(stall_use(&client, "workers", "videoJob", 1), stall);
    stalls_forget(&client);
    assert_null(client.stalls);
}

static void a_partition_that_was_idle_is_not_stuck(void **state)
{
    (void)state;
    struct kafka_client client = {0};
    struct stall *stall = stall_use(&client, "workers", "videoJob", 1);
    looked(stall, 9, 9, 1000);
    assert_int_equal(looked(stall, 9, 9, 60000), 0);
    assert_int_equal(looked(stall, 9, 10, 61000), 1000);
    stalls_forget(&client);
}

static void what_was_not_seen_is_not_stuck(void **state)
{
    (void)state;
    struct kafka_client client = {0};
    struct stall *stall = stall_use(&client, "workers", "videoJob", 1);
    looked(stall, 4, 9, 1000);
    stall_settle(stall, 0, 1000);
    assert_int_equal(looked(stall, 4, 9, 2000), 1000);
    stall_settle(stall, 0, 2500);
    assert_int_equal(looked(stall, 4, 9, 3000), 0);
    /* More partitions: a topic that was made anew, perhaps. */
    stall = stall_use(&client, "workers", "videoJob", 2);
    assert_int_equal(looked(stall, 4, 9, 4000), 0);
    stalls_forget(&client);
}

static void what_was_not_to_be_seen_goes_on(void **state)
{
    (void)state;
    struct kafka_client client = {0};
    struct stall *stall = stall_use(&client, "workers", "videoJob", 2);
    stall_look(stall, 0, 4, 9, 1000);
    stall_look(stall, 1, 4, 9, 1000);
    stall_settle(stall, 1, 2500);
    assert_int_equal(stall_look(stall, 0, 4, 9, 3000), 2000);
    assert_int_equal(stall_look(stall, 1, 4, 9, 3000), 0);
    stalls_forget(&client);
}

static void lag_is_what_is_not_committed(void **state)
{
    (void)state;
    TRIGGER(trigger, {"offsetResetPolicy", "earliest"});
    assert_float_equal(lag_of(trigger.options.query, 4, 10, 2), 6, 0);
    assert_float_equal(lag_of(trigger.options.query, 10, 10, 2), 0, 0);
    assert_false(lag_needs_earliest(trigger.options.query, 4, 10));
}

static void without_a_commit_the_reset_policy_decides(void **state)
{
    (void)state;
    TRIGGER(latest, {"offsetResetPolicy", "latest"});
    TRIGGER(earliest, {"offsetResetPolicy", "earliest"});
    assert_float_equal(lag_of(latest.options.query, NO_COMMIT, 10, 0), 1, 0);
    assert_float_equal(lag_of(earliest.options.query, NO_COMMIT, 10, 3), 7, 0);
    assert_false(lag_needs_earliest(latest.options.query, NO_COMMIT, 10));
    assert_true(lag_needs_earliest(earliest.options.query, NO_COMMIT, 10));
}

static void without_a_commit_zero_is_zero_where_it_is_asked_for(void **state)
{
    (void)state;
    TRIGGER(latest, {"scaleToZeroOnInvalidOffset", "true"});
    TRIGGER(earliest, {"scaleToZeroOnInvalidOffset", "true"}, {"offsetResetPolicy", "earliest"});
    assert_float_equal(lag_of(latest.options.query, NO_COMMIT, 10, 0), 0, 0);
    assert_float_equal(lag_of(earliest.options.query, NO_COMMIT, 10, 0), 0, 0);
    assert_false(lag_needs_earliest(earliest.options.query, NO_COMMIT, 10));
}

static void a_commit_beyond_the_end_counts_as_none(void **state)
{
    (void)state;
    TRIGGER(latest, {"offsetResetPolicy", "latest"});
    TRIGGER(earliest, {"offsetResetPolicy", "earliest"});
    assert_float_equal(lag_of(latest.options.query, 100, 12, 0), 1, 0);
    assert_float_equal(lag_of(earliest.options.query, 100, 12, 0), 12, 0);
    assert_true(lag_needs_earliest(earliest.options.query, 100, 12));
}

static void a_beginning_that_moved_past_the_end_is_no_negative_lag(void **state)
{
    (void)state;
    TRIGGER(earliest, {"offsetResetPolicy", "earliest"});
    assert_float_equal(lag_of(earliest.options.query, NO_COMMIT, 10, 14), 0, 0);
}

static void only_the_partitions_asked_for_count(void **state)
{
    (void)state;
    TRIGGER(some, {"partitionLimitation", "1, 3-4"});
    TRIGGER(all, {"partitionLimitation", ""});
    static const bool wanted[] = {false, true, false, true, true, false};
    for (int32_t i = 0; i < (int32_t)ARRAY_LENGTH(wanted); i++) {
        assert_int_equal(lag_counts(some.options.query, i), wanted[i]);
        assert_true(lag_counts(all.options.query, i));
    }
}

static void there_are_never_more_replicas_than_partitions(void **state)
{
    (void)state;
    TRIGGER(trigger, {"lagThreshold", "5"});
    assert_float_equal(judged(&trigger, 12, 3, 3).value, 12, 0);
    /* KEDA lets 17 through, which the HPA makes 4 replicas of. */
    assert_float_equal(judged(&trigger, 17, 3, 3).value, 15, 0);
    assert_float_equal(judged(&trigger, 1000, 3, 3).value, 15, 0);
}

static void idle_consumers_are_allowed_where_it_is_asked_for(void **state)
{
    (void)state;
    TRIGGER(trigger, {"lagThreshold", "5"}, {"allowIdleConsumers", "true"});
    assert_float_equal(judged(&trigger, 1000, 3, 3).value, 1000, 0);
}

static void partitions_without_lag_need_no_replica(void **state)
{
    (void)state;
    TRIGGER(trigger, {"lagThreshold", "5"}, {"limitToPartitionsWithLag", "true"});
    assert_float_equal(judged(&trigger, 1000, 3, 1).value, 5, 0);
    assert_float_equal(judged(&trigger, 0, 3, 0).value, 0, 0);
}

static void an_even_distribution_takes_a_divisor_of_the_partitions(void **state)
{
    (void)state;
    TRIGGER(trigger, {"lagThreshold", "5"}, {"ensureEvenDistributionOfPartitions", "true"},
            {"allowIdleConsumers", "true"});
    assert_float_equal(judged(&trigger, 1, 6, 1).value, 5, 0);
    assert_float_equal(judged(&trigger, 16, 6, 6).value, 30, 0); /* 4 does not divide 6 */
    assert_float_equal(judged(&trigger, 11, 6, 6).value, 15, 0);
    assert_float_equal(judged(&trigger, 1000, 6, 6).value, 30, 0);
    assert_float_equal(judged(&trigger, 0, 6, 0).value, 0, 0);
}

static void activity_is_judged_by_the_uncapped_lag(void **state)
{
    (void)state;
    TRIGGER(trigger, {"lagThreshold", "1"}, {"activationLagThreshold", "5"});
    assert_false(judged(&trigger, 5, 3, 3).active);
    assert_true(judged(&trigger, 6, 3, 3).active);
    TRIGGER(by_default, {"lagThreshold", "1"});
    assert_false(judged(&by_default, 0, 3, 0).active);
    assert_true(judged(&by_default, 1, 3, 1).active);
}

static void a_reading_without_lag_is_an_error(void **state)
{
    (void)state;
    TRIGGER(trigger, {"lagThreshold", "5"});
    struct error error = {0};
    struct judgement judgement;
    struct reading reading = READING_UNKNOWN;
    assert_false(scaler_kafka.judge(&trigger.options, &reading, &judgement, &error));
    error_done(&error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_does_not_split_a_connection),
        cmocka_unit_test(thresholds_do_not_split_a_query),
        cmocka_unit_test(the_plan_is_that_of_keda),
        cmocka_unit_test(wrong_metadata_has_a_plan),
        cmocka_unit_test(the_metric_is_named_after_what_is_measured),
        cmocka_unit_test(a_list_of_topics_is_each_of_them_once),
        cmocka_unit_test(a_topic_is_no_longer_than_kafka_has_them),
        cmocka_unit_test(a_pattern_is_of_256_characters_at_most),
        cmocka_unit_test(without_a_topic_no_partition_is_left_out),
        cmocka_unit_test(apache_kafka_has_fewer_rules),
        cmocka_unit_test(a_commit_is_stuck_for_as_long_as_it_was_seen_not_to_move),
        cmocka_unit_test(a_partition_that_was_idle_is_not_stuck),
        cmocka_unit_test(what_was_not_seen_is_not_stuck),
        cmocka_unit_test(what_was_not_to_be_seen_goes_on),
        cmocka_unit_test(lag_is_what_is_not_committed),
        cmocka_unit_test(without_a_commit_the_reset_policy_decides),
        cmocka_unit_test(without_a_commit_zero_is_zero_where_it_is_asked_for),
        cmocka_unit_test(a_commit_beyond_the_end_counts_as_none),
        cmocka_unit_test(a_beginning_that_moved_past_the_end_is_no_negative_lag),
        cmocka_unit_test(only_the_partitions_asked_for_count),
        cmocka_unit_test(there_are_never_more_replicas_than_partitions),
        cmocka_unit_test(idle_consumers_are_allowed_where_it_is_asked_for),
        cmocka_unit_test(partitions_without_lag_need_no_replica),
        cmocka_unit_test(an_even_distribution_takes_a_divisor_of_the_partitions),
        cmocka_unit_test(activity_is_judged_by_the_uncapped_lag),
        cmocka_unit_test(a_reading_without_lag_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
