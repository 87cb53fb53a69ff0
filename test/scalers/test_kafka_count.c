/* What is missing of a task's partitions, what they count, and what is noted where a task ends,
 * without a broker. */
#include "base/clock.h"
#include "base/memory.h"
#include "kafka/measure/count.h"
#include "kafka/measure/lag.h"
#include "kafka/measure/progress.h"
#include "kafka/measure/task_end.h"
#include "measure/task_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

enum { PARTITIONS = 3, NO_COMMIT = -1 };

#define KNOWN(number) {.state = KAFKA_OFFSET_KNOWN, .value = (number)}
#define STATE(the_state) {.state = KAFKA_OFFSET_##the_state}

/* A task of one group, on one topic. */
struct fixture {
    struct feed feed; /* of the task; first */
    enum task_outcome outcome;
    struct error error;
    struct kafka_session session;
    struct kafka_batch batch;
    struct kafka_ends ends[PARTITIONS];
    struct kafka_known_offset commits[PARTITIONS];
    struct kafka_batch_topic topic;
    struct kafka_batch_group group;
    struct kafka_group_topic group_topic;
    struct kafka_group_topic *topics[1];
    struct kafka_query query;
    struct option_range only; /* of partitionLimitation, where it is set */
    struct task task;
    struct kafka_batch_task batch_task;
};

static void note_end(struct task *task, enum task_outcome outcome, const struct reading *reading,
                     const struct error *error)
{
    struct fixture *fixture = (struct fixture *)task->feed;
    (void)reading;
    fixture->outcome = outcome;
    error_done(&fixture->error);
    if (error != NULL)
        error_copy(&fixture->error, error);
}

static int set_up(void **state)
{
    static const struct feed_hooks hooks = {.end = note_end};
    static char jobs[] = "jobs";
    static char workers[] = "workers";
    struct fixture *fixture = memory_new(sizeof(*fixture));
    struct kafka_batch *batch = &fixture->batch;
    struct kafka_batch_topic *topic = &fixture->topic;
    struct kafka_group_topic *group_topic = &fixture->group_topic;
    batch->session = &fixture->session;
    *topic = (struct kafka_batch_topic){
        .batch = batch, .name = jobs, .partitions = fixture->ends, .count = PARTITIONS};
    fixture->group =
        (struct kafka_batch_group){.batch = batch, .name = workers, .answered_step = 2};
    *group_topic =
        (struct kafka_group_topic){.key = {&fixture->group, topic}, .commits = fixture->commits};
    HASH_ADD_KEYPTR(hh, batch->topics, topic->name, strlen(topic->name), topic);
    HASH_ADD(hh, batch->group_topics, key, sizeof(group_topic->key), group_topic);
    fixture->topics[0] = group_topic;
    fixture->query =
        (struct kafka_query){.topic = "jobs", .consumer_group = workers, .persistent_lag_ms = 1000};
    fixture->feed.hooks = &hooks;
    fixture->task.feed = &fixture->feed;
    fixture->task.query = &fixture->query;
    fixture->batch_task = (struct kafka_batch_task){.task = &fixture->task,
                                                    .batch = batch,
                                                    .group = &fixture->group,
                                                    .topics = fixture->topics,
                                                    .count = 1};
    for (size_t i = 0; i < PARTITIONS; i++) {
        fixture->commits[i] = (struct kafka_known_offset)KNOWN(0);
        fixture->ends[i].latest = (struct kafka_known_offset)KNOWN(0);
    }
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    HASH_CLEAR(hh, fixture->batch.topics);
    HASH_CLEAR(hh, fixture->batch.group_topics);
    kafka_persistence_forget_all(&fixture->session.persistence);
    error_done(&fixture->error);
    free(fixture);
    return 0;
}

static void limit_to(struct fixture *fixture, int32_t partition)
{
    fixture->only = (struct option_range){partition, partition};
    fixture->query.partition_limitation = (struct option_ranges){&fixture->only, 1};
}

static void set(struct fixture *fixture, size_t partition, int64_t committed, int64_t latest)
{
    fixture->commits[partition] = (struct kafka_known_offset)KNOWN(committed);
    fixture->ends[partition].latest = (struct kafka_known_offset)KNOWN(latest);
}

