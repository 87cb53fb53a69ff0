/* Against librdkafka's mock cluster: brokers that hang, and what they must not delay. */
#include "kafka/measure/measure.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "kafka/client/background.h"
#include "kafka/memory.h"
#include "kafka/session.h"
#include "scalers/ended.h"
#include "scalers/kafka/mock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void the_lag_is_measured(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_assert_answered(fixture, 0);
}

static void a_coordinator_that_hangs_delays_no_other_group(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "silent", "jobs", 3));
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_assert_answered(fixture, 0);
    kafka_mock_hang(fixture, 3, true);
    test_feed_set_timeout(fixture->feed, KAFKA_MOCK_TIMEOUT_MS);
    kafka_mock_run_again(fixture);
    assert_ended_with(fixture->feed, 0, TASK_TIMED_OUT,
                      "Kafka group silent: its coordinator did not answer within 600 ms");
    kafka_mock_assert_answered(fixture, 1);
    assert_int_equal(test_feed_task(fixture->feed, 1)->order, 1);
}

static void a_leader_that_hangs_delays_no_other_topic(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add_topic(fixture, "lost", 3);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "lost", 2));
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_assert_answered(fixture, 0);
    kafka_mock_hang(fixture, 3, true);
    test_feed_set_timeout(fixture->feed, KAFKA_MOCK_TIMEOUT_MS);
    kafka_mock_run_again(fixture);
    assert_ended_with(fixture->feed, 0, TASK_TIMED_OUT,
                      "Kafka broker 3, which leads partition 0 of topic lost");
    kafka_mock_assert_answered(fixture, 1);
}

/* All threads wait for brokers that hang, so that it was not even asked. */
static void a_leader_that_no_thread_is_left_for_is_not_blamed(void **state)
{
    enum { HANGING = 32, BROKERS = HANGING + 1 };
    struct kafka_mock *fixture = *state;
    rd_kafka_mock_cluster_destroy(fixture->cluster);
    fixture->cluster = rd_kafka_mock_cluster_new(fixture->rk, BROKERS);
    kafka_mock_create_topic(fixture, "lost", BROKERS, 1);
    for (int32_t broker = 2; broker <= BROKERS; broker++)
        kafka_mock_set_leader(fixture, "lost", broker - 1, broker);
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query_of(fixture, "workers", "lost", "1-32", 1));
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 1));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_assert_answered(fixture, 1);
    /* Metadata is not needed again, however busy the machine is. */
    struct kafka_metadata *metadata = ((struct kafka_session *)fixture->client)->metadata;
    int64_t later_ms = clock_now_ms() + KAFKA_MOCK_HANG_MS;
    struct kafka_topics *topics = kafka_metadata_topics(metadata);
    struct kafka_topic *jobs = kafka_topics_for(topics, "jobs", later_ms);
    jobs->received_ms = later_ms;
    kafka_topics_for(topics, "lost", later_ms)->received_ms = later_ms;
    for (int32_t broker = 2; broker <= BROKERS; broker++)
        kafka_mock_hang(fixture, broker, true);
    test_feed_set_timeout(fixture->feed, KAFKA_MOCK_TIMEOUT_MS);
    kafka_mock_run_again(fixture);
    for (int32_t broker = 2; broker <= BROKERS; broker++)
        kafka_mock_hang(fixture, broker, false);
    assert_ended_with(fixture->feed, 0, TASK_TIMED_OUT, ", did not answer within 600 ms");
    assert_ended_with(fixture->feed, 1, TASK_TIMED_OUT,
                      "partition 0 of Kafka topic jobs: too many other brokers do not answer, so "
                      "that broker 1 was sent nothing within 600 ms");
    assert_false(jobs->is_outdated);
}

