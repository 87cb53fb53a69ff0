/* Without a broker. */
#include "kafka/measure/count.h"

#include "base/memory.h"
#include "scalers/kafka/one_task.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define STATE(the_state) {.state = KAFKA_OFFSET_##the_state}
#define AGAIN(number) {.state = KAFKA_OFFSET_KNOWN, .value = (number), .again_step = 3}

static void what_is_missing_of_a_partition(void **state)
{
    struct one_task *fixture = *state;
    const struct {
        struct kafka_known_offset commit, latest, earliest;
        enum kafka_missing_kind missing;
        const char *failed;
    } rows[] = {
        {ONE_TASK_KNOWN(3), ONE_TASK_KNOWN(5), STATE(UNKNOWN), KAFKA_MISSING_NOTHING, NULL},
        {STATE(FAILED), ONE_TASK_KNOWN(5), STATE(UNKNOWN), KAFKA_MISSING_FAILED, "the commit"},
        {STATE(REQUESTED), ONE_TASK_KNOWN(5), STATE(UNKNOWN), KAFKA_MISSING_ANSWER, NULL},
        {ONE_TASK_KNOWN(3), STATE(FAILED), STATE(UNKNOWN), KAFKA_MISSING_FAILED, "the last offset"},
        {ONE_TASK_KNOWN(3), STATE(REQUESTED), STATE(UNKNOWN), KAFKA_MISSING_ANSWER, NULL},
        /* The commits came in step 2. */
        {ONE_TASK_KNOWN(5), ONE_TASK_KNOWN(5), STATE(UNKNOWN), KAFKA_MISSING_NOTHING, NULL},
        {ONE_TASK_KNOWN(6), ONE_TASK_KNOWN(5), STATE(KNOWN), KAFKA_MISSING_LATEST, NULL},
        {ONE_TASK_KNOWN(6),
         {KAFKA_OFFSET_KNOWN, 5, 0, 2},
         STATE(KNOWN),
         KAFKA_MISSING_NOTHING,
         NULL},
        /* It was requested again. */
        {ONE_TASK_KNOWN(6), AGAIN(5), STATE(KNOWN), KAFKA_MISSING_ANSWER, NULL},
        {ONE_TASK_KNOWN(5), AGAIN(5), STATE(KNOWN), KAFKA_MISSING_NOTHING, NULL},
        {ONE_TASK_KNOWN(ONE_TASK_NO_COMMIT), ONE_TASK_KNOWN(5), STATE(UNKNOWN),
         KAFKA_MISSING_EARLIEST, NULL},
        {ONE_TASK_KNOWN(ONE_TASK_NO_COMMIT), ONE_TASK_KNOWN(5), STATE(REQUESTED),
         KAFKA_MISSING_ANSWER, NULL},
        {ONE_TASK_KNOWN(ONE_TASK_NO_COMMIT), ONE_TASK_KNOWN(5), STATE(FAILED), KAFKA_MISSING_FAILED,
         "the first offset"},
        {ONE_TASK_KNOWN(ONE_TASK_NO_COMMIT), ONE_TASK_KNOWN(5), STATE(KNOWN), KAFKA_MISSING_NOTHING,
         NULL},
    };
    fixture->query.offset_reset_policy = KAFKA_RESET_EARLIEST;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        fixture->commits[1] = rows[i].commit;
        fixture->ends[1] = (struct kafka_ends){rows[i].latest, rows[i].earliest};
        const struct kafka_missing missing =
            kafka_count_missing(&fixture->batch_task, &fixture->group_topic, 1);
        if (missing.kind != rows[i].missing)
            fail_msg("row %zu: %d is missing, expected %d", i, (int)missing.kind,
                     (int)rows[i].missing);
        if (rows[i].failed == NULL)
            continue;
        assert_string_equal(missing.what, rows[i].failed);
        assert_int_equal(missing.cause->state, KAFKA_OFFSET_FAILED);
    }
}

static void a_task_is_complete_without_partitions_that_it_does_not_count(void **state)
{
    struct one_task *fixture = *state;
    assert_true(kafka_count_is_complete(&fixture->batch_task));
    fixture->commits[1].state = KAFKA_OFFSET_REQUESTED;
    assert_false(kafka_count_is_complete(&fixture->batch_task));
    one_task_limit_to(fixture, 2);
    assert_true(kafka_count_is_complete(&fixture->batch_task));
}

