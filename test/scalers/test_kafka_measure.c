/* Measuring against librdkafka's mock cluster: brokers that hang, and what they must not delay. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "kafka/measure/session.h"
#include "kafka/options.h"
#include "scalers/ended.h"
#include "scalers/kafka_mock.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static void hang(struct kafka_mock *fixture, int32_t broker, bool does)
{
    rd_kafka_mock_broker_set_rtt(fixture->cluster, broker, does ? KAFKA_MOCK_HANG_MS : 0);
}

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
    hang(fixture, 3, true);
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
    hang(fixture, 3, true);
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
    for (int32_t broker = 2; broker <= BROKERS; broker++) {
        _cleanup_(memory_free) char *topic = text_format("lost-%d", broker);
        rd_kafka_mock_topic_create(fixture->cluster, topic, 1, 1);
        rd_kafka_mock_partition_set_leader(fixture->cluster, topic, 0, broker);
    }
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "^lost-", 1));
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 1));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_assert_answered(fixture, 1);
    /* Metadata is not needed again, however busy the machine is. */
    struct kafka_metadata *metadata = ((struct kafka_session *)fixture->client)->metadata;
    int64_t later_ms = clock_now_ms() + KAFKA_MOCK_HANG_MS;
    struct kafka_topic *jobs = kafka_topics_for(kafka_metadata_topics(metadata), "jobs", later_ms);
    jobs->received_ms = later_ms;
    kafka_patterns_for(kafka_metadata_patterns(metadata), "^lost-", later_ms)->received_ms =
        later_ms;
    for (int32_t broker = 2; broker <= BROKERS; broker++)
        hang(fixture, broker, true);
    test_feed_set_timeout(fixture->feed, KAFKA_MOCK_TIMEOUT_MS);
    kafka_mock_run_again(fixture);
    for (int32_t broker = 2; broker <= BROKERS; broker++)
        hang(fixture, broker, false);
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
        hang(fixture, broker, false);
    return NULL;
}

static void outlast_an_outage(struct kafka_mock *fixture, const char *topic)
{
    pthread_t thread;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", topic, 2));
    kafka_mock_connect(fixture);
    for (int32_t broker = 1; broker <= KAFKA_MOCK_BROKERS; broker++)
        hang(fixture, broker, true);
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
        hang(fixture, broker, true);
    test_feed_set_timeout(fixture->feed, ONE_REQUEST_MS);
    assert_true(kafka_mock_measure(fixture));
    assert_ended_with(fixture->feed, 0, TASK_TIMED_OUT,
                      "no metadata of Kafka within 2500 ms; the last failure: Kafka at ");
    assert_ended_with(fixture->feed, 0, TASK_TIMED_OUT,
                      ": no broker answers a request for metadata: Local: Timed out");
    for (int32_t broker = 1; broker <= KAFKA_MOCK_BROKERS; broker++)
        hang(fixture, broker, false);
    test_feed_set_timeout(fixture->feed, KAFKA_MOCK_WITHIN_MS);
    kafka_mock_run_again(fixture);
    kafka_mock_assert_answered(fixture, 0);
    assert_false(error_is_set(kafka_metadata_failure(session->metadata, KAFKA_METADATA_TOPICS)));
}

static void set_leader(struct kafka_mock *fixture, const char *topic, int32_t broker)
{
    rd_kafka_mock_partition_set_leader(fixture->cluster, topic, 0, broker);
}

/* The isolated task's request for metadata is under way when the other one's leader turns out to be
 * none: its answer is of before. */
static void a_new_leader_is_found_though_an_older_answer_came(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add_topic(fixture, "others", 1);
    set_leader(fixture, "jobs", -1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_add(fixture, kafka_mock_query(fixture, "isolated", "others", 3));
    test_feed_task(fixture->feed, 1)->task.isolate = true;
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_assert_failed(fixture, 0, "Leader not available");
    kafka_mock_assert_answered(fixture, 1);
    set_leader(fixture, "jobs", 1);
    kafka_mock_run_again(fixture);
    kafka_mock_assert_answered(fixture, 0);
}

static void a_new_leader_of_a_patterns_topic_is_found(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    set_leader(fixture, "jobs", -1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "^jobs$", 2));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_assert_failed(fixture, 0, "Leader not available");
    kafka_mock_run_again(fixture);
    kafka_mock_assert_failed(fixture, 0, "Leader not available");
    set_leader(fixture, "jobs", 1);
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
    rd_kafka_mock_topic_create(fixture->cluster, "jobs", 2, 1);
    kafka_mock_produce(fixture, "jobs", KAFKA_MOCK_MESSAGES); /* to partition 0 */
    rd_kafka_mock_partition_set_leader(fixture->cluster, "jobs", 1, -1);
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
        rd_kafka_mock_topic_create(fixture->cluster, names[i], 12000, 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "^large", 2));
    test_feed_set_timeout(fixture->feed, KAFKA_MOCK_WITHIN_MS); /* the reply is large */
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_assert_failed(fixture, 0, "more than 25000 partitions");
    kafka_mock_run_again(fixture);
    kafka_mock_assert_failed(fixture, 0, "more than 25000 partitions");
}