/* ---- which partitions ---- */

static void a_task_counts_its_partitions_topic_by_topic(void **state)
{
    struct fixture *fixture = *state;
    static char mails[] = "mails";
    struct kafka_batch_topic other = {.batch = &fixture->batch, .name = mails, .count = 2};
    struct kafka_group_topic of_other = {.key = {&fixture->group, &other}};
    struct kafka_group_topic *topics[] = {&fixture->group_topic, &of_other};
    struct kafka_place at = KAFKA_PLACE_FIRST;
    fixture->batch_task.topics = topics;
    fixture->batch_task.count = ARRAY_LENGTH(topics);
    for (int32_t i = 0; i < PARTITIONS + other.count; i++) {
        assert_true(kafka_batch_next_partition(&fixture->batch_task, &at));
        assert_ptr_equal(at.topic, i < PARTITIONS ? &fixture->topic : &other);
        assert_int_equal(at.partition, i % PARTITIONS);
    }
    assert_false(kafka_batch_next_partition(&fixture->batch_task, &at));
}

/* ---- what is missing ---- */

static void what_is_missing_of_a_partition(void **state)
{
    struct fixture *fixture = *state;
    const struct {
        struct kafka_known_offset commit, latest, earliest;
        enum kafka_missing_kind missing;
        const char *failed;
    } rows[] = {
        {KNOWN(3), KNOWN(5), STATE(UNKNOWN), KAFKA_MISSING_NOTHING, NULL},
        {STATE(FAILED), KNOWN(5), STATE(UNKNOWN), KAFKA_MISSING_FAILED, "the commit"},
        {STATE(REQUESTED), KNOWN(5), STATE(UNKNOWN), KAFKA_MISSING_ANSWER, NULL},
        {KNOWN(3), STATE(FAILED), STATE(UNKNOWN), KAFKA_MISSING_FAILED, "the last offset"},
        {KNOWN(3), STATE(REQUESTED), STATE(UNKNOWN), KAFKA_MISSING_ANSWER, NULL},
        /* The commits came in step 2. */
        {KNOWN(5), KNOWN(5), STATE(UNKNOWN), KAFKA_MISSING_NOTHING, NULL},
        {KNOWN(6), KNOWN(5), STATE(KNOWN), KAFKA_MISSING_LATEST, NULL},
        {KNOWN(6), {KAFKA_OFFSET_KNOWN, 5, 0, 2}, STATE(KNOWN), KAFKA_MISSING_NOTHING, NULL},
        {KNOWN(NO_COMMIT), KNOWN(5), STATE(UNKNOWN), KAFKA_MISSING_EARLIEST, NULL},
        {KNOWN(NO_COMMIT), KNOWN(5), STATE(REQUESTED), KAFKA_MISSING_ANSWER, NULL},
        {KNOWN(NO_COMMIT), KNOWN(5), STATE(FAILED), KAFKA_MISSING_FAILED, "the first offset"},
        {KNOWN(NO_COMMIT), KNOWN(5), STATE(KNOWN), KAFKA_MISSING_NOTHING, NULL},
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
    struct fixture *fixture = *state;
    assert_true(kafka_count_is_complete(&fixture->batch_task));
    fixture->commits[1].state = KAFKA_OFFSET_REQUESTED;
    assert_false(kafka_count_is_complete(&fixture->batch_task));
    limit_to(fixture, 2);
    assert_true(kafka_count_is_complete(&fixture->batch_task));
}

/* An offset that failed must not be counted, and may be another leader's by now. */
static void an_offset_is_a_number_or_an_error(void **state)
{
    struct fixture *fixture = *state;
    const struct {
        rd_kafka_resp_err_t of_call;
        rd_kafka_resp_err_t of_partition;
        int64_t offset;
        rd_kafka_resp_err_t error;
    } rows[] = {
        {0, 0, 7, 0},
        {0, 0, 0, 0},
        {0, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_OFFSET_END,
         RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION},
        {0, 0, RD_KAFKA_OFFSET_END, RD_KAFKA_RESP_ERR__NOENT}, /* the answer left it out */
        {RD_KAFKA_RESP_ERR__TIMED_OUT, 0, RD_KAFKA_OFFSET_END, RD_KAFKA_RESP_ERR__TIMED_OUT},
    };
    fixture->session.metadata = kafka_metadata_new(&fixture->session.client);
    for (size_t i = 0; i < 2 * ARRAY_LENGTH(rows); i++) {
        const size_t row = i / 2;
        struct kafka_topic known = {0};
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_t *result = rd_kafka_topic_partition_list_add(list, "jobs", 1);
        result->offset = rows[row].offset;
        result->err = rows[row].of_partition;
        result->opaque = &fixture->topic;
        fixture->topic.known = &known;
        fixture->ends[1] = (struct kafka_ends){0};
        kafka_progress_offsets(&(struct kafka_offset_answer){.list = list,
                                                             .is_earliest = i % 2 == 1,
                                                             .error = rows[row].of_call,
                                                             .owner = &fixture->batch},
                               1);
        rd_kafka_topic_partition_list_destroy(list);
        const struct kafka_ends *ends = &fixture->ends[1];
        const struct kafka_known_offset *offset = i % 2 == 1 ? &ends->earliest : &ends->latest;
        const struct kafka_known_offset *other = i % 2 == 1 ? &ends->latest : &ends->earliest;
        bool has_failed = rows[row].error != RD_KAFKA_RESP_ERR_NO_ERROR;
        assert_int_equal(offset->state, has_failed ? KAFKA_OFFSET_FAILED : KAFKA_OFFSET_KNOWN);
        assert_int_equal(offset->error, rows[row].error);
        assert_int_equal(offset->value, rows[row].offset);
        assert_int_equal(other->state, KAFKA_OFFSET_UNKNOWN);
        assert_int_equal(known.is_outdated, has_failed);
    }
    kafka_metadata_free(fixture->session.metadata);
}

/* Also while a long list of topics may close connections, whose requests are sent again. */
static void an_offset_that_the_answer_lacks_fails_its_task(void **state)
{
    struct fixture *fixture = *state;
    char reason[256];
    struct kafka_topic known = {0};
    struct kafka_metadata_need need = {0};
    struct kafka_client *client = &fixture->session.client;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "jobs", 1)->opaque = &fixture->topic;
    list->elems[0].offset = RD_KAFKA_OFFSET_END;
    client->event_fd = eventfd(0, EFD_CLOEXEC);
    client->rk = rd_kafka_new(RD_KAFKA_CONSUMER, rd_kafka_conf_new(), reason, sizeof(reason));
    assert_non_null(client->rk); /* without a broker */
    struct kafka_metadata *metadata = kafka_metadata_new(client);
    fixture->session.metadata = metadata;
    kafka_metadata_need_pattern(
        metadata, kafka_patterns_for(kafka_metadata_patterns(metadata), "^j", 1), 1, &need);
    kafka_metadata_request(metadata, &need, 1);
    assert_true(kafka_metadata_may_have_closed(metadata, 1));
    fixture->batch.tasks = &fixture->batch_task;
    fixture->batch.count = 1;
    fixture->group.stage = KAFKA_GROUP_ANSWERED;
    fixture->topic.known = &known;
    fixture->outcome = TASK_ANSWERED;
    kafka_progress_offsets(&(struct kafka_offset_answer){.list = list, .owner = &fixture->batch},
                           1);
    assert_int_equal(fixture->outcome, TASK_FAILED);
    assert_string_equal(error_text(&fixture->error),
                        "the last offset of Kafka topic jobs partition 1 for group workers: the "
                        "answer does not have it");
    rd_kafka_topic_partition_list_destroy(list);
    kafka_metadata_free(metadata);
    rd_kafka_destroy(client->rk);
    close(client->event_fd);
}

