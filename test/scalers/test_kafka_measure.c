/* Measuring against librdkafka's mock cluster: brokers that hang, and what they must not delay. */
#include "base/clock.h"
#include "base/memory.h"
#include "kafka/client/background.h"
#include "kafka/session.h"
#include "scalers/ended.h"
#include "scalers/kafka_mock.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
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

/* Or no thread can be started from now on: none has the memory for such a stack. */
static void allow_threads(bool does)
{
    static size_t usual_bytes;
    pthread_attr_t attributes;
    pthread_getattr_default_np(&attributes);
    if (usual_bytes == 0)
        pthread_attr_getstacksize(&attributes, &usual_bytes);
    pthread_attr_setstacksize(&attributes, does ? usual_bytes : SIZE_MAX / 4 + 1);
    pthread_setattr_default_np(&attributes);
    pthread_attr_destroy(&attributes);
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
    allow_threads(false);
    kafka_mock_run_again(fixture);
    allow_threads(true);
    assert_ended_with(fixture->feed, 0, TASK_TIMED_OUT,
                      "partition 0 of Kafka topic jobs: no thread can be started, so that broker 1 "
                      "was sent nothing within 600 ms");
    assert_false(jobs->is_outdated);
    kafka_mock_run_again(fixture);
    kafka_mock_assert_answered(fixture, 0);
}

static void *allow_threads_soon(void *opaque)
{
    (void)opaque;
    usleep(300 * 1000);
    allow_threads(true);
    return NULL;
}

/* Though nothing else wakes the loop. */
static void a_request_for_metadata_without_a_thread_is_sent_again(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_connect(fixture);
    pthread_t thread;
    test_feed_set_timeout(fixture->feed, 6000);
    pthread_create(&thread, NULL, allow_threads_soon, NULL);
    allow_threads(false);
    bool goes_on = kafka_mock_measure(fixture);
    pthread_join(thread, NULL);
    assert_true(goes_on);
    kafka_mock_assert_answered(fixture, 0);
}

static void a_task_says_that_its_request_for_metadata_had_no_thread(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_connect(fixture);
    test_feed_set_timeout(fixture->feed, KAFKA_MOCK_TIMEOUT_MS);
    allow_threads(false);
    bool goes_on = kafka_mock_measure(fixture);
    allow_threads(true);
    assert_true(goes_on);
    assert_ended_with(fixture->feed, 0, TASK_TIMED_OUT,
                      "no metadata of Kafka within 600 ms; the last failure: no thread can be "
                      "started for a request");
}

enum { FIRST_REQUEST_MS = 1900 }; /* all of its tries */

static void *end_outage(void *opaque)
{
    struct kafka_mock *fixture = opaque;
    usleep(FIRST_REQUEST_MS * 1000);
    for (int32_t broker = 1; broker <= KAFKA_MOCK_BROKERS; broker++)
        kafka_mock_hang(fixture, broker, false);
    return NULL;
}

static void outlast_an_outage(struct kafka_mock *fixture, const char *topic)
{
    pthread_t thread;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", topic, 2));
    kafka_mock_connect(fixture);
    for (int32_t broker = 1; broker <= KAFKA_MOCK_BROKERS; broker++)
        kafka_mock_hang(fixture, broker, true);
    test_feed_set_timeout(fixture->feed, 6000);
    pthread_create(&thread, NULL, end_outage, fixture);
    assert_true(kafka_mock_measure(fixture));
    pthread_join(thread, NULL);
    kafka_mock_assert_answered(fixture, 0);
}

/* Also where the tasks of one batch wait for it, before anything else is sent. */
static void a_request_for_metadata_that_fails_is_sent_again(void **state)
{
    outlast_an_outage(*state, "jobs");
}

static void a_listing_that_fails_is_sent_again(void **state)
{
    outlast_an_outage(*state, "^jobs$");
}