/* Without a time-out of its own, the library goes on waiting for the old coordinator. */
static void a_group_whose_coordinator_moved_is_answered_on_another_handle(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "moved", "jobs", 3));
    kafka_mock_connect(fixture);
    struct kafka_session *session = fixture->client;
    session->renewal_ms = CLOCK_NEVER; /* there is none here, however long it takes */
    assert_true(kafka_mock_measure(fixture));
    hang(fixture, 3, true);
    rd_kafka_mock_coordinator_set(fixture->cluster, "group", "moved", 2);
    int64_t began_ms = clock_now_ms();
    test_feed_set_timeout(fixture->feed, 5000);
    kafka_mock_run_again(fixture);
    kafka_mock_assert_answered(fixture, 0);
    assert_true(clock_now_ms() - began_ms >= 1000); /* the main handle had its chance */
    assert_true(kafka_commits_needs_renewal(session->commits));
    /* From now on at once. */
    began_ms = clock_now_ms();
    kafka_mock_run_again(fixture);
    kafka_mock_assert_answered(fixture, 0);
    assert_true(clock_now_ms() - began_ms < 1000);
    /* Once it is idle the other handle ends. */
    enum { IDLE_MS = 61 * 1000 };
    size_t endings = kafka_client_stuck(&session->client, CLOCK_NEVER); /* all there are */
    kafka_commits_maintain(session->commits, clock_now_ms() + IDLE_MS);
    assert_int_equal(kafka_client_stuck(&session->client, CLOCK_NEVER), endings + 1);
}

/* So many brokers in a row say that they are not the coordinator of the next groups' commits. */
static void make_stale(struct kafka_mock *fixture, size_t count)
{
    enum { OFFSET_FETCH = 9, MAX = 8 };
    rd_kafka_resp_err_t errors[MAX];
    assert_true(count <= MAX);
    for (size_t i = 0; i < count; i++)
        errors[i] = RD_KAFKA_RESP_ERR_NOT_COORDINATOR;
    rd_kafka_mock_push_request_errors_array(fixture->cluster, OFFSET_FETCH, count, errors);
}

/* By the main handle and the second one, for the one that takes its place; then by the second one
 * at once. */
static void a_group_whose_coordinator_is_elsewhere_is_sent_again_in_its_time(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "moved", "jobs", 3));
    kafka_mock_connect(fixture);
    for (size_t stale = 2; stale > 0; stale--) {
        make_stale(fixture, stale);
        kafka_mock_run_again(fixture);
        kafka_mock_assert_answered(fixture, 0);
    }
}

static void a_group_that_no_broker_coordinates_fails(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "moved", "jobs", 3));
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_connect(fixture);
    for (int i = 0; i < 2; i++) { /* by the same handles, too */
        test_feed_task(fixture->feed, 1)->task.isolate = i == 1;
        make_stale(fixture, 6);
        kafka_mock_run_again(fixture);
        for (size_t task = 0; task < 2; task++)
            kafka_mock_assert_failed(fixture, task, "oordinator");
    }
    test_feed_again(fixture->feed);
    rd_kafka_mock_clear_request_errors(fixture->cluster, 9);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_assert_answered(fixture, 0);
    kafka_mock_assert_answered(fixture, 1);
}

/* For each handle that is made from now on. Returns the settings that work. */
static rd_kafka_conf_t *break_settings(struct kafka_session *session)
{
    char reason[256];
    rd_kafka_conf_t *good = session->client.settings;
    session->client.settings = rd_kafka_conf_dup(good);
    rd_kafka_conf_set(session->client.settings, "security.protocol", "ssl", reason, sizeof(reason));
    rd_kafka_conf_set(session->client.settings, "ssl.ca.location", "/missing", reason,
                      sizeof(reason));
    return good;
}

