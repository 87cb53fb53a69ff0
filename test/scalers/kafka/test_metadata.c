#include "kafka/requests/metadata.h"

#include "base/clock.h"
#include "base/memory.h"
#include "kafka/session.h"
#include "scalers/ended.h"
#include "scalers/kafka/mock.h"
#include "scalers/kafka/peer.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>
#include <cmocka.h>

/* ---- which request to wait for ---- */

/* It came after the request for all topics was sent, so that it needs the next one: for all, too.
 */
static void a_pattern_that_comes_during_a_listing_gets_one_of_its_own(void **state)
{
    struct kafka_mock *fixture = *state;
    struct kafka_client client = {0};
    _cleanup_(error_done) struct error error = {0};
    kafka_mock_add_topic(fixture, "alpha-1", 1);
    kafka_mock_add_topic(fixture, "beta-1", 1);
    kafka_mock_query(fixture, "workers", "^alpha-", 2);
    if (!kafka_client_open(&client, fixture->triggers[0].options.connection,
                           clock_now_ms() + KAFKA_MOCK_WITHIN_MS, &error))
        fail_msg("%s", error_text(&error));
    struct kafka_metadata *metadata = kafka_metadata_new(&client);
    struct kafka_metadata_need first = {0};
    struct kafka_metadata_need same = {0};
    struct kafka_metadata_need second = {0};
    const struct kafka_pattern *alpha =
        kafka_patterns_for(kafka_metadata_patterns(metadata), "^alpha-", clock_now_ms());
    kafka_metadata_need_pattern(metadata, alpha, clock_now_ms(), &first);
    kafka_metadata_request(metadata, &first, 0, clock_now_ms());
    assert_true(kafka_handles_is_held(&client.handles, client.rk)); /* until it is received */
    kafka_metadata_need_pattern(metadata, alpha, clock_now_ms(), &same);
    assert_memory_equal(&same, &first, sizeof(first));
    const struct kafka_pattern *beta =
        kafka_patterns_for(kafka_metadata_patterns(metadata), "^beta-", clock_now_ms());
    kafka_metadata_need_pattern(metadata, beta, clock_now_ms(), &second);
    assert_true(second.listing > first.listing);
    kafka_metadata_request(metadata, &second, 0, clock_now_ms());
    kafka_mock_receive_metadata(metadata, &client, &second);
    assert_int_equal(alpha->count, 1);
    assert_int_equal(beta->count, 1);
    kafka_metadata_free(metadata);
    kafka_client_close(&client);
}

/* As for a pattern: the request under way does not name it. */
static void a_topic_that_comes_during_a_request_gets_one_of_its_own(void **state)
{
    struct kafka_mock *fixture = *state;
    struct kafka_metadata_need jobs = {0};
    struct kafka_metadata_need same = {0};
    struct kafka_metadata_need more = {0};
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_query(fixture, "workers", "jobs", 2);
    kafka_mock_connect(fixture);
    struct kafka_metadata *metadata = ((struct kafka_session *)fixture->client)->metadata;
    struct kafka_topics *topics = kafka_metadata_topics(metadata);
    const int64_t now_ms = clock_now_ms();
    kafka_metadata_need_topic(metadata, kafka_topics_for(topics, "jobs", now_ms), now_ms, &jobs);
    kafka_metadata_request(metadata, &jobs, 0, now_ms); /* it is running until it is received */
    kafka_metadata_need_topic(metadata, kafka_topics_for(topics, "jobs", now_ms), now_ms, &same);
    assert_memory_equal(&same, &jobs, sizeof(jobs));
    kafka_metadata_need_topic(metadata, kafka_topics_for(topics, "more", now_ms), now_ms, &more);
    assert_true(more.topics > jobs.topics);
}

/* A request for no topics is not sent, and counts as answered: a topic that comes then does not. */
static void a_topic_that_comes_after_a_request_for_none_gets_one_of_its_own(void **state)
{
    struct kafka_mock *fixture = *state;
    struct kafka_metadata_need jobs = {0};
    kafka_mock_query(fixture, "workers", "jobs", 2);
    kafka_mock_connect(fixture);
    struct kafka_metadata *metadata = ((struct kafka_session *)fixture->client)->metadata;
    struct kafka_topics *topics = kafka_metadata_topics(metadata);
    const struct kafka_metadata_need none = {.topics = topics->next_number};
    const int64_t now_ms = clock_now_ms();
    kafka_metadata_request(metadata, &none, 0, now_ms);
    assert_true(kafka_metadata_has(metadata, &none));
    kafka_metadata_need_topic(metadata, kafka_topics_for(topics, "jobs", now_ms), now_ms, &jobs);
    assert_false(kafka_metadata_has(metadata, &jobs));
}