static void a_leader_without_a_thread_is_not_blamed(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_assert_answered(fixture, 0);
    int64_t later_ms = clock_now_ms() + KAFKA_MOCK_HANG_MS;
    struct kafka_metadata *metadata = ((struct kafka_session *)fixture->client)->metadata;
    struct kafka_topic *jobs = kafka_topics_for(kafka_metadata_topics(metadata), "jobs", later_ms);
    jobs->received_ms = later_ms; /* is not needed again */
    test_feed_set_timeout(fixture->feed, KAFKA_MOCK_TIMEOUT_MS);
    kafka_mock_allow_threads(false);
    kafka_mock_run_again(fixture);
    kafka_mock_allow_threads(true);
    assert_ended_with(fixture->feed, 0, TASK_TIMED_OUT,
                      "partition 0 of Kafka topic jobs: no thread can be started, so that broker 1 "
                      "was sent nothing within 600 ms");
    assert_false(jobs->is_outdated);
    test_feed_set_timeout(fixture->feed, KAFKA_MOCK_WITHIN_MS);
    kafka_mock_run_again(fixture);
    kafka_mock_assert_answered(fixture, 0);
}

/* A place is all that the others need: what hangs never has all places. */
static void new_tasks_are_taken_while_a_group_hangs(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "silent", "jobs", 3));
    const void *workers = kafka_mock_query(fixture, "workers", "jobs", 2);
    for (int i = 0; i < 3; i++)
        kafka_mock_add(fixture, workers);
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_hang(fixture, 3, true);
    feed_set_max_tasks(test_feed_task(fixture->feed, 0)->task.feed, 2, 2);
    test_feed_set_timeout(fixture->feed, KAFKA_MOCK_TIMEOUT_MS);
    kafka_mock_run_again(fixture);
    assert_ended_with(fixture->feed, 0, TASK_TIMED_OUT, "Kafka group silent");
    assert_int_equal(test_feed_task(fixture->feed, 0)->order, 4);
    for (size_t i = 1; i < 4; i++)
        kafka_mock_assert_answered(fixture, i);
}

/* ---- groups whose partitions are so many that few are measured at a time (space.h) ---- */

enum { LIMIT = 5000, GUESS = 200 };

/* A group without `topic`, that has committed nothing. */
static void add_large_group(struct kafka_mock *fixture, const char *group, int32_t coordinator)
{
    kafka_mock_add(fixture, kafka_mock_query_of_group(fixture, group, coordinator));
}

/* As if they had committed offsets of so many that they take this space. */
static void note_large_groups(struct kafka_mock *fixture, size_t partitions)
{
    struct kafka_session *session = fixture->client;
    for (size_t i = 0; i < fixture->count; i++) {
        const struct kafka_query *query = fixture->triggers[i].options.query;
        if (query->topic == NULL)
            kafka_known_groups_note_committed(&session->space.groups, query->consumer_group,
                                              partitions - KAFKA_MEMORY_REQUEST, clock_now_ms());
    }
}

static void large_groups_are_measured_one_after_the_other(void **state)
{
    static const char *const groups[] = {"first", "second", "third"};
    struct kafka_mock *fixture = *state;
    const int rtt_ms = 200;
    for (size_t i = 0; i < ARRAY_LENGTH(groups); i++)
        add_large_group(fixture, groups[i], 2);
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    note_large_groups(fixture, LIMIT - 1);
    kafka_mock_set_rtt(fixture, 2, rtt_ms);
    test_feed_set_timeout(fixture->feed, 5000);
    int64_t began_ms = clock_now_ms();
    kafka_mock_run_again(fixture);
    assert_true(clock_now_ms() - began_ms >= 3 * (int64_t)rtt_ms);
    for (size_t i = 0; i < ARRAY_LENGTH(groups); i++)
        assert_waiting(fixture->feed, i, 0);
    assert_int_equal(test_feed_task(fixture->feed, 0)->returned, 0);
    assert_int_equal(test_feed_task(fixture->feed, 0)->started, 0);
    /* Space is reserved for one of them, and it begins here, once it has that. */
    assert_int_equal(test_feed_task(fixture->feed, 1)->returned, 0);
    assert_int_equal(test_feed_task(fixture->feed, 1)->started, 1);
    /* The others wait at the server, which sees how many do, and whose turn it is. */
    assert_true(test_feed_task(fixture->feed, 2)->returned > 0);
}

/* It needs more than half of the space, of which small ones, that are answered in turns, always
 * have a part. */