/* ---- the reading ---- */

static void a_reading_is_the_sum_of_the_partitions(void **state)
{
    struct fixture *fixture = *state;
    set(fixture, 0, 3, 10);
    set(fixture, 1, 20, 20);
    set(fixture, 2, 25, 30);
    struct reading reading = kafka_count_reading(&fixture->batch_task, 1);
    assert_true(reading.waiting == 12 && reading.waiting_for_activation == 12);
    assert_true(reading.arrived == 60 && reading.consumed == 48);
    assert_true(reading.partitions == 3 && reading.partitions_with_lag == 2);
    assert_true(isnan(reading.consumers)); /* nobody wants them */
    limit_to(fixture, 2);
    reading = kafka_count_reading(&fixture->batch_task, 1);
    assert_true(reading.waiting == 5 && reading.arrived == 30 && reading.partitions == 1);
}

static void empty_partitions_that_count_1_are_not_less_than_nothing_consumed(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < PARTITIONS; i++)
        set(fixture, i, NO_COMMIT, 0);
    fixture->query.offset_reset_policy = KAFKA_RESET_LATEST;
    const struct reading reading = kafka_count_reading(&fixture->batch_task, 1);
    assert_true(reading.waiting == PARTITIONS && reading.arrived == 0);
    assert_true(reading.consumed == 0);
}

