#include "kafka/measure/progress.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "kafka/measure/partitions.h"
#include "kafka/memory.h"
#include "scalers/ended.h"
#include "scalers/kafka/mock.h"
#include "scalers/kafka/one_task.h"
#include "scalers/kafka/peer.h"

#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

/* An offset that failed must not be counted, and may be another leader's by now. */
static void an_offset_is_a_number_or_an_error(void **state)
{
    struct one_task *fixture = *state;
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

static void an_offset_that_the_answer_lacks_fails_its_task(void **state)
{
    struct one_task *fixture = *state;
    struct kafka_topic known = {0};
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "jobs", 1)->opaque = &fixture->topic;
    list->elems[0].offset = RD_KAFKA_OFFSET_END;
    fixture->session.metadata = kafka_metadata_new(&fixture->session.client);
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
    kafka_metadata_free(fixture->session.metadata);
}

/* Another batch has had new metadata of the topic since this one requested the offset. */
static void an_offset_of_a_former_leader_comes_again_whatever_came_since(void **state)
{
    enum { BEGAN_MS = 5, SINCE_MS = 7 };
    struct one_task *fixture = *state;
    fixture->session.metadata = kafka_metadata_new(&fixture->session.client);
    fixture->session.offsets = kafka_offsets_new(&fixture->session.client);
    fixture->batch.began_ms = BEGAN_MS;
    fixture->batch.tasks = &fixture->batch_task;
    fixture->batch.count = 1;
    for (int row = 0; row < 2; row++) {
        const bool is_old = row == 0;
        static int32_t leaders[ONE_TASK_PARTITIONS] = {1, 1, 1};
        struct kafka_topic known = {.leaders = leaders,
                                    .partition_count = ONE_TASK_PARTITIONS,
                                    .received_ms = is_old ? BEGAN_MS - 1 : BEGAN_MS};
        fixture->topic.known = &known;
        fixture->group.open = fixture->batch.open = 2; /* so that its request does not end */
        fixture->task.has_ended = false;
        fixture->batch_task.task = &fixture->task;
        fixture->group.stage = KAFKA_GROUP_ANSWERED;
        fixture->outcome = TASK_ANSWERED;
        fixture->ends[1] = (struct kafka_ends){0};
        kafka_partitions_request_offset(&fixture->topic, 1, false);
        known.received_ms = SINCE_MS;
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_t *result = rd_kafka_topic_partition_list_add(list, "jobs", 1);
        result->opaque = &fixture->topic;
        result->err = RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
        kafka_progress_offsets(
            &(struct kafka_offset_answer){.list = list, .owner = &fixture->batch}, SINCE_MS);
        rd_kafka_topic_partition_list_destroy(list);
        assert_null(fixture->batch_task.task);
        assert_int_equal(fixture->outcome, is_old ? TASK_RETURNED : TASK_FAILED);
    }
    kafka_offsets_free(fixture->session.offsets);
    kafka_metadata_free(fixture->session.metadata);
}

/* A task that is cancelled is looked for in its batch, or where the loop has it. */
static void a_task_whose_group_finds_no_space_is_in_no_batch_any_more(void **state)
{
    struct kafka_mock *fixture = *state;
    struct task *refused = NULL;
    const int64_t now_ms = clock_now_ms();
    kafka_mock_add(fixture, kafka_mock_query_of_group(fixture, "workers", 2));
    kafka_mock_connect(fixture);
    struct kafka_session *session = fixture->client;
    struct task *task = &test_feed_task(fixture->feed, 0)->task;
    const size_t none = 0;
    struct kafka_share all = {.group = "others", .tasks = &none};
    assert_int_equal(kafka_space_take(&session->space, &all, session->space.limit, now_ms),
                     KAFKA_SPACE_TAKEN);
    task->query = fixture->triggers[0].options.query;
    task->prev = task;
    struct kafka_batch *batch = kafka_batch_new(session, task, 1, false, now_ms);
    assert_non_null(task->data);
    kafka_progress_begin(batch, now_ms);
    kafka_progress_send(batch, &refused, now_ms);
    assert_ptr_equal(refused, task);
    assert_null(task->next);
    assert_null(task->data);
    assert_int_equal(batch->open, 0);
    assert_string_equal(kafka_space_reserved_for(&session->space), "workers");
    kafka_batch_free(batch);
    kafka_space_release(&session->space, &all);
    task->query = NULL; /* the feed frees its copy only */
}