static void calls_go_on_where_no_new_handle_can_be_had(void **state)
{
    enum { LATER_MS = 10000 };
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "moved", "jobs", 2));
    const void *silent = kafka_mock_query(fixture, "silent", "jobs", 3);
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    struct kafka_session *session = fixture->client;
    const rd_kafka_t *handle = session->client.rk;
    rd_kafka_conf_t *good = break_settings(session);
    make_stale(fixture, 1);
    kafka_mock_run_again(fixture);
    kafka_mock_assert_failed(fixture, 0, "oordinator");
    hang(fixture, 3, true);
    test_feed_set_timeout(fixture->feed, KAFKA_MOCK_TIMEOUT_MS);
    kafka_mock_add(fixture, silent);
    assert_true(kafka_mock_measure(fixture));
    assert_ended_with(fixture->feed, 1, TASK_TIMED_OUT, "Kafka group silent");

    assert_true(kafka_commits_needs_renewal(session->commits));
    kafka_session_maintain(session, clock_now_ms() + LATER_MS);
    assert_ptr_equal(session->client.rk, handle);
    assert_false(kafka_commits_is_free(session->commits, "silent", false, 0)); /* on that handle */
    assert_true(kafka_commits_needs_renewal(session->commits));

    rd_kafka_conf_destroy(session->client.settings);
    session->client.settings = good;
    kafka_session_maintain(session, clock_now_ms() + LATER_MS); /* too soon */
    assert_ptr_equal(session->client.rk, handle);
    assert_null(session->client.endings);
    kafka_session_maintain(session, clock_now_ms() + INT64_C(2) * LATER_MS);
    assert_ptr_not_equal(session->client.rk, handle);
    assert_non_null(session->client.endings); /* the former one ends */
    assert_true(kafka_commits_is_free(session->commits, "silent", false, 0));
}

static void a_group_that_timed_out_is_right_once_it_has_a_coordinator(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "silent", "jobs", 3));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    hang(fixture, 3, true);
    test_feed_set_timeout(fixture->feed, KAFKA_MOCK_TIMEOUT_MS);
    for (int i = 0; i < 2; i++) {
        kafka_mock_run_again(fixture);
        assert_ended_with(fixture->feed, 0, TASK_TIMED_OUT, "Kafka group silent");
    }
    rd_kafka_mock_coordinator_set(fixture->cluster, "group", "silent", 2);
    test_feed_set_timeout(fixture->feed, 5000);
    kafka_mock_run_again(fixture);
    kafka_mock_assert_answered(fixture, 0);
}

/* The group's call is under way from before, and so the task is never sent. Nobody could commit
 * meanwhile, either. */
static void lag_is_not_persistent_after_a_wait_for_a_coordinator(void **state)
{
    enum { TRIES = 6, STUCK_MS = 60000 };
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    const void *options = kafka_mock_query(fixture, "silent", "jobs", 3);
    struct kafka_query *query = (struct kafka_query *)options;
    query->exclude_persistent_lag = true;
    kafka_mock_add(fixture, query);
    kafka_mock_connect(fixture);
    struct kafka_session *session = fixture->client;
    assert_true(kafka_mock_measure(fixture));
    hang(fixture, 3, true);
    test_feed_set_timeout(fixture->feed, KAFKA_MOCK_TIMEOUT_MS);
    bool has_waited = false;
    for (int i = 0; i < TRIES && !has_waited; i++) {
        int64_t began_ms = clock_now_ms();
        struct kafka_persistence *persistence =
            kafka_persistence_for(&session->persistence, "silent", "jobs", 1);
        kafka_persistence_update(persistence, 0, 1, KAFKA_MOCK_MESSAGES, began_ms - STUCK_MS);
        const struct test_task *task = test_feed_task(fixture->feed, 0);
        size_t started = task->started;
        bool must_wait =
            !kafka_commits_is_free(session->commits, "silent", task->task.isolate, began_ms);
        kafka_mock_run_again(fixture);
        assert_ended_with(fixture->feed, 0, TASK_TIMED_OUT,
                          "Kafka group silent: its coordinator did not answer within 600 ms");
        persistence = kafka_persistence_for(&session->persistence, "silent", "jobs", 1);
        assert_int_equal(kafka_persistence_ms(persistence, 0, clock_now_ms()), 0);
        has_waited = must_wait && task->started == started;
    }
    assert_true(has_waited);
}