/* Or a pattern that went with tasks without a listing would have them wait for one. */
static void a_pattern_needs_a_listing_at_one_time_for_all(void **state)
{
    (void)state;
    enum { RECEIVED_MS = 5000, OLD_MS = 7001 };
    struct kafka_client client = {0};
    struct kafka_metadata *metadata = kafka_metadata_new(&client);
    struct kafka_pattern *pattern =
        kafka_patterns_for(kafka_metadata_patterns(metadata), "^alpha-", 1);
    pattern->received_ms = RECEIVED_MS;
    for (int64_t now_ms = OLD_MS - 1; now_ms <= OLD_MS; now_ms++) {
        struct kafka_metadata_need need = {0};
        kafka_metadata_need_pattern(metadata, pattern, now_ms, &need);
        assert_int_equal(need.listing, now_ms == OLD_MS);
        assert_int_equal(kafka_metadata_needs_listing(metadata, "^alpha-", now_ms),
                         now_ms == OLD_MS);
    }
    kafka_metadata_free(metadata);
}

/* The topics that others name are requested as well after a short time. */
static void a_listing_that_takes_long_is_not_waited_for(void **state)
{
    struct kafka_mock *fixture = *state;
    _cleanup_(error_done) struct error error = {0};
    struct kafka_metadata_need listing = {0};
    struct kafka_metadata_need topic = {0};
    struct kafka_metadata_need later = {0};
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_query(fixture, "workers", "jobs", 2);
    kafka_mock_connect(fixture);
    struct kafka_metadata *metadata = ((struct kafka_session *)fixture->client)->metadata;
    for (int32_t broker = 1; broker <= KAFKA_MOCK_BROKERS; broker++)
        kafka_mock_set_rtt(fixture, broker, KAFKA_MOCK_HANG_MS);
    const int64_t now_ms = clock_now_ms();
    kafka_metadata_need_pattern(
        metadata, kafka_patterns_for(kafka_metadata_patterns(metadata), "^alpha-", now_ms), now_ms,
        &listing);
    kafka_metadata_request(metadata, &listing, 0, now_ms);
    kafka_metadata_need_topic(metadata,
                              kafka_topics_for(kafka_metadata_topics(metadata), "jobs", now_ms),
                              now_ms, &topic);
    kafka_metadata_request(metadata, &topic, 0, now_ms);
    int64_t next_ms = kafka_metadata_next_ms(metadata, now_ms);
    assert_true(next_ms > now_ms && next_ms < now_ms + KAFKA_MOCK_WITHIN_MS);
    assert_int_equal(kafka_metadata_receive(metadata, next_ms, &error), KAFKA_METADATA_NOTHING);
    /* Who comes now is the third. */
    kafka_metadata_need_pattern(
        metadata, kafka_patterns_for(kafka_metadata_patterns(metadata), "^beta-", next_ms), next_ms,
        &later);
    assert_int_equal(later.listing, 3);
}

/* As over a slow link, where triggers have a time-out for that. */
static void brokers_may_be_slow_where_tasks_have_time(void **state)
{
    enum { SLOW_MS = 1000 };
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    test_feed_set_timeout(fixture->feed, KAFKA_MOCK_WITHIN_MS);
    kafka_mock_connect(fixture);
    for (int32_t broker = 1; broker <= KAFKA_MOCK_BROKERS; broker++)
        kafka_mock_set_rtt(fixture, broker, SLOW_MS);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_assert_answered(fixture, 0);
}

/* What a broker leaves out of a listing may not exist, or be no topic that we may describe: only a
 * request by name tells. */