/* ---- what a group has committed ---- */

/* However busy the machine is: for longer than metadata usually is. */
static void keep_fresh(struct kafka_session *session, const char *topic)
{
    struct kafka_topics *topics = kafka_metadata_topics(session->metadata);
    int64_t now_ms = clock_now_ms();
    kafka_topics_for(topics, topic, now_ms)->received_ms = now_ms;
    kafka_topics_confirm(topics, topic, now_ms + KAFKA_MOCK_WITHIN_MS);
}

static rd_kafka_event_t *fetch_commits(const struct kafka_session *session,
                                       struct kafka_batch_group *group,
                                       const rd_kafka_topic_partition_list_t *partitions)
{
    _cleanup_(error_done) struct error error = {0};
    rd_kafka_event_t *event = NULL;
    assert_true(
        kafka_commits_send(session->commits, &group->request, partitions, clock_now_ms(), &error));
    for (int i = 0; event == NULL && i < KAFKA_MOCK_WITHIN_MS / 10; i++) {
        usleep(10 * 1000);
        kafka_commits_receive(session->commits, &event, clock_now_ms());
    }
    assert_non_null(event);
    return event;
}

/* The mock cluster does not list all commits of a group: these are requested by name, and taken for
 * all that there are. */
static void topics_that_only_commits_name_are_known_before_they_count(void **state)
{
    struct kafka_mock *fixture = *state;
    static const struct {
        const char *topic;
        int64_t committed; /* -1: nothing */
    } rows[] = {{"alpha", 0}, {"beta", -1}, {"gamma", 2}};
    _cleanup_(error_done) struct error error = {0};
    rd_kafka_topic_partition_list_t *partitions = rd_kafka_topic_partition_list_new(0);
    kafka_mock_query_of_group(fixture, "workers", 2);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        kafka_mock_add_topic(fixture, rows[i].topic, 1);
        rd_kafka_topic_partition_list_add(partitions, rows[i].topic, 0);
        if (rows[i].committed >= 0)
            kafka_mock_commit(fixture, "workers", rows[i].topic, rows[i].committed);
    }
    kafka_mock_connect(fixture);
    struct kafka_session *session = fixture->client;
    struct kafka_metadata_need first = {0}; /* the handle has its partition already */
    kafka_metadata_need_topic(
        session->metadata,
        kafka_topics_for(kafka_metadata_topics(session->metadata), "alpha", clock_now_ms()),
        clock_now_ms(), &first);
    kafka_metadata_request(session->metadata, &first, 0, clock_now_ms());
    kafka_mock_receive_metadata(session->metadata, &session->client, &first);
    struct kafka_batch *batch = kafka_batch_new(session, NULL, 0, false, clock_now_ms());
    struct kafka_batch_group *group = kafka_batch_group_for(batch, "workers");
    group->wants_all = true;
    assert_int_equal(
        kafka_space_take(&session->space, &group->share, ARRAY_LENGTH(rows), clock_now_ms()),
        KAFKA_SPACE_TAKEN);

    kafka_progress_commits(group, fetch_commits(session, group, partitions), clock_now_ms());
    assert_int_equal(group->stage, KAFKA_GROUP_AWAITS_METADATA);
    assert_int_equal(group->share.partitions,
                     ARRAY_LENGTH(rows) + KAFKA_MEMORY_REQUEST); /* the copies are as many */
    assert_int_equal(group->commits->cnt, ARRAY_LENGTH(rows));
    for (int i = 0; i < group->commits->cnt; i++) /* the handle may be renewed before they come */
        assert_null(group->commits->elems[i]._private);
    for (int i = 0; i < KAFKA_MOCK_WITHIN_MS / 10; i++) {
        if (kafka_metadata_has(session->metadata, &group->need))
            break;
        usleep(10 * 1000);
        kafka_metadata_receive(session->metadata, clock_now_ms(), &error);
    }
    kafka_progress_metadata(batch, clock_now_ms());
    assert_int_equal(group->stage, KAFKA_GROUP_ANSWERED);
    assert_null(group->commits);
    assert_int_equal(group->share.partitions, 0);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct kafka_group_topic *found = kafka_batch_find_group_topic(group, rows[i].topic);
        /* What was not committed is not even requested: the library never forgets it. */
        const struct kafka_topic *known = kafka_topics_for(kafka_metadata_topics(session->metadata),
                                                           rows[i].topic, clock_now_ms());
        assert_int_equal(found != NULL, rows[i].committed >= 0);
        assert_int_equal(known->received_ms != 0, rows[i].committed >= 0);
        if (found == NULL)
            continue;
        assert_true(found->is_named);
        assert_int_equal(found->key.topic->count, 1);
        assert_int_equal(found->commits[0].value, rows[i].committed);
    }
    kafka_batch_free(batch);
    rd_kafka_topic_partition_list_destroy(partitions);
}

