#include "kafka/persistence.h"

#include "base/clock.h"
#include "scalers/kafka/mock.h"
#include "scalers/kafka/trigger.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>
#include <cmocka.h>

static struct kafka_memory memory = {.mappable_bytes = INFINITY};

static int64_t updated(struct kafka_persistence *persistence, int64_t committed, int64_t latest,
                       int64_t now_ms)
{
    kafka_persistence_update(persistence, 0, committed, committed < latest, now_ms);
    return kafka_persistence_ms(persistence, 0, now_ms);
}

static void a_commit_is_stuck_for_as_long_as_it_was_not_seen_to_move(void **state)
{
    (void)state;
    struct kafka_persistence_group *all = NULL;
    struct kafka_persistence *persistence =
        kafka_persistence_for(&all, &memory, "workers", "videoJob", 1, 1000);
    assert_int_equal(updated(persistence, 4, 9, 1000), 0);
    assert_int_equal(updated(persistence, 4, 12, 3000), 2000);
    assert_int_equal(updated(persistence, 4, 12, 3000), 2000);
    assert_int_equal(updated(persistence, 5, 12, 4000), 0);
    assert_int_equal(updated(persistence, 5, 12, 9000), 5000);
    assert_ptr_equal(kafka_persistence_for(&all, &memory, "workers", "videoJob", 1, 1000),
                     persistence);
    kafka_persistence_forget_all(&all);
    assert_float_equal(memory.bytes[KAFKA_ACCOUNT_CLOCKS], 0, 0);
    assert_null(all);
}

static void a_partition_that_was_idle_is_not_stuck(void **state)
{
    (void)state;
    struct kafka_persistence_group *all = NULL;
    struct kafka_persistence *persistence =
        kafka_persistence_for(&all, &memory, "workers", "videoJob", 1, 1000);
    updated(persistence, 9, 9, 1000);
    assert_int_equal(updated(persistence, 9, 9, 60000), 0);
    assert_int_equal(updated(persistence, 9, 10, 120000), 0);
    assert_int_equal(updated(persistence, 9, 10, 121000), 1000);
    kafka_persistence_forget_all(&all);
    assert_float_equal(memory.bytes[KAFKA_ACCOUNT_CLOCKS], 0, 0);
}

static void unmeasured_partitions_are_not_stuck(void **state)
{
    (void)state;
    struct kafka_persistence_group *all = NULL;
    struct kafka_persistence *persistence =
        kafka_persistence_for(&all, &memory, "workers", "videoJob", 1, 1000);
    updated(persistence, 4, 9, 1000);
    kafka_persistence_restart(persistence, 0, 1000);
    assert_int_equal(updated(persistence, 4, 9, 2000), 1000);
    kafka_persistence_restart(persistence, 0, 2500);
    assert_int_equal(updated(persistence, 4, 9, 3000), 0);
    /* More partitions: perhaps the topic was made again. */
    persistence = kafka_persistence_for(&all, &memory, "workers", "videoJob", 2, 1000);
    assert_int_equal(updated(persistence, 4, 9, 4000), 0);
    kafka_persistence_forget_all(&all);
    assert_float_equal(memory.bytes[KAFKA_ACCOUNT_CLOCKS], 0, 0);
}

static void excluded_partitions_go_on(void **state)
{
    (void)state;
    struct kafka_persistence_group *all = NULL;
    struct kafka_persistence *persistence =
        kafka_persistence_for(&all, &memory, "workers", "videoJob", 2, 1000);
    kafka_persistence_update(persistence, 0, 4, true, 1000);
    kafka_persistence_update(persistence, 1, 4, true, 1000);
    kafka_persistence_restart(persistence, 1, 2500);
    assert_int_equal(kafka_persistence_ms(persistence, 0, 3000), 2000);
    assert_int_equal(kafka_persistence_ms(persistence, 1, 3000), 0);
    kafka_persistence_forget_all(&all);
    assert_float_equal(memory.bytes[KAFKA_ACCOUNT_CLOCKS], 0, 0);
}

/* As they may have been answered, had no other partition failed. */
static void partitions_that_are_kept_go_on(void **state)
{
    (void)state;
    struct kafka_persistence_group *all = NULL;
    struct kafka_persistence *persistence =
        kafka_persistence_for(&all, &memory, "workers", "videoJob", 1, 1000);
    kafka_persistence_keep(persistence, 0, 1000); /* the first measurement */
    assert_int_equal(updated(persistence, 4, 9, 1500), 0);
    kafka_persistence_keep(persistence, 0, 2600);
    kafka_persistence_restart_group(all, "workers", 2500);
    assert_int_equal(updated(persistence, 4, 9, 3500), 2000);
    kafka_persistence_keep(persistence, 0, 4000);
    assert_int_equal(updated(persistence, 5, 9, 4500), 0);
    kafka_persistence_restart(persistence, 0, 5000);
    kafka_persistence_keep(persistence, 0, 5500);
    assert_int_equal(updated(persistence, 5, 9, 6000), 0);
    kafka_persistence_forget_all(&all);
    assert_float_equal(memory.bytes[KAFKA_ACCOUNT_CLOCKS], 0, 0);
}