static void an_isolated_task_is_answered_like_any_other(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_connect(fixture);
    test_feed_task(fixture->feed, 0)->task.isolate = true;
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_assert_answered(fixture, 0);
    test_feed_task(fixture->feed, 0)->task.isolate = false;
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
    hang(fixture, 3, true);
    feed_set_max_tasks(test_feed_task(fixture->feed, 0)->task.feed, 2, 2);
    test_feed_set_timeout(fixture->feed, KAFKA_MOCK_TIMEOUT_MS);
    kafka_mock_run_again(fixture);
    assert_ended_with(fixture->feed, 0, TASK_TIMED_OUT, "Kafka group silent");
    assert_int_equal(test_feed_task(fixture->feed, 0)->order, 4);
    for (size_t i = 1; i < 4; i++)
        kafka_mock_assert_answered(fixture, i);
}

static void a_group_has_one_call_at_a_time(void **state)
{
    struct kafka_mock *fixture = *state;
    const int rtt_ms = 300;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add_topic(fixture, "more", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_add(fixture, kafka_mock_query(fixture, "quick", "jobs", 1));
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "more", 2));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    rd_kafka_mock_broker_set_rtt(fixture->cluster, 2, rtt_ms);
    test_feed_set_timeout(fixture->feed, 5000);
    /* The third comes when the second ends, while the first one's call is under way: it waits its
     * turn. */
    feed_set_max_tasks(test_feed_task(fixture->feed, 0)->task.feed, 2, 2);
    int64_t began_ms = clock_now_ms();
    kafka_mock_run_again(fixture);
    for (size_t i = 0; i < 3; i++)
        kafka_mock_assert_answered(fixture, i);
    assert_int_equal(test_feed_task(fixture->feed, 1)->order, 1);
    assert_true(clock_now_ms() - began_ms >= 2 * (int64_t)rtt_ms);
    /* Only what waited begins again: its reading is of then. */
    assert_int_equal(test_feed_task(fixture->feed, 0)->started, 0);
    assert_int_equal(test_feed_task(fixture->feed, 2)->started, 1);
}

static void a_cancelled_task_comes_again_isolated(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "silent", "jobs", 3));
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    hang(fixture, 3, true);
    test_feed_set_timeout(fixture->feed, KAFKA_MOCK_TIMEOUT_MS);
    test_feed_again(fixture->feed);
    test_feed_cancel(fixture->feed, 0);
    assert_true(kafka_mock_measure(fixture));
    const struct test_task *task = test_feed_task(fixture->feed, 0);
    assert_int_equal(task->returned, 1);
    assert_true(task->task.isolate);
    assert_ended_with(fixture->feed, 0, TASK_TIMED_OUT, "Kafka group silent");
    kafka_mock_assert_answered(fixture, 1);
}

/* Its call for offsets goes on when its batch is gone. */
static void a_task_that_is_cancelled_leaves_its_offsets(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "slow", 3);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "slow", 2));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    rd_kafka_mock_broker_set_rtt(fixture->cluster, 3, KAFKA_MOCK_TIMEOUT_MS / 2);
    test_feed_again(fixture->feed);
    test_feed_cancel(fixture->feed, 0);
    assert_true(kafka_mock_measure(fixture));
    assert_int_equal(test_feed_task(fixture->feed, 0)->returned, 1);
    kafka_mock_assert_answered(fixture, 0);
}

static void a_late_answer_is_nobodys(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "slow", "jobs", 3));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    rd_kafka_mock_broker_set_rtt(fixture->cluster, 3, KAFKA_MOCK_TIMEOUT_MS * 3 / 2);
    test_feed_set_timeout(fixture->feed, KAFKA_MOCK_TIMEOUT_MS);
    for (int i = 0; i < 2; i++) {
        kafka_mock_run_again(fixture);
        assert_ended_with(fixture->feed, 0, TASK_TIMED_OUT, "Kafka group slow");
    }
    rd_kafka_mock_broker_set_rtt(fixture->cluster, 3, 0);
    test_feed_set_timeout(fixture->feed, 5000);
    kafka_mock_run_again(fixture);
    kafka_mock_assert_answered(fixture, 0);
}