/* The topics, of a partition each, are not even named to the library, which never forgets them. A
 * trigger of the same group that names its topic is none of those that fail. */
static void assert_refused(int committed_topics, size_t max_partitions, const char *words)
{
    _cleanup_(error_done) struct error error = {0};
    struct kafka_peer peer = {.committed_topics = committed_topics};
    kafka_peer_start(&peer);
    struct trigger triggers[] = {
        trigger_of(&scaler_kafka,
                   PAIRS("bootstrapServers", peer.brokers, "consumerGroup", "workers")),
        trigger_of(&scaler_kafka, PAIRS("bootstrapServers", peer.brokers, "consumerGroup",
                                        "workers", "topic", "a")),
    };
    struct test_feed *feed = test_feed_new(&scaler_kafka);
    test_feed_set_timeout(feed, KAFKA_MOCK_WITHIN_MS);
    for (size_t i = 0; i < ARRAY_LENGTH(triggers); i++) {
        assert_true(triggers[i].good);
        test_feed_add(feed, triggers[i].options.query, (struct notifier){0});
    }
    struct kafka_session *session = kafka_peer_connect(&peer);
    session->client.max_partitions = max_partitions;
    if (!test_feed_run(feed, session, KAFKA_MOCK_WITHIN_MS, &error))
        fail_msg("%s", error_text(&error));
    assert_ended_with(feed, 0, TASK_FAILED, words);
    assert_waiting(feed, 1, 1); /* nothing is committed there */
    const struct kafka_topics *topics = kafka_metadata_topics(session->metadata);
    assert_non_null(kafka_topics_find(topics, "a"));
    assert_null(kafka_topics_find(topics, "topic-0"));
    kafka_session_disconnect(session);
    test_feed_free(feed);
    for (size_t i = 0; i < ARRAY_LENGTH(triggers); i++)
        trigger_done(&triggers[i]);
    kafka_peer_stop(&peer);
}

static void more_than_5000_topics_of_a_group_are_refused(void **state)
{
    (void)state;
    assert_refused(KAFKA_SELECTION_MAX_TOPICS + 1, KAFKA_SELECTION_MAX_PARTITIONS,
                   "the commits of Kafka group workers: they are of more than 5000 topics: set "
                   "topic");
}

static void more_partitions_of_a_group_than_there_is_memory_for_are_refused(void **state)
{
    enum { MAX_PARTITIONS = 100 };
    (void)state;
    assert_refused(
        MAX_PARTITIONS + 1, MAX_PARTITIONS,
        "the Kafka topics have more than 100 partitions: select fewer topics, or distribute");
}

/* The first time the topic is not known yet: the commits wait for its metadata. */
static void a_commit_that_is_refused_fails_a_task_without_topic(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct kafka_peer peer = {.denies_commits = true};
    kafka_peer_start(&peer);
    struct trigger trigger = trigger_of(
        &scaler_kafka, PAIRS("bootstrapServers", peer.brokers, "consumerGroup", "workers"));
    struct test_feed *feed = test_feed_new(&scaler_kafka);
    test_feed_set_timeout(feed, KAFKA_MOCK_WITHIN_MS);
    struct kafka_session *session = kafka_peer_connect(&peer);
    for (size_t i = 0; i < 2; i++) {
        test_feed_add(feed, trigger.options.query, (struct notifier){0});
        if (!test_feed_run(feed, session, KAFKA_MOCK_WITHIN_MS, &error))
            fail_msg("%s", error_text(&error));
        assert_ended_with(feed, i, TASK_FAILED, "Topic authorization failed");
    }
    kafka_session_disconnect(session);
    test_feed_free(feed);
    trigger_done(&trigger);
    kafka_peer_stop(&peer);
}