/* It is neither work nor a reason for a replica, but keeps the workload active. */
static void persistent_lag_counts_for_activation_only(void **state)
{
    struct fixture *fixture = *state;
    fixture->query.exclude_persistent_lag = true;
    set(fixture, 0, 3, 10);
    set(fixture, 1, NO_COMMIT, 4);
    fixture->query.offset_reset_policy = KAFKA_RESET_LATEST; /* which counts 1 */
    struct kafka_persistence *persistence = kafka_batch_persistence_for(&fixture->group_topic, 1);
    for (int32_t i = 0; i < PARTITIONS; i++)
        kafka_persistence_update(persistence, i, fixture->commits[i].value,
                                 fixture->ends[i].latest.value, 1);
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

/* ---- persistent lag, where a measurement had no answer ---- */

enum { STUCK_MS = 60000 };

/* The commits on the task's topic have been seen not to move for so long. */
static void be_stuck(struct fixture *fixture)
{
    int64_t now_ms = clock_now_ms();
    kafka_persistence_forget_all(&fixture->session.persistence);
    struct kafka_persistence *persistence =
        kafka_batch_persistence_for(&fixture->group_topic, now_ms);
    fixture->query.exclude_persistent_lag = true;
    fixture->query.persistent_lag_ms = STUCK_MS;
    fixture->task.has_ended = true; /* for its feed */
    for (int32_t i = 0; i < PARTITIONS; i++) {
        set(fixture, (size_t)i, 3, 10);
        kafka_persistence_update(persistence, i, 3, 10, now_ms - STUCK_MS - 1000);
        kafka_persistence_update(persistence, i, 3, 10, now_ms - 1000);
    }
    fixture->batch.began_ms = now_ms;
    fixture->batch.open = fixture->group.open = 1;
    fixture->batch_task.count = 0; /* its topics have not come yet */
}

/* The next measurement has an answer. */
static double waiting_next(struct fixture *fixture)
{
    fixture->batch_task.task = &fixture->task;
    fixture->batch_task.group = &fixture->group;
    fixture->batch_task.count = 1;
    int64_t now_ms = clock_now_ms();
    kafka_task_end_answer(&fixture->batch_task, now_ms);
    fixture->batch_task.task = &fixture->task;
    return kafka_count_reading(&fixture->batch_task, now_ms).waiting;
}

static void lag_that_was_measured_all_along_is_persistent(void **state)
{
    struct fixture *fixture = *state;
    be_stuck(fixture);
    assert_true(waiting_next(fixture) == 0);
}

/* Nobody could commit meanwhile, either. */
static void lag_after_an_outage_of_the_coordinator_is_not_persistent(void **state)
{
    struct fixture *fixture = *state;
    be_stuck(fixture);
    fixture->query.topic = NULL;
    fixture->batch_task.selection.kind = KAFKA_SELECTION_OF_GROUP;
    fixture->group.stage = KAFKA_GROUP_REQUESTED;
    kafka_task_end_time_out(&fixture->batch_task, clock_now_ms());
    assert_true(waiting_next(fixture) == 3 * 7);
}

/* Its coordinator refused; or the answer did not name the topic, which was another one then. */
static void lag_of_topics_that_a_group_did_not_name_is_not_persistent(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 2; i++) {
        be_stuck(fixture);
        fixture->batch_task.selection.kind = KAFKA_SELECTION_OF_GROUP;
        if (i == 0)
            kafka_task_end_fail(&fixture->batch_task, clock_now_ms(), "refused");
        else
            kafka_task_end_answer(&fixture->batch_task, clock_now_ms());
        assert_true(waiting_next(fixture) == 3 * 7);
    }
}