/* As one whose leader has not answered in time, after another task has failed earlier. */
static void a_partition_that_one_task_keeps_starts_again_for_another(void **state)
{
    (void)state;
    struct kafka_persistence_group *all = NULL;
    struct kafka_persistence *persistence =
        kafka_persistence_for(&all, &memory, "workers", "videoJob", 1, 1000);
    assert_int_equal(updated(persistence, 4, 9, 1000), 0);
    kafka_persistence_keep(persistence, 0, 60050);
    kafka_persistence_restart(persistence, 0, 60000);
    assert_int_equal(updated(persistence, 4, 9, 70000), 0);
    kafka_persistence_forget_all(&all);
    assert_float_equal(memory.bytes[KAFKA_ACCOUNT_CLOCKS], 0, 0);
}

/* By the rest of the task that keeps it. */
static void a_kept_partition_is_not_started_again_with_its_topic(void **state)
{
    (void)state;
    TRIGGER(trigger, {"partitionLimitation", "0"});
    struct kafka_persistence_group *all = NULL;
    struct kafka_persistence *persistence =
        kafka_persistence_for(&all, &memory, "workers", "videoJob", 1, 1000);
    _cleanup_(regex_free) struct regex *regex = NULL;
    _cleanup_(error_done) struct error error = {0};
    assert_true(regex_compile("video.*", &regex, &error));
    updated(persistence, 4, 9, 1000);
    kafka_persistence_keep(persistence, 0, 2600);
    kafka_persistence_restart_topic(all, trigger.options.query, "videoJob", 2500);
    kafka_persistence_restart_pattern(all, trigger.options.query, regex, 2500);
    assert_int_equal(kafka_persistence_ms(persistence, 0, 3000), 2000);
    kafka_persistence_restart_pattern(all, trigger.options.query, regex, 2700);
    assert_int_equal(kafka_persistence_ms(persistence, 0, 3000), 0);
    kafka_persistence_forget_all(&all);
    assert_float_equal(memory.bytes[KAFKA_ACCOUNT_CLOCKS], 0, 0);
}

static void a_group_starts_again_with_all_of_its_topics(void **state)
{
    (void)state;
    struct kafka_persistence_group *all = NULL;
    static const char *const groups[] = {"workers", "workers", "others"};
    static const char *const topics[] = {"videoJob", "mailJob", "videoJob"};
    static const bool is_stuck[] = {true, false, true};
    for (size_t i = 0; i < ARRAY_LENGTH(groups); i++)
        updated(kafka_persistence_for(&all, &memory, groups[i], topics[i], 1, 1000), 4, 9, 1000);
    updated(kafka_persistence_for(&all, &memory, "workers", "videoJob", 1, 1000), 4, 9, 1500);
    kafka_persistence_restart_group(all, "workers", 1500);
    kafka_persistence_restart_group(all, "workers", 1200); /* it began earlier */
    for (size_t i = 0; i < ARRAY_LENGTH(groups); i++) {
        struct kafka_persistence *persistence =
            kafka_persistence_for(&all, &memory, groups[i], topics[i], 1, 1000);
        assert_int_equal(kafka_persistence_ms(persistence, 0, 2500), is_stuck[i] ? 1500 : 0);
        assert_int_equal(updated(persistence, 4, 9, 3000), is_stuck[i] ? 2000 : 0);
    }
    kafka_persistence_forget_all(&all);
    assert_float_equal(memory.bytes[KAFKA_ACCOUNT_CLOCKS], 0, 0);
    assert_null(all);
}

static void a_topic_starts_again_where_the_query_counts_it(void **state)
{
    (void)state;
    TRIGGER(trigger, {"partitionLimitation", "1"});
    struct kafka_persistence_group *all = NULL;
    struct kafka_persistence *persistence =
        kafka_persistence_for(&all, &memory, "workers", "videoJob", 2, 1000);
    for (int32_t i = 0; i < 2; i++)
        kafka_persistence_update(persistence, i, 4, true, 1000);
    kafka_persistence_restart_topic(all, trigger.options.query, "videoJob", 2000);
    kafka_persistence_restart_topic(all, trigger.options.query, "mailJob", 2000);
    assert_int_equal(kafka_persistence_ms(persistence, 0, 3000), 2000);
    assert_int_equal(kafka_persistence_ms(persistence, 1, 3000), 0);
    kafka_persistence_forget_all(&all);
    assert_float_equal(memory.bytes[KAFKA_ACCOUNT_CLOCKS], 0, 0);
}