static void a_large_group_is_measured_while_small_ones_come_and_go(void **state)
{
    enum { BEFORE = 4, SMALL = 12 };
    struct kafka_mock *fixture = *state;
    for (int i = 0; i < SMALL; i++) {
        _cleanup_(memory_free) char *group = text_format("small-%d", i);
        if (i == BEFORE)
            add_large_group(fixture, "large", 1);
        add_large_group(fixture, group, 2 + i % 2);
    }
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    note_large_groups(fixture, LIMIT / BEFORE);
    struct kafka_space *space = &((struct kafka_session *)fixture->client)->space;
    kafka_known_groups_note_committed(&space->groups, "large", LIMIT * 3 / 4 + 1, clock_now_ms());
    space->usual_ms = KAFKA_MOCK_TIMEOUT_MS; /* none of them is silent */
    kafka_mock_set_rtt(fixture, 2, 100);
    kafka_mock_set_rtt(fixture, 3, 150);
    test_feed_set_timeout(fixture->feed, 5000);
    kafka_mock_run_again(fixture);
    for (size_t i = 0; i < fixture->count; i++)
        assert_waiting(fixture->feed, i, 0);
    assert_int_equal(test_feed_task(fixture->feed, BEFORE)->order, BEFORE + 1);
}

static void hang_the_first_of_two_large_groups(struct kafka_mock *fixture)
{
    add_large_group(fixture, "first", 3);
    add_large_group(fixture, "second", 2);
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    note_large_groups(fixture, LIMIT);
    ((struct kafka_session *)fixture->client)->space.usual_ms = KAFKA_MOCK_TIMEOUT_MS;
    kafka_mock_hang(fixture, 3, true);
    test_feed_set_timeout(fixture->feed, KAFKA_MOCK_TIMEOUT_MS);
}

/* Whoever it waits for may take that long. */
static void a_task_that_waits_for_space_has_its_time_afterwards(void **state)
{
    struct kafka_mock *fixture = *state;
    hang_the_first_of_two_large_groups(fixture);
    kafka_mock_run_again(fixture);
    assert_ended_with(fixture->feed, 0, TASK_TIMED_OUT, "Kafka group first");
    assert_waiting(fixture->feed, 1, 0);
}

/* It has the space of all for a moment, which is no part of the others' time. */
static void a_large_group_that_hangs_does_not_fail_the_others(void **state)
{
    static const char *const groups[] = {"hanging", "second", "third"};
    struct kafka_mock *fixture = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(groups); i++)
        add_large_group(fixture, groups[i], i == 0 ? 3 : 2);
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    note_large_groups(fixture, LIMIT);
    kafka_mock_hang(fixture, 3, true);
    test_feed_set_timeout(fixture->feed, 2000);
    kafka_mock_run_again(fixture);
    assert_ended_with(fixture->feed, 0, TASK_TIMED_OUT, "Kafka group hanging");
    assert_int_equal(test_feed_task(fixture->feed, 0)->order, 3);
    assert_waiting(fixture->feed, 1, 0);
    assert_waiting(fixture->feed, 2, 0);
    /* Isolated from now on, and with all of the space that is for silent groups. */
    note_large_groups(fixture, LIMIT);
    kafka_mock_run_again(fixture);
    assert_ended_with(fixture->feed, 0, TASK_TIMED_OUT, "Kafka group hanging");
    assert_int_equal(test_feed_task(fixture->feed, 0)->order, 3);
}

/* Each of them costs the others a part of a second at most, and less than all of its own time. */
static void large_groups_that_hang_delay_another_for_a_short_time(void **state)
{
    enum { HANGING = 8, LONG_MS = 3000 };
    struct kafka_mock *fixture = *state;
    for (int i = 0; i < HANGING; i++) {
        _cleanup_(memory_free) char *group = text_format("hanging-%d", i);
        add_large_group(fixture, group, 3);
    }
    add_large_group(fixture, "healthy", 2);
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    note_large_groups(fixture, LIMIT / 2);
    kafka_mock_hang(fixture, 3, true);
    test_feed_set_timeout(fixture->feed, 2000);
    int64_t began_ms = clock_now_ms();
    kafka_mock_run_again(fixture);
    assert_waiting(fixture->feed, HANGING, 0);
    assert_true(test_feed_task(fixture->feed, HANGING)->sent_ms - began_ms < LONG_MS);
    for (size_t i = 0; i < HANGING; i++)
        assert_ended_with(fixture->feed, i, TASK_TIMED_OUT, "Kafka group hanging");
    /* They are known now, and delay nobody that answers, isolated or not. */
    test_feed_task(fixture->feed, HANGING)->task.isolate = true;
    note_large_groups(fixture, LIMIT / 2);
    began_ms = clock_now_ms();
    kafka_mock_run_again(fixture);
    assert_waiting(fixture->feed, HANGING, 0);
    assert_int_equal(test_feed_task(fixture->feed, HANGING)->order, 1);
    assert_true(test_feed_task(fixture->feed, HANGING)->sent_ms - began_ms < 1000);
}