static void a_topic_that_a_listing_leaves_out_is_requested_by_name(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct kafka_peer peer = {0};
    kafka_peer_start(&peer);
    struct kafka_client client = {0};
    if (!kafka_client_open(&client, &peer.options, clock_now_ms() + KAFKA_MOCK_WITHIN_MS, &error))
        fail_msg("%s", error_text(&error));
    struct kafka_metadata *metadata = kafka_metadata_new(&client);
    struct kafka_topics *topics = kafka_metadata_topics(metadata);
    struct kafka_metadata_need pattern = {0};
    struct kafka_metadata_need missing = {0};
    const int64_t now_ms = clock_now_ms();
    kafka_metadata_need_pattern(metadata,
                                kafka_patterns_for(kafka_metadata_patterns(metadata), "^a", now_ms),
                                now_ms, &pattern);
    struct kafka_topic *held = kafka_topics_hold(topics, "missing", now_ms);
    const struct kafka_topic *unused = kafka_topics_for(topics, "former", now_ms);
    kafka_metadata_request(metadata, &pattern, 0, now_ms);
    kafka_metadata_need_topic(metadata, held, now_ms, &missing);
    assert_int_equal(missing.topics, pattern.listing);
    kafka_metadata_request(metadata, &missing, 0, now_ms);
    kafka_mock_receive_metadata(metadata, &client, &pattern); /* which has what it waits for */
    kafka_mock_receive_metadata(metadata, &client, &missing);
    assert_int_equal(held->error, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    assert_true(held->received_ms > 0);
    /* Nobody waits for one that nobody holds. */
    kafka_topics_release(held);
    assert_false(kafka_topics_lacks_answer(topics, UINT64_MAX, CLOCK_NEVER));
    assert_int_equal(unused->error, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART); /* named with it */
    kafka_metadata_free(metadata);
    kafka_client_close(&client);
    kafka_peer_stop(&peer);
}

/* ---- requests that fail ---- */

/* As another's reply was too long, and not the list of topics. */
static void a_request_whose_connection_was_closed_is_sent_again(void **state)
{
    (void)state;
    struct kafka_peer peer = {0};
    kafka_peer_start(&peer);
    struct kafka_session *session = kafka_peer_connect(&peer);
    struct kafka_metadata *metadata = session->metadata;
    _cleanup_(error_done) struct error error = {0};
    struct kafka_metadata_need need = {0};
    const int64_t now_ms = clock_now_ms();
    const struct kafka_pattern *pattern =
        kafka_patterns_for(kafka_metadata_patterns(metadata), "^a", now_ms);
    kafka_metadata_need_pattern(metadata, pattern, now_ms, &need);
    peer.too_long_left[KAFKA_PEER_METADATA] = 1;
    session->client.all_down_since_ms = now_ms; /* as after an outage */
    kafka_metadata_request(metadata, &need, 0, now_ms);
    enum kafka_metadata_event event;
    while ((event = kafka_metadata_receive(metadata, now_ms, &error)) == KAFKA_METADATA_NOTHING)
        usleep(1000);
    assert_int_equal(event, KAFKA_METADATA_RECEIVED);
    assert_int_equal(session->client.all_down_since_ms, 0);
    assert_int_equal(peer.too_long_count, 1);
    assert_int_equal(pattern->count, 1);
    kafka_session_disconnect(session);
    kafka_peer_stop(&peer);
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

static void *allow_threads_soon(void *opaque)
{
    (void)opaque;
    usleep(300 * 1000);
    kafka_mock_allow_threads(true);
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
    kafka_mock_allow_threads(false);
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
    kafka_mock_allow_threads(false);
    bool goes_on = kafka_mock_measure(fixture);
    kafka_mock_allow_threads(true);
    assert_true(goes_on);
    assert_ended_with(fixture->feed, 0, TASK_TIMED_OUT,
                      "no metadata of Kafka within 600 ms; the last failure: no thread can be "
                      "started for a request");
}

/* A reply of 6 MB. */
static void create_large_topic(struct kafka_mock *fixture)
{
    enum { LARGE = 150000, REPLICAS = 3 };
    kafka_mock_create_topic(fixture, "large", LARGE, REPLICAS);
}

static void assert_too_long(struct kafka_mock *fixture, size_t index)
{
    kafka_mock_assert_failed(
        fixture, index,
        ": the list of all topics is longer than 4 MiB, or malformed: set topic to names");
}

/* As often as it fails: the topics that others name are requested as well. */
static void a_listing_that_is_too_long_fails_patterns_only(void **state)
{
    enum { ROUNDS = 2 };
    struct kafka_mock *fixture = *state;
    create_large_topic(fixture);
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "^jobs", 2));
    kafka_mock_add(fixture, kafka_mock_query(fixture, "others", "jobs", 3));
    kafka_mock_connect(fixture);
    struct kafka_topics *topics =
        kafka_metadata_topics(((struct kafka_session *)fixture->client)->metadata);
    test_feed_set_timeout(fixture->feed, 4000);
    for (int i = 0; i < ROUNDS; i++) {
        kafka_mock_run_again(fixture);
        assert_too_long(fixture, 0);
        kafka_mock_assert_answered(fixture, 1);
        kafka_topics_outdate(topics, kafka_topics_find(topics, "jobs")); /* for the next round */
    }
}

/* It is an answer: if the only query of a connection timed out, its client would be replaced, and
 * the next one would request the list again. */