static void a_task_without_metadata_says_why_its_request_failed(void **state)
{
    enum { ONE_REQUEST_MS = FIRST_REQUEST_MS + 600 };
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_connect(fixture);
    const struct kafka_session *session = fixture->client;
    for (int32_t broker = 1; broker <= KAFKA_MOCK_BROKERS; broker++)
        kafka_mock_hang(fixture, broker, true);
    test_feed_set_timeout(fixture->feed, ONE_REQUEST_MS);
    assert_true(kafka_mock_measure(fixture));
    assert_ended_with(fixture->feed, 0, TASK_TIMED_OUT,
                      "no metadata of Kafka within 2500 ms; the last failure: Kafka at ");
    assert_ended_with(fixture->feed, 0, TASK_TIMED_OUT,
                      ": no broker answers a request for metadata: Local: Timed out");
    for (int32_t broker = 1; broker <= KAFKA_MOCK_BROKERS; broker++)
        kafka_mock_hang(fixture, broker, false);
    test_feed_set_timeout(fixture->feed, KAFKA_MOCK_WITHIN_MS);
    kafka_mock_run_again(fixture);
    kafka_mock_assert_answered(fixture, 0);
    assert_false(error_is_set(kafka_metadata_failure(session->metadata, KAFKA_METADATA_TOPICS)));
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

/* It was deleted, or the broker has just started: the next list of all topics tells, and is not
 * waited for until it is due. */
static void a_patterns_topic_that_a_broker_does_not_know_is_listed_again(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs-1", 1);
    kafka_mock_add_topic(fixture, "jobs-2", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "^jobs-", 2));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    assert_waiting(fixture->feed, 0, 2 * (double)KAFKA_MOCK_MESSAGES);
    struct kafka_metadata *metadata = ((struct kafka_session *)fixture->client)->metadata;
    rd_kafka_mock_topic_set_error(fixture->cluster, "jobs-2",
                                  RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    kafka_topics_outdate(
        kafka_metadata_topics(metadata),
        kafka_topics_for(kafka_metadata_topics(metadata), "jobs-2", clock_now_ms()));
    kafka_mock_run_again(fixture);
    kafka_mock_assert_failed(fixture, 0, "Kafka topic jobs-2 does not exist");
    assert_true(kafka_metadata_needs_listing(metadata, "^jobs-", 0)); /* though the last is new */
    rd_kafka_mock_topic_set_error(fixture->cluster, "jobs-2", RD_KAFKA_RESP_ERR_NO_ERROR);
    kafka_mock_run_again(fixture);
    assert_waiting(fixture->feed, 0, 2 * (double)KAFKA_MOCK_MESSAGES);
    assert_false(kafka_metadata_needs_listing(metadata, "^jobs-", 0));
}

static void a_partition_without_a_leader_fails_only_who_counts_it(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_create_topic(fixture, "jobs", 2, 1);
    kafka_mock_produce(fixture, "jobs", KAFKA_MOCK_MESSAGES); /* to partition 0 */
    kafka_mock_set_leader(fixture, "jobs", 1, -1);
    kafka_mock_add(fixture, kafka_mock_query_of(fixture, "workers", "jobs", "1", 2));
    kafka_mock_add(fixture, kafka_mock_query_of(fixture, "workers", "jobs", "0", 2));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_assert_failed(fixture, 0, "partition 1 for group workers: Broker: Leader not");
    kafka_mock_assert_answered(fixture, 1);
}

static void a_pattern_with_too_many_partitions_fails_each_time(void **state)
{
    struct kafka_mock *fixture = *state;
    static const char *const names[] = {"large-1", "large-2", "large-3"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        kafka_mock_create_topic(fixture, names[i], 12000, 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "^large", 2));
    test_feed_set_timeout(fixture->feed, KAFKA_MOCK_WITHIN_MS); /* the reply is large */
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_assert_failed(fixture, 0, "more than 25000 partitions");
    kafka_mock_run_again(fixture);
    kafka_mock_assert_failed(fixture, 0, "more than 25000 partitions");
}

static void a_cluster_that_is_gone_is_lost(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    for (int32_t broker = 1; broker <= KAFKA_MOCK_BROKERS; broker++)
        rd_kafka_mock_broker_set_down(fixture->cluster, broker);
    bool is_usable = true;
    for (int64_t deadline_ms = clock_now_ms() + KAFKA_MOCK_WITHIN_MS;
         is_usable && clock_now_ms() < deadline_ms;) {
        test_feed_again(fixture->feed);
        is_usable = kafka_mock_measure(fixture);
    }
    assert_false(is_usable);
    for (int32_t broker = 1; broker <= KAFKA_MOCK_BROKERS; broker++)
        rd_kafka_mock_broker_set_up(fixture->cluster, broker);
}

/* Has handles that do not end, as no thread destroys them. */
static void add_endings(struct kafka_client *client, size_t count, int64_t ended_ms)
{
    for (size_t i = 0; i < count; i++) {
        _cleanup_(error_done) struct error error = {0};
        rd_kafka_t *rk =
            kafka_handles_new_handle(&client->handles, rd_kafka_conf_dup(client->settings), &error);
        assert_non_null(rk);
        allow_threads(false);
        kafka_handles_end(&client->handles, rk, NULL, ended_ms);
        allow_threads(true);
    }
}

/* A handle is the call that destroys it. */
static void end_endings(struct kafka_handles *handles)
{
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
        test_feed_again(fixture->feed);
        assert_int_equal(
            test_feed_run(fixture->feed, fixture->client, KAFKA_MOCK_WITHIN_MS, &error),
            rows[i].is_usable);
        assert_int_equal(test_feed_task(fixture->feed, 0)->ended, rows[i].is_answered);
        if (rows[i].is_answered)
            kafka_mock_assert_answered(fixture, 0);
        if (!rows[i].is_usable)
            assert_non_null(strstr(error_text(&error), ": old connections do not end"));
    }
    end_endings(&client->handles);
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
        TEST(a_request_for_metadata_without_a_thread_is_sent_again),
        TEST(a_task_says_that_its_request_for_metadata_had_no_thread),
        TEST(a_request_for_metadata_that_fails_is_sent_again),
        TEST(a_listing_that_fails_is_sent_again),
        TEST(a_task_without_metadata_says_why_its_request_failed),
        TEST(a_new_leader_is_found_though_an_older_answer_came),
        TEST(a_new_leader_of_a_patterns_topic_is_found),
        TEST(a_patterns_topic_that_a_broker_does_not_know_is_listed_again),
        TEST(a_partition_without_a_leader_fails_only_who_counts_it),
        TEST(a_pattern_with_too_many_partitions_fails_each_time),
        TEST(a_cluster_that_is_gone_is_lost),
        TEST(a_client_with_connections_that_do_not_end_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