/* The commits name a topic whose metadata does not come. */
static void a_task_does_not_wait_for_topics_that_only_others_of_its_group_need(void **state)
{
    enum { TIMEOUT_MS = 1000 };
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct kafka_peer peer = {.committed_topics = 1};
    kafka_peer_start(&peer);
    struct trigger triggers[] = {
        trigger_of(&scaler_kafka, PAIRS("bootstrapServers", peer.brokers, "consumerGroup",
                                        "workers", "topic", "a")),
        trigger_of(&scaler_kafka,
                   PAIRS("bootstrapServers", peer.brokers, "consumerGroup", "workers")),
    };
    struct test_feed *feed = test_feed_new(&scaler_kafka);
    struct kafka_session *session = kafka_peer_connect(&peer);
    for (size_t i = 0; i < ARRAY_LENGTH(triggers); i++) {
        test_feed_set_timeout(feed, i == 0 ? KAFKA_MOCK_WITHIN_MS : TIMEOUT_MS);
        test_feed_add(feed, triggers[i].options.query, (struct notifier){0});
        test_feed_again(feed);
        if (!test_feed_run(feed, session, KAFKA_MOCK_WITHIN_MS, &error))
            fail_msg("%s", error_text(&error));
        assert_waiting(feed, 0, i == 0 ? KAFKA_PEER_MESSAGES : 1); /* not committed, among all */
        keep_fresh(session, "a");
        peer.silent_left[KAFKA_PEER_METADATA] = INT_MAX;
    }
    assert_ended_with(feed, 1, TASK_TIMED_OUT, "metadata");
    kafka_session_disconnect(session);
    test_feed_free(feed);
    for (size_t i = 0; i < ARRAY_LENGTH(triggers); i++)
        trigger_done(&triggers[i]);
    kafka_peer_stop(&peer);
}

/* As those that needed them have timed out. A request without any topic counts as answered. */
static void topics_that_no_task_waits_for_are_not_requested_again(void **state)
{
    struct one_task *fixture = *state;
    struct kafka_batch *batch = &fixture->batch;
    struct kafka_batch_group *group = &fixture->group;
    fixture->session.metadata = kafka_metadata_new(&fixture->session.client);
    HASH_ADD_KEYPTR(hh, batch->groups, group->name, strlen(group->name), group);
    group->tasks = &fixture->batch_task;
    group->stage = KAFKA_GROUP_AWAITS_METADATA;
    group->need.topics = 1;
    group->open = batch->open = 1;
    batch->is_sent = true;
    for (int i = 0; i < 2; i++) {
        const bool has_topic = i == 0;
        fixture->batch_task.selection.kind =
            has_topic ? KAFKA_SELECTION_OF_NAMES : KAFKA_SELECTION_OF_GROUP;
        kafka_progress_metadata_failed(batch, clock_now_ms());
        assert_int_equal(kafka_metadata_has(fixture->session.metadata, &group->need), !has_topic);
    }
    HASH_CLEAR(hh, batch->groups);
    kafka_metadata_free(fixture->session.metadata);
}