/* The metadata did not come, so not even the group was known. */
static void lag_after_an_outage_of_the_metadata_is_not_persistent(void **state)
{
    struct fixture *fixture = *state;
    be_stuck(fixture);
    kafka_selection_init(&fixture->batch_task.selection, "jobs,mails");
    fixture->session.metadata = kafka_metadata_new(&fixture->session.client);
    fixture->batch_task.group = NULL;
    kafka_task_end_time_out(&fixture->batch_task, clock_now_ms());
    assert_true(waiting_next(fixture) == 3 * 7);
    kafka_selection_done(&fixture->batch_task.selection);
    kafka_metadata_free(fixture->session.metadata);
}

/* A missing topic is no reason to count what another trigger of the group leaves out. */
static void other_topics_of_a_group_stay_persistent(void **state)
{
    struct fixture *fixture = *state;
    be_stuck(fixture);
    kafka_selection_init(&fixture->batch_task.selection, "mails");
    kafka_task_end_fail(&fixture->batch_task, clock_now_ms(), "Kafka topic mails does not exist");
    kafka_selection_done(&fixture->batch_task.selection);
    kafka_selection_init(&fixture->batch_task.selection, "jobs");
    assert_true(waiting_next(fixture) == 0);
    kafka_selection_done(&fixture->batch_task.selection);
}

/* The metadata did not come; or it came without the topic, though the group was measured. */
static void lag_of_topics_that_a_pattern_did_not_find_is_not_persistent(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *pattern;
        bool is_found;
        double waiting;
    } rows[] = {{"^j", false, 3 * 7}, {"^j", true, 3 * 7}, {"^mails$", false, 0}};
    fixture->session.metadata = kafka_metadata_new(&fixture->session.client);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        be_stuck(fixture);
        fixture->query.topic = rows[i].pattern;
        kafka_selection_init(&fixture->batch_task.selection, rows[i].pattern);
        assert_non_null(kafka_patterns_for(kafka_metadata_patterns(fixture->session.metadata),
                                           rows[i].pattern, 1));
        if (rows[i].is_found)
            kafka_task_end_answer(&fixture->batch_task, clock_now_ms());
        else
            kafka_task_end_fail(&fixture->batch_task, clock_now_ms(), "no Kafka topic matches");
        if (waiting_next(fixture) != rows[i].waiting)
            fail_msg("row %zu", i);
    }
    kafka_metadata_free(fixture->session.metadata);
}

/* ---- the time of a task is over ---- */

/* What its leader does not answer is requested again with the newest metadata: it may not lead any
 * more. It is named, though by now another one is known to lead. */