static void on_notification(void *context, uint64_t id)
{
    uint64_t *notified = context;
    *notified = id;
}

static void a_message_notifies_while_a_group_hangs(void **state)
{
    struct kafka_mock *fixture = *state;
    uint64_t notified = 0;
    kafka_mock_add_topic(fixture, "jobs", 1);
    const void *query = kafka_mock_query(fixture, "workers", "jobs", 2);
    test_feed_add(fixture->feed, query, (struct notifier){on_notification, &notified, 7});
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_assert_answered(fixture, 0);
    assert_true(test_feed_task(fixture->feed, 0)->subscribed);
    assert_int_equal(notified, 0);

    const void *silent = kafka_mock_query(fixture, "silent", "jobs", 3);
    hang(fixture, 3, true);
    kafka_mock_produce(fixture, "jobs", 1);
    for (size_t task = 1; task == 1 || (task < 10 && notified == 0); task++) { /* a busy machine */
        kafka_mock_add(fixture, silent);
        test_feed_set_timeout(fixture->feed, 2000);
        assert_true(kafka_mock_measure(fixture));
        assert_ended_with(fixture->feed, task, TASK_TIMED_OUT, "Kafka group silent");
    }
    assert_int_equal(notified, 7);
}

/* Which topics it will commit is not known: it is polled. */
static void a_group_without_commits_is_not_subscribed_to(void **state)
{
    struct kafka_mock *fixture = *state;
    uint64_t notified = 0;
    kafka_mock_add_topic(fixture, "jobs", 1);
    const void *query = kafka_mock_query_of_group(fixture, "workers", 2);
    test_feed_add(fixture->feed, query, (struct notifier){on_notification, &notified, 7});
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    const struct test_task *task = test_feed_task(fixture->feed, 0);
    assert_true(task->ended && task->outcome == TASK_ANSWERED && task->reading.waiting == 0);
    assert_false(task->subscribed);
    assert_string_equal(error_text(&task->subscribe_error),
                        "Kafka group workers has committed no offsets: nothing to subscribe to");
}

/* Its reading was older: a message of before the other one's is news to it. */
static void a_subscription_from_an_earlier_end_is_notified(void **state)
{
    struct kafka_mock *fixture = *state;
    uint64_t early = 0;
    uint64_t late = 0;
    _cleanup_(error_done) struct error error = {0};
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_query(fixture, "workers", "jobs", 2);
    kafka_mock_connect(fixture);
    struct kafka_session *session = fixture->client;
    const struct kafka_position end = {"jobs", 0, KAFKA_MOCK_MESSAGES};
    const struct kafka_position before = {"jobs", 0, KAFKA_MOCK_MESSAGES - 1};
    assert_true(kafka_subscriptions_add(
        session->subscriptions, &(struct notifier){on_notification, &late, 7}, &end, 1, &error));
    assert_true(kafka_subscriptions_add(session->subscriptions,
                                        &(struct notifier){on_notification, &early, 8}, &before, 1,
                                        &error));
    for (int i = 0; early == 0 && i < KAFKA_MOCK_WITHIN_MS / 10; i++) {
        usleep(10 * 1000);
        kafka_subscriptions_receive(session->subscriptions);
    }
    assert_int_equal(early, 8);
}

static void count_notification(void *context, uint64_t id)
{
    unsigned *count = context;
    (void)id;
    ++*count;
}

static void a_partition_that_is_named_twice_notifies_once(void **state)
{
    struct kafka_mock *fixture = *state;
    /* The end of the session notifies who is still subscribed, when this function has returned. */
    static unsigned notified;
    notified = 0;
    _cleanup_(error_done) struct error error = {0};
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_query(fixture, "workers", "jobs", 2);
    kafka_mock_connect(fixture);
    struct kafka_subscriptions *subscriptions =
        ((struct kafka_session *)fixture->client)->subscriptions;
    const struct kafka_position twice[] = {{"jobs", 0, KAFKA_MOCK_MESSAGES},
                                           {"jobs", 0, KAFKA_MOCK_MESSAGES}};
    assert_true(kafka_subscriptions_add(subscriptions,
                                        &(struct notifier){count_notification, &notified, 7}, twice,
                                        ARRAY_LENGTH(twice), &error));
    kafka_mock_produce(fixture, "jobs", 1);
    for (int i = 0; notified == 0 && i < KAFKA_MOCK_WITHIN_MS / 10; i++) {
        usleep(10 * 1000);
        kafka_subscriptions_receive(subscriptions);
    }
    assert_int_equal(notified, 1);
    assert_true(kafka_subscriptions_is_empty(subscriptions));
}