static void a_listing_that_is_too_long_is_no_silence(void **state)
{
    enum { SUSPENDED_MS = 30 * 1000 };
    struct kafka_mock *fixture = *state;
    create_large_topic(fixture);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "^jobs", 2));
    kafka_mock_connect(fixture);
    const struct kafka_session *session = fixture->client;
    const struct kafka_metadata *metadata = session->metadata;
    const struct kafka_topics *topics = kafka_metadata_topics(session->metadata);
    test_feed_set_timeout(fixture->feed, 6000);
    assert_true(kafka_mock_measure(fixture));
    const int64_t failed_ms = clock_now_ms();
    assert_too_long(fixture, 0);
    assert_int_not_equal(session->client.answered_ms, 0);
    /* The next task has it at once, and nothing is sent for it. */
    const uint64_t next_number = topics->next_number;
    kafka_mock_run_again(fixture);
    assert_too_long(fixture, 0);
    assert_int_equal(topics->next_number, next_number);
    /* But it may be shorter by then. */
    const struct kafka_metadata_need listing = {.listing = next_number};
    assert_non_null(kafka_metadata_reason_suspended(metadata, &listing, failed_ms));
    assert_null(kafka_metadata_reason_suspended(metadata, &listing, failed_ms + SUSPENDED_MS));
    const struct kafka_metadata_need by_name = {.topics = next_number};
    assert_null(kafka_metadata_reason_suspended(metadata, &by_name, failed_ms));
}

static enum kafka_metadata_event receive_next(struct kafka_metadata *metadata)
{
    _cleanup_(error_done) struct error error = {0};
    enum kafka_metadata_event event = KAFKA_METADATA_NOTHING;
    for (int i = 0; event == KAFKA_METADATA_NOTHING && i < KAFKA_MOCK_WITHIN_MS / 10; i++) {
        usleep(10 * 1000);
        event = kafka_metadata_receive(metadata, clock_now_ms(), &error);
    }
    return event;
}

/* One answer to something else, after the first failure, is none to those that follow. */
static void a_cluster_that_answered_once_between_is_lost_as_any_other(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_query(fixture, "workers", "jobs", 2);
    kafka_mock_connect(fixture);
    struct kafka_session *session = fixture->client;
    struct kafka_metadata *metadata = session->metadata;
    const struct kafka_topic *jobs =
        kafka_topics_for(kafka_metadata_topics(metadata), "jobs", clock_now_ms());
    for (int32_t broker = 1; broker <= KAFKA_MOCK_BROKERS; broker++)
        kafka_mock_hang(fixture, broker, true);
    enum kafka_metadata_event event = KAFKA_METADATA_NOTHING;
    for (int i = 0; i < 4 && event != KAFKA_METADATA_LOST; i++) {
        struct kafka_metadata_need need = {0};
        kafka_metadata_need_topic(metadata, jobs, clock_now_ms(), &need);
        kafka_metadata_request(metadata, &need, 0, clock_now_ms());
        if (i == 0) {
            usleep(10 * 1000); /* later than the request */
            kafka_client_note_answer(&session->client, clock_now_ms());
        }
        event = receive_next(metadata);
        assert_true(i > 0 || event == KAFKA_METADATA_FAILED);
    }
    assert_int_equal(event, KAFKA_METADATA_LOST);
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
        TEST(a_pattern_that_comes_during_a_listing_gets_one_of_its_own),
        TEST(a_topic_that_comes_during_a_request_gets_one_of_its_own),
        TEST(a_topic_that_comes_after_a_request_for_none_gets_one_of_its_own),
        cmocka_unit_test(a_pattern_needs_a_listing_at_one_time_for_all),
        TEST(a_listing_that_takes_long_is_not_waited_for),
        TEST(brokers_may_be_slow_where_tasks_have_time),
        cmocka_unit_test(a_topic_that_a_listing_leaves_out_is_requested_by_name),
        cmocka_unit_test(a_request_whose_connection_was_closed_is_sent_again),
        TEST(a_request_for_metadata_that_fails_is_sent_again),
        TEST(a_listing_that_fails_is_sent_again),
        TEST(a_task_without_metadata_says_why_its_request_failed),
        TEST(a_request_for_metadata_without_a_thread_is_sent_again),
        TEST(a_task_says_that_its_request_for_metadata_had_no_thread),
        TEST(a_listing_that_is_too_long_fails_patterns_only),
        TEST(a_listing_that_is_too_long_is_no_silence),
        TEST(a_cluster_that_answered_once_between_is_lost_as_any_other),
        TEST(a_cluster_that_is_gone_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