/* How many partitions it has is found out when its topics are known: there is no space for them. */
static void a_group_with_more_partitions_than_there_is_space_for_waits(void **state)
{
    struct kafka_mock *fixture = *state;
    const int rtt_ms = 300;
    kafka_mock_create_topic(fixture, "wide", GUESS + 1, 1);
    kafka_mock_produce(fixture, "wide", KAFKA_MOCK_MESSAGES);
    add_large_group(fixture, "large", 2);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "wide", "wide", 1));
    kafka_mock_connect(fixture);
    note_large_groups(fixture, LIMIT - GUESS);
    kafka_mock_set_rtt(fixture, 2, rtt_ms);
    test_feed_set_timeout(fixture->feed, 5000);
    assert_true(kafka_mock_measure(fixture));
    assert_waiting(fixture->feed, 0, 0);
    kafka_mock_assert_answered(fixture, 1);
    assert_int_equal(test_feed_task(fixture->feed, 1)->order, 2);
    assert_int_equal(test_feed_task(fixture->feed, 1)->started, 1);
}

/* A group takes space for what its topics have, before it is known which of that is requested. */
static void what_fails_at_once_or_is_not_requested_takes_no_space(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_create_topic(fixture, "wide", LIMIT / 2 + 1, 1);
    kafka_mock_produce(fixture, "wide", KAFKA_MOCK_MESSAGES);
    kafka_mock_add(fixture, kafka_mock_query_of(fixture, "failing", "wide", "10000", 2));
    kafka_mock_add(fixture, kafka_mock_query_of(fixture, "first", "wide", "0", 2));
    kafka_mock_add(fixture, kafka_mock_query_of(fixture, "second", "wide", "0", 2));
    kafka_mock_connect(fixture);
    test_feed_set_timeout(fixture->feed, 5000);
    assert_true(kafka_mock_measure(fixture));
    assert_ended_with(fixture->feed, 0, TASK_FAILED, "none of them is in partitionLimitation");
    for (size_t i = 1; i < 3; i++) {
        kafka_mock_assert_answered(fixture, i);
        assert_int_equal(test_feed_task(fixture->feed, i)->returned, 0);
    }
}

/* The first side has space for others. It asks for all of its topic, and requests one partition. */
static void a_silent_group_that_waits_for_others_limits_no_tasks(void **state)
{
    enum { WIDE = 1000 };
    struct kafka_mock *fixture = *state;
    kafka_mock_create_topic(fixture, "wide", WIDE, 1);
    add_large_group(fixture, "hanging", 3);
    kafka_mock_add(fixture, kafka_mock_query_of(fixture, "limited", "wide", "0", 3));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    struct kafka_space *space = &((struct kafka_session *)fixture->client)->space;
    space->usual_ms = 1; /* both are soon silent */
    kafka_mock_hang(fixture, 3, true);
    /* Long enough for the metadata of a thousand partitions on a busy machine. */
    test_feed_set_timeout(fixture->feed, 2500);
    for (size_t i = 0; i < 2; i++) {
        bool is_full = i == 1;
        note_large_groups(fixture, is_full ? LIMIT - WIDE : LIMIT / 2);
        kafka_mock_run_again(fixture);
        assert_ended_with(fixture->feed, 0, TASK_TIMED_OUT, "Kafka group hanging");
        assert_ended_with(fixture->feed, 1, TASK_TIMED_OUT, "Kafka group limited");
        assert_int_equal(test_feed_task(fixture->feed, 1)->returned, is_full);
    }
    assert_int_equal(kafka_space_max_tasks(space), SIZE_MAX);
}