/* ---- memory ---- */

static void clocks_have_what_topics_leave(void **state)
{
    enum { PARTITIONS = 1000, EACH = PARTITIONS * 32, HALF = EACH / 2 };
    (void)state;
    struct kafka_persistence_group *all = NULL;
    struct kafka_memory few = {.mappable_bytes = KAFKA_MEMORY_FREE + 2 * EACH + HALF};
    static const char *const groups[] = {"workers", "others", "more"};
    for (size_t i = 0; i < ARRAY_LENGTH(groups); i++) {
        const struct kafka_persistence *persistence =
            kafka_persistence_for(&all, &few, groups[i], "jobs", PARTITIONS, 1000);
        assert_int_equal(persistence != NULL, i < 2);
    }
    assert_in_range(few.bytes[KAFKA_ACCOUNT_CLOCKS], 2 * EACH, 2 * EACH + HALF);
    /* They take no more when they are found again, and less with fewer partitions. */
    const double bytes = few.bytes[KAFKA_ACCOUNT_CLOCKS];
    assert_non_null(kafka_persistence_for(&all, &few, "others", "jobs", PARTITIONS, 1000));
    assert_float_equal(few.bytes[KAFKA_ACCOUNT_CLOCKS], bytes, 0);
    assert_non_null(kafka_persistence_for(&all, &few, "others", "jobs", PARTITIONS / 2, 1000));
    assert_float_equal(bytes - few.bytes[KAFKA_ACCOUNT_CLOCKS], HALF, 0);
    assert_null(kafka_persistence_for(&all, &few, "others", "jobs", 3 * PARTITIONS, 1000));
    assert_non_null(kafka_persistence_for(&all, &few, "more", "jobs", PARTITIONS, 1000));
    kafka_persistence_forget_old(&all, 1001 + KAFKA_FORGET_MS);
    assert_float_equal(few.bytes[KAFKA_ACCOUNT_CLOCKS], 0, 0);
    assert_null(all);
}

/* ---- measured ---- */

static void assert_lag(struct kafka_mock *fixture, double waiting, double for_activation,
                       double partitions)
{
    const struct test_task *task = test_feed_task(fixture->feed, 0);
    if (task->outcome != TASK_ANSWERED)
        fail_msg("%s", error_text(&task->error));
    assert_float_equal(task->reading.waiting, waiting, 0);
    assert_float_equal(task->reading.waiting_for_activation, for_activation, 0);
    assert_float_equal(task->reading.partitions_with_lag, partitions, 0);
}

/* A partition whose commit has not moved for persistentLagTime keeps the workload active, and adds
 * nothing. */
static void lag_is_persistent_from_persistent_lag_time_on(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    const struct kafka_query *query = kafka_mock_query(fixture, "workers", "jobs", 2);
    struct kafka_query excluding = *query;
    excluding.exclude_persistent_lag = true;
    excluding.persistent_lag_ms = KAFKA_MOCK_HANG_MS;
    kafka_mock_add(fixture, &excluding);
    kafka_mock_commit(fixture, "workers", "jobs", 1);
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    assert_lag(fixture, KAFKA_MOCK_MESSAGES - 1, KAFKA_MOCK_MESSAGES - 1, 1);
    /* Long enough that no measurement takes as long. */
    excluding.persistent_lag_ms = 1000;
    usleep(1001000);
    kafka_mock_run_again(fixture);
    assert_lag(fixture, 0, KAFKA_MOCK_MESSAGES - 1, 0);
    kafka_mock_commit(fixture, "workers", "jobs", 2);
    kafka_mock_run_again(fixture);
    assert_lag(fixture, KAFKA_MOCK_MESSAGES - 2, KAFKA_MOCK_MESSAGES - 2, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kafka_mock_set_up, kafka_mock_tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_commit_is_stuck_for_as_long_as_it_was_not_seen_to_move),
        cmocka_unit_test(a_partition_that_was_idle_is_not_stuck),
        cmocka_unit_test(unmeasured_partitions_are_not_stuck),
        cmocka_unit_test(excluded_partitions_go_on),
        cmocka_unit_test(partitions_that_are_kept_go_on),
        cmocka_unit_test(a_partition_that_one_task_keeps_starts_again_for_another),
        cmocka_unit_test(a_kept_partition_is_not_started_again_with_its_topic),
        cmocka_unit_test(a_group_starts_again_with_all_of_its_topics),
        cmocka_unit_test(a_topic_starts_again_where_the_query_counts_it),
        cmocka_unit_test(clocks_have_what_topics_leave),
        TEST(lag_is_persistent_from_persistent_lag_time_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