/* The partition is read from an earlier offset for the second one; the library refuses, and nobody
 * reads it any more. */
static void a_subscription_whose_partition_is_not_read_any_more_is_notified(void **state)
{
    struct kafka_mock *fixture = *state;
    /* The end of the session notifies who is still subscribed, when this function has returned. */
    static uint64_t early, late, other;
    early = late = other = 0;
    _cleanup_(error_done) struct error error = {0};
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add_topic(fixture, "mails", 1);
    kafka_mock_query(fixture, "workers", "jobs", 2);
    kafka_mock_connect(fixture);
    struct kafka_session *session = fixture->client;
    struct kafka_subscriptions *subscriptions = session->subscriptions;
    const struct kafka_position end[] = {{"jobs", 0, KAFKA_MOCK_MESSAGES},
                                         {"mails", 0, KAFKA_MOCK_MESSAGES}};
    const struct kafka_position refused[] = {{"mails", 0, KAFKA_MOCK_MESSAGES}, {"jobs", 0, -5}};
    assert_true(kafka_subscriptions_add(
        subscriptions, &(struct notifier){on_notification, &late, 7}, end, 2, &error));
    assert_true(kafka_subscriptions_add(
        subscriptions, &(struct notifier){on_notification, &other, 9}, &end[1], 1, &error));
    assert_false(kafka_subscriptions_add(
        subscriptions, &(struct notifier){on_notification, &early, 8}, refused, 2, &error));
    assert_non_null(strstr(error_text(&error), "cannot subscribe to Kafka topic jobs"));
    assert_int_equal(late, 7);
    assert_int_equal(early, 0);
    assert_int_equal(other, 0);
    /* It is read again for whoever comes next. */
    late = 0;
    assert_true(kafka_subscriptions_add(
        subscriptions, &(struct notifier){on_notification, &late, 7}, end, 1, &error));
    kafka_mock_produce(fixture, "jobs", 1);
    for (int i = 0; late == 0 && i < KAFKA_MOCK_WITHIN_MS / 10; i++) {
        usleep(10 * 1000);
        kafka_subscriptions_receive(subscriptions);
    }
    assert_int_equal(late, 7);
    assert_int_equal(other, 0);
}

static void an_ended_subscription_does_not_notify(void **state)
{
    struct kafka_mock *fixture = *state;
    uint64_t notified = 0;
    kafka_mock_add_topic(fixture, "jobs", 1);
    const void *query = kafka_mock_query(fixture, "workers", "jobs", 2);
    test_feed_add(fixture->feed, query, (struct notifier){on_notification, &notified, 7});
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_add(fixture, query);
    test_feed_unsubscribe(fixture->feed, 7);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_produce(fixture, "jobs", 1);
    test_feed_stay(fixture->feed, 1500);
    assert_true(kafka_mock_measure(fixture));
    assert_int_equal(notified, 0);
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
        TEST(a_group_whose_coordinator_moved_is_answered_on_another_handle),
        TEST(a_group_whose_coordinator_is_elsewhere_is_sent_again_in_its_time),
        TEST(a_group_that_no_broker_coordinates_fails),
        TEST(calls_go_on_where_no_new_handle_can_be_had),
        TEST(a_group_that_timed_out_is_right_once_it_has_a_coordinator),
        TEST(lag_is_not_persistent_after_a_wait_for_a_coordinator),
        TEST(an_isolated_task_is_answered_like_any_other),
        TEST(new_tasks_are_taken_while_a_group_hangs),
        TEST(a_group_has_one_call_at_a_time),
        TEST(a_cancelled_task_comes_again_isolated),
        TEST(a_task_that_is_cancelled_leaves_its_offsets),
        TEST(a_late_answer_is_nobodys),
        TEST(a_message_notifies_while_a_group_hangs),
        TEST(a_group_without_commits_is_not_subscribed_to),
        TEST(a_subscription_from_an_earlier_end_is_notified),
        TEST(a_partition_that_is_named_twice_notifies_once),
        TEST(a_subscription_whose_partition_is_not_read_any_more_is_notified),
        TEST(an_ended_subscription_does_not_notify),
        TEST(a_cluster_that_is_gone_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