/* Its call for offsets goes on when its batch is gone. */
static void a_task_that_fails_leaves_its_offsets(void **state)
{
    enum { OFFSET_FETCH = 9 };
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "slow", 3);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "slow", 2));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_set_rtt(fixture, 3, KAFKA_MOCK_TIMEOUT_MS / 2);
    rd_kafka_mock_push_request_errors(fixture->cluster, OFFSET_FETCH, 1,
                                      RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
    kafka_mock_run_again(fixture);
    kafka_mock_assert_failed(fixture, 0, "uthorization");
    kafka_mock_run_again(fixture);
    kafka_mock_assert_answered(fixture, 0);
}

static void assert_partitions(struct kafka_mock *fixture, size_t index, double count)
{
    kafka_mock_assert_answered(fixture, index);
    assert_float_equal(test_feed_task(fixture->feed, index)->reading.partitions, count, 0);
}

/* As after a reconnect: the isolated batch begins while the request of the other one is under way.
 */
static void an_isolated_pattern_is_answered_beside_another(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "alpha-1", 1);
    kafka_mock_add_topic(fixture, "beta-1", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "^alpha-", 2));
    kafka_mock_add(fixture, kafka_mock_query(fixture, "others", "^beta-", 2));
    kafka_mock_connect(fixture);
    test_feed_task(fixture->feed, 1)->task.isolate = true;
    assert_true(kafka_mock_measure(fixture));
    assert_partitions(fixture, 0, 1);
    assert_partitions(fixture, 1, 1);
}

/* Has handles that do not end, as no thread destroys them. */
static void add_endings(struct kafka_client *client, size_t count, int64_t ended_ms)
{
    for (size_t i = 0; i < count; i++) {
        _cleanup_(error_done) struct error error = {0};
        rd_kafka_t *rk = kafka_handles_new_handle(
            &client->handles, rd_kafka_conf_dup(client->settings), false, 0, &error);
        assert_non_null(rk);
        kafka_mock_allow_threads(false);
        kafka_handles_end(&client->handles, rk, NULL, ended_ms);
        kafka_mock_allow_threads(true);
    }
}

/* A handle is the call that destroys it, which runs once: first all that have a thread end. */
static void end_endings(struct kafka_handles *handles)
{
    kafka_background_wait(handles->closing, CLOCK_NEVER);
    kafka_handles_poll(handles);
    while (handles->endings != NULL) {
        assert_true(kafka_background_start(handles->closing,
                                           (struct kafka_background_call *)handles->endings));
        kafka_background_wait(handles->closing, CLOCK_NEVER);
        kafka_handles_poll(handles);
    }
}

/* With four as soon as no task is under way; with eight at once. */
static void a_client_with_connections_that_do_not_end_is_given_up(void **state)
{
    enum { STUCK_MS = 10 * 1000 };
    static const struct {
        size_t stuck;
        bool is_usable, is_answered;
    } rows[] = {{3, true, true}, {4, false, true}, {7, false, true}, {8, false, false}};
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_connect(fixture);
    struct kafka_client *client = &((struct kafka_session *)fixture->client)->client;
    add_endings(client, 1, clock_now_ms() + KAFKA_MOCK_HANG_MS); /* has time left */
    size_t stuck = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        _cleanup_(error_done) struct error error = {0};
        add_endings(client, rows[i].stuck - stuck, clock_now_ms() - STUCK_MS);
        stuck = rows[i].stuck;
        kafka_client_clear_errors(client);
        error_unavailable(&client->last_error, "a broker refused"); /* of earlier */
        test_feed_again(fixture->feed);
        assert_int_equal(
            test_feed_run(fixture->feed, fixture->client, KAFKA_MOCK_WITHIN_MS, &error),
            rows[i].is_usable);
        assert_int_equal(test_feed_task(fixture->feed, 0)->ended, rows[i].is_answered);
        if (rows[i].is_answered)
            kafka_mock_assert_answered(fixture, 0);
        if (!rows[i].is_usable)
            assert_true(text_ends_with(error_text(&error), ": old connections do not end"));
    }
    end_endings(&client->handles);
}

enum { TASK_BYTES = 10000 }; /* more than a task and its batch take */