static void a_task_whose_time_is_over_says_who_did_not_answer(void **state)
{
    struct fixture *fixture = *state;
    static int32_t leaders[PARTITIONS] = {5, -1, 7};
    static const struct kafka_known_offset requested = {.state = KAFKA_OFFSET_REQUESTED,
                                                        .leader = 6};
    static const char of_metadata[] = "Kafka did not answer a request for metadata within 700 ms";
    static const char of_coordinator[] =
        "the commits of Kafka group workers: its coordinator did not answer within 700 ms";
    static const char of_leader[] =
        "Kafka broker 6, which leads partition 1 of topic jobs, did not answer within 700 ms";
    const struct {
        enum kafka_group_stage stage;
        struct kafka_ends ends;
        const char *words; /* NULL: it is answered, without the members */
    } rows[] = {
        {KAFKA_GROUP_AWAITS_METADATA, {KNOWN(5), KNOWN(3)}, of_metadata},
        {KAFKA_GROUP_REQUESTED, {KNOWN(5), KNOWN(3)}, of_coordinator},
        {KAFKA_GROUP_ANSWERED, {requested, KNOWN(3)}, of_leader},
        {KAFKA_GROUP_ANSWERED, {KNOWN(5), requested}, of_leader},
        {KAFKA_GROUP_ANSWERED, {KNOWN(5), KNOWN(3)}, NULL},
    };
    fixture->session.metadata = kafka_metadata_new(&fixture->session.client);
    fixture->session.offsets = kafka_offsets_new(&fixture->session.client);
    fixture->query.offset_reset_policy = KAFKA_RESET_EARLIEST;
    fixture->task.timeout_ms = 700;
    fixture->commits[1].value = NO_COMMIT;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct kafka_topic known = {.leaders = leaders, .partition_count = PARTITIONS};
        fixture->topic.known = &known;
        fixture->group.stage = rows[i].stage;
        fixture->ends[1] = rows[i].ends;
        fixture->batch_task.task = &fixture->task;
        fixture->task.has_ended = false;
        kafka_task_end_time_out(&fixture->batch_task, clock_now_ms());
        assert_null(fixture->batch_task.task);
        assert_int_equal(fixture->outcome, rows[i].words == NULL ? TASK_ANSWERED : TASK_TIMED_OUT);
        if (rows[i].words != NULL)
            assert_string_equal(error_text(&fixture->error), rows[i].words);
        assert_int_equal(known.is_outdated, rows[i].words == of_leader);
    }
    kafka_offsets_free(fixture->session.offsets);
    kafka_metadata_free(fixture->session.metadata);
}

/* ---- consumers ---- */

static void assign(rd_kafka_topic_partition_list_t *assigned, uintptr_t member, const char *topic,
                   int32_t partition)
{
    rd_kafka_topic_partition_list_add(assigned, topic, partition)->opaque = (void *)member;
}

static void members_with_a_partition_of_the_task_are_its_consumers(void **state)
{
    struct fixture *fixture = *state;
    rd_kafka_topic_partition_list_t *assigned = rd_kafka_topic_partition_list_new(0);
    assert_true(isnan(kafka_count_consumers(&fixture->batch_task, NULL)));
    assert_true(kafka_count_consumers(&fixture->batch_task, assigned) == 0);
    assign(assigned, 1, "jobs", 0);
    assign(assigned, 1, "jobs", 1);
    assign(assigned, 2, "mails", 0);
    assign(assigned, 2, "jobs", 2);
    assign(assigned, 3, "mails", 1);
    assert_true(kafka_count_consumers(&fixture->batch_task, assigned) == 2);
    limit_to(fixture, 2);
    assert_true(kafka_count_consumers(&fixture->batch_task, assigned) == 1);
    fixture->batch_task.count = 0; /* the group's topic is another task's */
    assert_true(kafka_count_consumers(&fixture->batch_task, assigned) == 0);
    rd_kafka_topic_partition_list_destroy(assigned);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_task_counts_its_partitions_topic_by_topic),
        TEST(what_is_missing_of_a_partition),
        TEST(a_task_is_complete_without_partitions_that_it_does_not_count),
        TEST(an_offset_is_a_number_or_an_error),
        TEST(an_offset_that_the_answer_lacks_fails_its_task),
        TEST(a_reading_is_the_sum_of_the_partitions),
        TEST(empty_partitions_that_count_1_are_not_less_than_nothing_consumed),
        TEST(persistent_lag_counts_for_activation_only),
        TEST(lag_that_was_measured_all_along_is_persistent),
        TEST(lag_after_an_outage_of_the_coordinator_is_not_persistent),
        TEST(lag_of_topics_that_a_group_did_not_name_is_not_persistent),
        TEST(lag_after_an_outage_of_the_metadata_is_not_persistent),
        TEST(other_topics_of_a_group_stay_persistent),
        TEST(lag_of_topics_that_a_pattern_did_not_find_is_not_persistent),
        TEST(a_task_whose_time_is_over_says_who_did_not_answer),
        TEST(members_with_a_partition_of_the_task_are_its_consumers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