static void a_commit_that_the_answer_lacks_is_an_error_of_its_own(void **state)
{
    struct kafka_mock *fixture = *state;
    rd_kafka_topic_partition_list_t *others = rd_kafka_topic_partition_list_new(0);
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add_topic(fixture, "mails", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    struct kafka_session *session = fixture->client;
    struct kafka_batch *batch = kafka_batch_new(session, NULL, 0, false, clock_now_ms());
    struct kafka_batch_group *group = kafka_batch_group_for(batch, "workers");
    const struct kafka_group_topic *group_topic =
        kafka_batch_group_topic_for(group, kafka_batch_topic_for(batch, "jobs"));
    group_topic->commits[0].state = KAFKA_OFFSET_REQUESTED;
    rd_kafka_topic_partition_list_add(others, "mails", 0);
    kafka_progress_commits(group, fetch_commits(session, group, others), clock_now_ms());
    assert_int_equal(group_topic->commits[0].state, KAFKA_OFFSET_FAILED);
    assert_int_equal(group_topic->commits[0].error, RD_KAFKA_RESP_ERR__NOENT);
    kafka_batch_free(batch);
    rd_kafka_topic_partition_list_destroy(others);
}

/* ---- leaders ---- */

/* What is known of it is new enough to go by, but of before it moved. */
static void a_leader_that_moves_costs_no_measurement(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_assert_answered(fixture, 0);
    keep_fresh(fixture->client, "jobs");
    kafka_mock_set_leader(fixture, "jobs", 0, 3);
    kafka_mock_run_again(fixture);
    kafka_mock_assert_answered(fixture, 0);
    assert_int_equal(test_feed_task(fixture->feed, 0)->returned, 1);
}

/* Which is not measured by now, however often it is tried. */
static void a_partition_that_no_broker_leads_any_more_fails_after_one_more_try(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    keep_fresh(fixture->client, "jobs");
    kafka_mock_set_leader(fixture, "jobs", 0, -1);
    kafka_mock_run_again(fixture);
    kafka_mock_assert_failed(fixture, 0, "Leader not available");
    assert_int_equal(test_feed_task(fixture->feed, 0)->returned, 1);
}

/* The isolated task's request for metadata is under way when the other one's leader turns out to be
 * none: its answer is of before. */
static void a_new_leader_is_found_though_an_older_answer_came(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add_topic(fixture, "others", 1);
    kafka_mock_set_leader(fixture, "jobs", 0, -1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_add(fixture, kafka_mock_query(fixture, "isolated", "others", 3));
    test_feed_task(fixture->feed, 1)->task.isolate = true;
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_assert_failed(fixture, 0, "Leader not available");
    kafka_mock_assert_answered(fixture, 1);
    kafka_mock_set_leader(fixture, "jobs", 0, 1);
    kafka_mock_run_again(fixture);
    kafka_mock_assert_answered(fixture, 0);
}

static void a_new_leader_of_a_patterns_topic_is_found(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_set_leader(fixture, "jobs", 0, -1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "^jobs$", 2));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_assert_failed(fixture, 0, "Leader not available");
    kafka_mock_run_again(fixture);
    kafka_mock_assert_failed(fixture, 0, "Leader not available");
    kafka_mock_set_leader(fixture, "jobs", 0, 1);
    kafka_mock_run_again(fixture);
    kafka_mock_assert_answered(fixture, 0);
}

/* ---- replies that are too long ---- */

enum { GROUPS = 3 };

/* The groups "0", "1" and "2" on topic a. The middle one is the one that is too long. */
struct groups {
    struct kafka_peer peer;
    struct trigger triggers[GROUPS];
    struct test_feed *feed;
    void *client;
};

static const char *const middle = "1";

/* A pause of the test must not look like a broker that hangs, to which the product sends a call
 * again. So time stands still for the product while groups run; only the bound of a run is of the
 * real clock. */
static _Atomic int64_t still_ms; /* 0: time passes */
static _Atomic int64_t ends_ms;  /* by the real clock: then the run has taken too long */
static bool has_long_timeouts;   /* new connections of the library, whose clock is its own */

int64_t __real_clock_now_ms(void);
int64_t __wrap_clock_now_ms(void);
int64_t __wrap_clock_now_ms(void)
{
    int64_t real_ms = __real_clock_now_ms();
    if (still_ms == 0)
        return real_ms;
    return real_ms < ends_ms ? still_ms : still_ms + KAFKA_MOCK_WITHIN_MS;
}

int __wrap_clock_left_ms(int64_t deadline_ms, int max_ms);
int __wrap_clock_left_ms(int64_t deadline_ms, int max_ms)
{
    int64_t left_ms = deadline_ms == CLOCK_NEVER ? max_ms : deadline_ms - clock_now_ms();
    if (left_ms < 0)
        return 0;
    return left_ms > max_ms ? max_ms : (int)left_ms;
}

rd_kafka_conf_res_t __real_rd_kafka_conf_set(rd_kafka_conf_t *conf, const char *name,
                                             const char *value, char *reason, size_t size);
rd_kafka_conf_res_t __wrap_rd_kafka_conf_set(rd_kafka_conf_t *conf, const char *name,
                                             const char *value, char *reason, size_t size);
rd_kafka_conf_res_t __wrap_rd_kafka_conf_set(rd_kafka_conf_t *conf, const char *name,
                                             const char *value, char *reason, size_t size)
{
    if (has_long_timeouts && (text_equal(name, "socket.timeout.ms") ||
                              text_equal(name, "socket.connection.setup.timeout.ms")))
        value = "60000";
    return __real_rd_kafka_conf_set(conf, name, value, reason, size);
}

static void run_groups(struct groups *groups)
{
    _cleanup_(error_done) struct error error = {0};
    still_ms++; /* an answer of the millisecond in which it begins counts */
    ends_ms = __real_clock_now_ms() + KAFKA_MOCK_WITHIN_MS;
    test_feed_again(groups->feed);
    if (!test_feed_run(groups->feed, groups->client, KAFKA_MOCK_WITHIN_MS, &error))
        fail_msg("%s", error_text(&error));
}

static int groups_set_up(void **state)
{
    struct groups *groups = memory_new(sizeof(*groups));
    _cleanup_(error_done) struct error error = {0};
    groups->peer.delay_ms = 10; /* so that requests are under way together */
    kafka_peer_start(&groups->peer);
    groups->feed = test_feed_new(&scaler_kafka);
    test_feed_set_timeout(groups->feed, KAFKA_MOCK_WITHIN_MS);
    for (int i = 0; i < GROUPS; i++) {
        const char name[] = {(char)('0' + i), '\0'};
        groups->triggers[i] =
            trigger_of(&scaler_kafka, PAIRS("bootstrapServers", groups->peer.brokers,
                                            "consumerGroup", name, "topic", "a"));
        assert_true(groups->triggers[i].good);
        test_feed_add(groups->feed, groups->triggers[i].options.query, (struct notifier){0});
        test_feed_task(groups->feed, (size_t)i)->task.wants = READING_WANT_CONSUMERS;
    }
    has_long_timeouts = true;
    if (!scaler_kafka.connect(groups->triggers[0].options.connection,
                              clock_now_ms() + KAFKA_MOCK_WITHIN_MS, &groups->client, &error))
        fail_msg("%s", error_text(&error));
    still_ms = clock_now_ms();
    run_groups(groups); /* the coordinators are known from now on: requests keep their order */
    *state = groups;
    return 0;
}

static int groups_tear_down(void **state)
{
    struct groups *groups = *state;
    still_ms = 0;
    has_long_timeouts = false;
    scaler_kafka.disconnect(groups->client);
    test_feed_free(groups->feed);
    for (size_t i = 0; i < GROUPS; i++)
        trigger_done(&groups->triggers[i]);
    kafka_peer_stop(&groups->peer);
    free(groups);
    return 0;
}

static void assert_answered_but(const struct groups *groups, const char *unanswered)
{
    for (size_t i = 0; i < GROUPS; i++) {
        const struct kafka_query *query = groups->triggers[i].options.query;
        if (unanswered == NULL || !text_equal(query->consumer_group, unanswered))
            assert_waiting(groups->feed, i, KAFKA_PEER_MESSAGES);
        assert_int_equal(test_feed_task(groups->feed, i)->returned, 0);
    }
}

static void assert_consumers(const struct groups *groups, const char *unknown)
{
    for (size_t i = 0; i < GROUPS; i++) {
        const struct kafka_query *query = groups->triggers[i].options.query;
        double consumers = test_feed_task(groups->feed, i)->reading.consumers;
        if (unknown != NULL && text_equal(query->consumer_group, unknown))
            assert_true(isnan(consumers));
        else if (!(consumers == 1))
            fail_msg("group %zu: %g consumers", i, consumers);
    }
}

/* They are useful, but not needed. Their group is known from then on: nobody is disturbed again. */
static void members_that_are_too_long_fail_nobody(void **state)
{
    struct groups *groups = *state;
    groups->peer.too_long_members = middle;
    for (int i = 0; i < 3; i++) {
        run_groups(groups);
        assert_answered_but(groups, NULL);
        assert_consumers(groups, middle);
        assert_int_equal(groups->peer.too_long_count, 2); /* the second time alone */
    }
}

static void commits_that_are_too_long_fail_their_own_group(void **state)
{
    struct groups *groups = *state;
    groups->peer.too_long_commits = middle;
    for (int i = 0; i < 3; i++) {
        run_groups(groups);
        assert_answered_but(groups, middle);
        assert_ended_with(groups->feed, 1, TASK_FAILED,
                          "the commits of Kafka group 1: they are longer than 4 MiB, or malformed");
        assert_int_equal(groups->peer.too_long_count, 2);
    }
}

static void members_and_commits_of_a_group_may_be_too_long(void **state)
{
    struct groups *groups = *state;
    groups->peer.too_long_members = groups->peer.too_long_commits = middle;
    for (int i = 0; i < 3; i++) {
        run_groups(groups);
        assert_answered_but(groups, middle);
        assert_ended_with(groups->feed, 1, TASK_FAILED, "longer than 4 MiB");
    }
}

/* It is known what its answer will be. */
static void a_group_that_is_suspended_costs_no_request(void **state)
{
    struct groups *groups = *state;
    groups->peer.too_long_commits = "0,1,2";
    run_groups(groups);
    int offsets = groups->peer.requests[KAFKA_PEER_LIST_OFFSETS];
    int members = groups->peer.requests[KAFKA_PEER_DESCRIBE_GROUPS];
    run_groups(groups);
    for (size_t i = 0; i < GROUPS; i++)
        assert_ended_with(groups->feed, i, TASK_FAILED, "retrying every 5 minutes");
    assert_int_equal(groups->peer.requests[KAFKA_PEER_LIST_OFFSETS], offsets);
    assert_int_equal(groups->peer.requests[KAFKA_PEER_DESCRIBE_GROUPS], members);
}

/* Isolated tasks share a handle, too. */
static void commits_of_an_isolated_group_that_are_too_long_fail_it_alone(void **state)
{
    struct groups *groups = *state;
    for (size_t i = 0; i < GROUPS; i++)
        test_feed_task(groups->feed, i)->task.isolate = true;
    run_groups(groups);
    assert_answered_but(groups, NULL);
    groups->peer.too_long_commits = middle;
    run_groups(groups);
    assert_answered_but(groups, middle);
    assert_ended_with(groups->feed, 1, TASK_FAILED, "longer than 4 MiB");
}

int main(void)
{
#define OF_GROUPS(name) cmocka_unit_test_setup_teardown(name, groups_set_up, groups_tear_down)
#define TEST(name) cmocka_unit_test_setup_teardown(name, one_task_set_up, one_task_tear_down)
#define OF_CLUSTER(name)                                                                           \
    cmocka_unit_test_setup_teardown(name, kafka_mock_set_up, kafka_mock_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_offset_is_a_number_or_an_error),
        TEST(an_offset_that_the_answer_lacks_fails_its_task),
        TEST(an_offset_of_a_former_leader_comes_again_whatever_came_since),
        OF_CLUSTER(a_task_whose_group_finds_no_space_is_in_no_batch_any_more),
        OF_CLUSTER(topics_that_only_commits_name_are_known_before_they_count),
        TEST(topics_that_no_task_waits_for_are_not_requested_again),
        OF_CLUSTER(a_commit_that_the_answer_lacks_is_an_error_of_its_own),
        OF_CLUSTER(a_leader_that_moves_costs_no_measurement),
        OF_CLUSTER(a_partition_that_no_broker_leads_any_more_fails_after_one_more_try),
        OF_CLUSTER(a_new_leader_is_found_though_an_older_answer_came),
        OF_CLUSTER(a_new_leader_of_a_patterns_topic_is_found),
        cmocka_unit_test(a_commit_that_is_refused_fails_a_task_without_topic),
        cmocka_unit_test(a_task_does_not_wait_for_topics_that_only_others_of_its_group_need),
        cmocka_unit_test(more_than_5000_topics_of_a_group_are_refused),
        cmocka_unit_test(more_partitions_of_a_group_than_there_is_memory_for_are_refused),
        OF_GROUPS(members_that_are_too_long_fail_nobody),
        OF_GROUPS(commits_that_are_too_long_fail_their_own_group),
        OF_GROUPS(members_and_commits_of_a_group_may_be_too_long),
        OF_GROUPS(a_group_that_is_suspended_costs_no_request),
        OF_GROUPS(commits_of_an_isolated_group_that_are_too_long_fail_it_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