/* A trigger needed a topic that has no room beside them. There is no memory for a second handle,
 * either, or a renewal would give their room back. */
static void a_client_that_unused_topics_fill_is_given_up(void **state)
{
    enum { FORMER = 1000, EARLIER_MS = 10000 };
    static char former[] = "former";
    static const struct {
        double missing_bytes;
        bool is_ending, is_usable;
    } rows[] = {{2 * TASK_BYTES, true, true}, {2 * TASK_BYTES, false, false}, {0, false, true}};
    const rd_kafka_metadata_topic_t listed = {.topic = former, .partition_cnt = FORMER};
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    struct kafka_session *session = fixture->client;
    struct kafka_client *client = &session->client;
    struct kafka_topics *topics = kafka_metadata_topics(session->metadata);
    assert_non_null(kafka_topics_for_listed(topics, &listed, 1));
    kafka_metadata_forget_old(session->metadata, KAFKA_FORGET_MS + 2);
    kafka_topics_note_refused(topics);
    assert_int_equal(client->memory.partitions, FORMER + 1 + 2 * KAFKA_MEMORY_TOPIC);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        _cleanup_(error_done) struct error error = {0};
        if (rows[i].is_ending)
            add_endings(client, 1, clock_now_ms() + KAFKA_MOCK_HANG_MS);
        client->opened_ms -= EARLIER_MS;
        session->renewal_at_ms = 0;
        client->memory.mappable_bytes = kafka_mock_taken(client) +
                                        (1 + KAFKA_MEMORY_TOPIC) * KAFKA_MEMORY_PER_PARTITION +
                                        kafka_memory_of_handle(&client->memory) +
                                        KAFKA_MEMORY_FREE + TASK_BYTES - rows[i].missing_bytes;
        test_feed_again(fixture->feed);
        test_feed_stay(fixture->feed, 100); /* as the server calls again at once */
        assert_int_equal(
            test_feed_run(fixture->feed, fixture->client, KAFKA_MOCK_WITHIN_MS, &error),
            rows[i].is_usable);
        kafka_mock_assert_answered(fixture, 0);
        if (!rows[i].is_usable)
            assert_non_null(strstr(error_text(&error),
                                   ": topics that no trigger uses any more take its memory"));
        end_endings(&client->handles);
    }
    assert_int_equal(client->memory.partitions, 1 + KAFKA_MEMORY_TOPIC);
}

static void an_isolated_task_does_with_the_main_handle_where_there_is_no_memory(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    struct kafka_client *client = &((struct kafka_session *)fixture->client)->client;
    client->memory.mappable_bytes = kafka_mock_taken(client) + TASK_BYTES;
    struct task *task = &test_feed_task(fixture->feed, 0)->task;
    task->isolate = true;
    kafka_mock_run_again(fixture);
    kafka_mock_assert_answered(fixture, 0);
    /* Its call hangs there. The next task fails: a time-out would be the coordinator's fault. */
    kafka_mock_hang(fixture, 2, true);
    test_feed_set_timeout(fixture->feed, KAFKA_MOCK_TIMEOUT_MS);
    kafka_mock_run_again(fixture);
    assert_ended_with(fixture->feed, 0, TASK_TIMED_OUT, "Kafka group workers");
    kafka_mock_run_again(fixture);
    kafka_mock_assert_failed(fixture, 0, "no memory for a further connection to each Kafka broker");
}

/* It would fail, though its turn on the main handle comes in a moment. */
static void without_memory_an_isolated_task_waits_for_its_group(void **state)
{
    struct kafka_mock *fixture = *state;
    _cleanup_(error_done) struct error error = {0};
    struct kafka_commits_request request = {.group = "workers"};
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    struct kafka_session *session = fixture->client;
    const double all_bytes = session->client.memory.mappable_bytes;
    const int64_t now_ms = clock_now_ms();
    kafka_mock_hang(fixture, 2, true);
    assert_true(kafka_commits_send(session->commits, &request, NULL, now_ms, &error));
    assert_true(kafka_commits_is_free(session->commits, "workers", true, now_ms));
    session->client.memory.mappable_bytes = kafka_mock_taken(&session->client) + TASK_BYTES;
    assert_false(kafka_commits_is_free(session->commits, "workers", true, now_ms));
    assert_true(kafka_commits_is_free(session->commits, "workers", true, now_ms + 1000));
    session->client.memory.mappable_bytes = all_bytes;
    kafka_commits_cancel(session->commits, &request);
}