static void a_reading_is_the_sum_of_the_partitions(void **state)
{
    struct one_task *fixture = *state;
    one_task_set(fixture, 0, 3, 10);
    one_task_set(fixture, 1, 20, 20);
    one_task_set(fixture, 2, 25, 30);
    struct reading reading = kafka_count_reading(&fixture->batch_task, 1);
    assert_true(reading.waiting == 12 && reading.waiting_for_activation == 12);
    assert_true(reading.arrived == 60 && reading.consumed == 48);
    assert_true(reading.partitions == 3 && reading.partitions_with_lag == 2);
    assert_true(isnan(reading.consumers)); /* nobody wants them */
    one_task_limit_to(fixture, 2);
    reading = kafka_count_reading(&fixture->batch_task, 1);
    assert_true(reading.waiting == 5 && reading.arrived == 30 && reading.partitions == 1);
}

/* The log start of a partition whose commit is behind the end; the others have no messages. */
static void removed_messages_are_neither_waiting_nor_consumed(void **state)
{
    struct one_task *fixture = *state;
    struct kafka_log_start log_starts[ONE_TASK_PARTITIONS] = {
        KAFKA_LOG_START_UNKNOWN, KAFKA_LOG_START_UNKNOWN, KAFKA_LOG_START_UNKNOWN};
    struct kafka_topic known = {.partition_count = ONE_TASK_PARTITIONS, .log_starts = log_starts};
    fixture->topic.known = &known;
    one_task_set(fixture, 1, 10, 100);
    assert_int_equal(kafka_count_missing(&fixture->batch_task, &fixture->group_topic, 1).kind,
                     KAFKA_MISSING_EARLIEST);
    fixture->ends[1].earliest = (struct kafka_known_offset)ONE_TASK_KNOWN(0);
    kafka_log_start_answer(&log_starts[1], 0, 1);
    assert_true(kafka_count_is_complete(&fixture->batch_task));
    struct reading reading = kafka_count_reading(&fixture->batch_task, 1);
    assert_true(reading.waiting == 90 && reading.arrived == 100 && reading.consumed == 10);

    fixture->ends[1].earliest = (struct kafka_known_offset){0};
    kafka_log_start_answer(&log_starts[1], 100, 2);
    kafka_log_start_note(&log_starts[1], 10, 100, 2);
    assert_false(kafka_count_has_lag(&fixture->group_topic, 1));
    reading = kafka_count_reading(&fixture->batch_task, 2);
    assert_true(reading.waiting == 0 && reading.partitions_with_lag == 0);
    assert_true(reading.arrived == 0 && reading.consumed == 0);

    one_task_set(fixture, 1, 10, 105);
    assert_true(kafka_count_has_lag(&fixture->group_topic, 1));
    reading = kafka_count_reading(&fixture->batch_task, 3);
    assert_true(reading.waiting == 5 && reading.partitions_with_lag == 1);
    assert_true(reading.arrived == 5 && reading.consumed == 0);
    one_task_set(fixture, 1, 103, 105);
    reading = kafka_count_reading(&fixture->batch_task, 4);
    assert_true(reading.waiting == 2 && reading.arrived == 5 && reading.consumed == 3);
}

static void empty_partitions_that_count_1_are_not_less_than_nothing_consumed(void **state)
{
    struct one_task *fixture = *state;
    for (size_t i = 0; i < ONE_TASK_PARTITIONS; i++)
        one_task_set(fixture, i, ONE_TASK_NO_COMMIT, 0);
    fixture->query.offset_reset_policy = KAFKA_RESET_LATEST;
    const struct reading reading = kafka_count_reading(&fixture->batch_task, 1);
    assert_true(reading.waiting == ONE_TASK_PARTITIONS && reading.arrived == 0);
    assert_true(reading.consumed == 0);
}

/* It is neither work nor a reason for a replica, but keeps the workload active. */
static void persistent_lag_counts_for_activation_only(void **state)
{
    struct one_task *fixture = *state;
    fixture->query.exclude_persistent_lag = true;
    one_task_set(fixture, 0, 3, 10);
    one_task_set(fixture, 1, ONE_TASK_NO_COMMIT, 4);
    fixture->query.offset_reset_policy = KAFKA_RESET_LATEST; /* which counts 1 */
    struct kafka_persistence *persistence = kafka_batch_persistence_for(&fixture->group_topic, 1);
    for (int32_t i = 0; i < ONE_TASK_PARTITIONS; i++)
        kafka_persistence_update(persistence, i, fixture->commits[i].value,
                                 kafka_count_has_lag(&fixture->group_topic, i), 1);
    struct reading reading;
    for (int64_t now_ms = 1; now_ms <= 1000; now_ms += 999) {
        reading = kafka_count_reading(&fixture->batch_task, now_ms);
        assert_true(reading.waiting == 8 && reading.partitions_with_lag == 2);
    }
    for (int64_t now_ms = 1001; now_ms <= 60000; now_ms += 58999) {
        reading = kafka_count_reading(&fixture->batch_task, now_ms);
        assert_true(reading.waiting == 1 && reading.partitions_with_lag == 1);
        assert_true(reading.waiting_for_activation == 8 && reading.consumed == 6);
    }
    fixture->query.exclude_persistent_lag = false;
    reading = kafka_count_reading(&fixture->batch_task, 1001);
    assert_true(reading.waiting == 8 && reading.partitions_with_lag == 2);
}