/* Measures once after the coordinator has moved, so long after the client was opened, where so many
 * bytes are missing for another handle. */
static bool measure_moved(struct kafka_mock *fixture, int64_t opened_for_ms, double missing_bytes,
                          struct error *error)
{
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    struct kafka_client *client = &((struct kafka_session *)fixture->client)->client;
    client->opened_ms -= opened_for_ms;
    client->memory.mappable_bytes = kafka_mock_taken(client) +
                                    kafka_memory_of_handle(&client->memory) +
                                    kafka_memory_kept(&client->memory) + TASK_BYTES - missing_bytes;
    kafka_mock_make_stale(fixture, 1);
    test_feed_again(fixture->feed);
    return test_feed_run(fixture->feed, fixture->client, KAFKA_MOCK_WITHIN_MS, error);
}

static void a_moved_coordinator_is_asked_where_there_is_memory_for_one_handle(void **state)
{
    _cleanup_(error_done) struct error error = {0};
    struct kafka_mock *fixture = *state;
    assert_true(measure_moved(fixture, 60000, 0, &error));
    kafka_mock_assert_answered(fixture, 0);
}

/* Fetchers, for one, have the memory that another handle needs. A new process has none at first. */
static void a_client_that_cannot_ask_a_moved_coordinator_is_given_up(void **state)
{
    _cleanup_(error_done) struct error error = {0};
    assert_false(measure_moved(*state, 60000, 2 * TASK_BYTES, &error));
    assert_non_null(
        strstr(error_text(&error), ": coordinators have moved or hang, and no memory is left"));
}

static void a_young_client_that_cannot_ask_a_moved_coordinator_is_kept(void **state)
{
    _cleanup_(error_done) struct error error = {0};
    struct kafka_mock *fixture = *state;
    assert_true(measure_moved(fixture, 30000, 2 * TASK_BYTES, &error));
    kafka_mock_assert_failed(fixture, 0, "oordinator");
    struct kafka_session *session = fixture->client;
    assert_true(kafka_commits_has_no_handle(session->commits));
    session->client.memory.mappable_bytes += 2 * TASK_BYTES; /* the second handle can be made */
    assert_false(kafka_commits_has_no_handle(session->commits));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kafka_mock_set_up, kafka_mock_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_lag_is_measured),
        TEST(a_coordinator_that_hangs_delays_no_other_group),
        TEST(a_leader_that_hangs_delays_no_other_topic),
        TEST(a_leader_that_no_thread_is_left_for_is_not_blamed),
        TEST(a_leader_without_a_thread_is_not_blamed),
        TEST(new_tasks_are_taken_while_a_group_hangs),
        TEST(large_groups_are_measured_one_after_the_other),
        TEST(a_large_group_is_measured_while_small_ones_come_and_go),
        TEST(a_task_that_waits_for_space_has_its_time_afterwards),
        TEST(a_large_group_that_hangs_does_not_fail_the_others),
        TEST(large_groups_that_hang_delay_another_for_a_short_time),
        TEST(a_group_with_more_partitions_than_there_is_space_for_waits),
        TEST(what_fails_at_once_or_is_not_requested_takes_no_space),
        TEST(a_silent_group_that_waits_for_others_limits_no_tasks),
        TEST(a_task_that_fails_leaves_its_offsets),
        TEST(an_isolated_pattern_is_answered_beside_another),
        TEST(a_client_with_connections_that_do_not_end_is_given_up),
        TEST(a_client_that_unused_topics_fill_is_given_up),
        TEST(an_isolated_task_does_with_the_main_handle_where_there_is_no_memory),
        TEST(without_memory_an_isolated_task_waits_for_its_group),
        TEST(a_moved_coordinator_is_asked_where_there_is_memory_for_one_handle),
        TEST(a_client_that_cannot_ask_a_moved_coordinator_is_given_up),
        TEST(a_young_client_that_cannot_ask_a_moved_coordinator_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