/* Of the fixture's topic, as that of several. */
static void the_topics_of_a_task_are_named_with_their_lags(void **state)
{
    struct one_task *fixture = *state;
    enum { TOPICS = 13 };
    struct kafka_batch_topic topics[TOPICS];
    struct kafka_group_topic group_topics[TOPICS];
    struct kafka_group_topic *counted[TOPICS];
    struct kafka_ends ends[TOPICS] = {0};
    struct kafka_known_offset commits[TOPICS] = {0};
    char names[TOPICS][8];
    fixture->batch_task.selection.kind = KAFKA_SELECTION_OF_NAMES;
    assert_null(kafka_count_topics_text(&fixture->batch_task, 1));
    for (size_t i = 0; i < TOPICS; i++) {
        snprintf(names[i], sizeof(names[i]), "t%02zu", i);
        commits[i] = (struct kafka_known_offset)ONE_TASK_KNOWN(0);
        ends[i].latest = (struct kafka_known_offset)ONE_TASK_KNOWN(i < 11 ? 0 : (int64_t)i);
        topics[i] = (struct kafka_batch_topic){
            .batch = &fixture->batch, .name = names[i], .partitions = &ends[i], .count = 1};
        group_topics[i] = (struct kafka_group_topic){.key = {&fixture->group, &topics[i]},
                                                     .commits = &commits[i]};
        counted[i] = &group_topics[i];
    }
    fixture->batch_task.topics = counted;
    fixture->batch_task.count = 2;
    char *text = kafka_count_topics_text(&fixture->batch_task, 1);
    assert_string_equal(text, "lag by topic: t00 0, t01 0");
    free(text);
    fixture->batch_task.count = TOPICS;
    text = kafka_count_topics_text(&fixture->batch_task, 1);
    assert_string_equal(text, "lag by topic: t12 12, t11 11, t00 0, t01 0, t02 0, t03 0, t04 0, "
                              "t05 0, t06 0, t07 0, and 3 more");
    free(text);
    fixture->batch_task.selection.kind = KAFKA_SELECTION_OF_GROUP;
    fixture->batch_task.count = 1;
    text = kafka_count_topics_text(&fixture->batch_task, 1);
    assert_string_equal(text, "lag by topic: t00 0");
    free(text);
}

static void assign(rd_kafka_topic_partition_list_t *assigned, uintptr_t member, const char *topic,
                   int32_t partition)
{
    rd_kafka_topic_partition_list_add(assigned, topic, partition)->opaque = (void *)member;
}

static void members_with_a_partition_of_the_task_are_its_consumers(void **state)
{
    struct one_task *fixture = *state;
    rd_kafka_topic_partition_list_t *assigned = rd_kafka_topic_partition_list_new(0);
    assert_true(isnan(kafka_count_consumers(&fixture->batch_task, NULL)));
    assert_true(kafka_count_consumers(&fixture->batch_task, assigned) == 0);
    assign(assigned, 1, "jobs", 0);
    assign(assigned, 1, "jobs", 1);
    assign(assigned, 2, "mails", 0);
    assign(assigned, 2, "jobs", 2);
    assign(assigned, 3, "mails", 1);
    assert_true(kafka_count_consumers(&fixture->batch_task, assigned) == 2);
    one_task_limit_to(fixture, 2);
    assert_true(kafka_count_consumers(&fixture->batch_task, assigned) == 1);
    fixture->batch_task.count = 0; /* the group's topic is another task's */
    assert_true(kafka_count_consumers(&fixture->batch_task, assigned) == 0);
    rd_kafka_topic_partition_list_destroy(assigned);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, one_task_set_up, one_task_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_is_missing_of_a_partition),
        TEST(a_task_is_complete_without_partitions_that_it_does_not_count),
        TEST(a_reading_is_the_sum_of_the_partitions),
        TEST(removed_messages_are_neither_waiting_nor_consumed),
        TEST(empty_partitions_that_count_1_are_not_less_than_nothing_consumed),
        TEST(persistent_lag_counts_for_activation_only),
        TEST(the_topics_of_a_task_are_named_with_their_lags),
        TEST(members_with_a_partition_of_the_task_are_its_consumers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
