/* Measuring against librdkafka's mock cluster: which topics and messages count, and what is too
 * much to be read. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "kafka/measure/progress.h"
#include "kafka/requests/metadata.h"
#include "kafka/selection.h"
#include "scalers/ended.h"
#include "scalers/kafka_mock.h"
#include "scalers/kafka_peer.h"
#include "support/listener.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

/* ---- patterns ---- */

static void assert_partitions(struct kafka_mock *fixture, size_t index, double count)
{
    kafka_mock_assert_answered(fixture, index);
    assert_float_equal(test_feed_task(fixture->feed, index)->reading.partitions, count, 0);
}

/* Until all that is needed is known. */
static void receive_until(struct kafka_metadata *metadata, const struct kafka_client *client,
                          const struct kafka_metadata_need *need)
{
    _cleanup_(error_done) struct error error = {0};
    for (int64_t deadline_ms = clock_now_ms() + KAFKA_MOCK_WITHIN_MS;
         !kafka_metadata_has(metadata, need);) {
        struct pollfd event = {.fd = client->event_fd, .events = POLLIN};
        assert_true(clock_now_ms() < deadline_ms);
        poll(&event, 1, 100);
        kafka_metadata_receive(metadata, clock_now_ms(), &error);
    }
}

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
    kafka_metadata_request(metadata, &first, clock_now_ms());
    assert_false(kafka_metadata_is_quiet(metadata)); /* it is running until it is received */
    kafka_metadata_need_pattern(metadata, alpha, clock_now_ms(), &same);
    assert_memory_equal(&same, &first, sizeof(first));
    const struct kafka_pattern *beta =
        kafka_patterns_for(kafka_metadata_patterns(metadata), "^beta-", clock_now_ms());
    kafka_metadata_need_pattern(metadata, beta, clock_now_ms(), &second);
    assert_true(second.numbers[KAFKA_METADATA_LISTING] > first.numbers[KAFKA_METADATA_LISTING]);
    kafka_metadata_request(metadata, &second, clock_now_ms());
    receive_until(metadata, &client, &second);
    assert_int_equal(alpha->count, 1);
    assert_int_equal(beta->count, 1);
    kafka_metadata_free(metadata);
    kafka_client_close(&client);
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
    kafka_metadata_request(metadata, &listing, now_ms);
    kafka_metadata_need_topic(metadata,
                              kafka_topics_for(kafka_metadata_topics(metadata), "jobs", now_ms),
                              now_ms, &topic);
    kafka_metadata_request(metadata, &topic, now_ms);
    int64_t next_ms = kafka_metadata_next_ms(metadata, now_ms);
    assert_true(next_ms > now_ms && next_ms < now_ms + KAFKA_MOCK_WITHIN_MS);
    assert_int_equal(kafka_metadata_receive(metadata, next_ms, &error), KAFKA_METADATA_NOTHING);
    /* Who comes now is the third. */
    kafka_metadata_need_pattern(
        metadata, kafka_patterns_for(kafka_metadata_patterns(metadata), "^beta-", next_ms), next_ms,
        &later);
    assert_int_equal(later.numbers[KAFKA_METADATA_LISTING], 3);
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
        kafka_metadata_request(metadata, &need, clock_now_ms());
        if (i == 0) {
            usleep(10 * 1000); /* later than the request */
            kafka_client_note_answer(&session->client, clock_now_ms());
        }
        event = receive_next(metadata);
        assert_true(i > 0 || event == KAFKA_METADATA_FAILED);
    }
    assert_int_equal(event, KAFKA_METADATA_LOST);
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
    kafka_metadata_request(metadata, &jobs, now_ms); /* it is running until it is received */
    kafka_metadata_need_topic(metadata, kafka_topics_for(topics, "jobs", now_ms), now_ms, &same);
    assert_memory_equal(&same, &jobs, sizeof(jobs));
    kafka_metadata_need_topic(metadata, kafka_topics_for(topics, "more", now_ms), now_ms, &more);
    assert_true(more.numbers[KAFKA_METADATA_TOPICS] > jobs.numbers[KAFKA_METADATA_TOPICS]);
}

static void a_pattern_that_is_looked_for_is_neither_made_nor_used(void **state)
{
    struct kafka_client client = {0};
    struct kafka_metadata *metadata = kafka_metadata_new(&client);
    (void)state;
    assert_null(kafka_patterns_find(kafka_metadata_patterns(metadata), "^alpha-"));
    struct kafka_pattern *pattern =
        kafka_patterns_for(kafka_metadata_patterns(metadata), "^alpha-", clock_now_ms());
    pattern->used_ms = 1;
    assert_ptr_equal(kafka_patterns_find(kafka_metadata_patterns(metadata), "^alpha-"), pattern);
    assert_int_equal(pattern->used_ms, 1);
    assert_ptr_equal(
        kafka_patterns_for(kafka_metadata_patterns(metadata), "^alpha-", clock_now_ms()), pattern);
    assert_int_not_equal(pattern->used_ms, 1);
    kafka_metadata_free(metadata);
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
        assert_int_equal(need.numbers[KAFKA_METADATA_LISTING], now_ms == OLD_MS);
        assert_int_equal(kafka_metadata_needs_listing(metadata, "^alpha-", now_ms),
                         now_ms == OLD_MS);
    }
    kafka_metadata_free(metadata);
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

/* Topics come and go all day, and there is no request for those in use, which would show them. (The
 * mock cluster makes the former ones, so that the pattern must not match them.) */
static void a_handle_with_many_former_topics_of_a_pattern_is_renewed(void **state)
{
    enum { FORMER = 150, EARLIER_MS = 10000 };
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs-1", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "^jobs-", 2));
    kafka_mock_connect(fixture);
    struct kafka_session *session = fixture->client;
    struct kafka_topics *topics = kafka_metadata_topics(session->metadata);
    const rd_kafka_t *handle = session->client.rk;
    for (int i = 0; i < FORMER; i++) {
        _cleanup_(memory_free) char *name = text_format("former-%d", i);
        kafka_topics_for(topics, name, 1);
    }
    kafka_metadata_forget_old(session->metadata, CLOCK_NEVER);
    session->client.opened_ms -= EARLIER_MS;
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_assert_answered(fixture, 0);
    kafka_mock_run_again(fixture);
    kafka_mock_assert_answered(fixture, 0);
    assert_ptr_not_equal(session->client.rk, handle);
    assert_false(kafka_metadata_needs_renewal(session->metadata));
}

static void a_pattern_without_topics_fails_alone(void **state)
{
    struct kafka_mock *fixture = *state;
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "^mails", 2));
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "jobs", 2));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_assert_failed(fixture, 0, "no Kafka topic matches ^mails");
    kafka_mock_assert_answered(fixture, 1);
}

/* As often as it fails: the topics that others name are requested as well. */
static void a_listing_that_is_too_long_fails_patterns_only(void **state)
{
    enum { LARGE = 150000, REPLICAS = 3, ROUNDS = 2 }; /* a reply of 6 MB */
    struct kafka_mock *fixture = *state;
    kafka_mock_create_topic(fixture, "large", LARGE, REPLICAS);
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "^jobs", 2));
    kafka_mock_add(fixture, kafka_mock_query(fixture, "others", "jobs", 3));
    kafka_mock_connect(fixture);
    test_feed_set_timeout(fixture->feed, 4000); /* what is known is old in the next round */
    for (int i = 0; i < ROUNDS; i++) {
        kafka_mock_run_again(fixture);
        assert_ended_with(fixture->feed, 0, TASK_TIMED_OUT,
                          ": the list of all topics is longer than 4 MiB, or malformed: set topic "
                          "to names");
        kafka_mock_assert_answered(fixture, 1);
    }
}

/* ---- what a listing does not say ---- */

/* What a broker leaves out of a listing may not exist, or be no topic that we may describe: only a
 * request by name tells. */
static void a_topic_that_a_listing_leaves_out_is_requested_by_name(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct kafka_peer peer = {0};
    kafka_peer_start(&peer);
    _cleanup_(memory_free) char *brokers = text_format("127.0.0.1:%d", peer.port);
    const struct kafka_connection_options options = {.bootstrap_servers = brokers};
    struct kafka_client client = {0};
    if (!kafka_client_open(&client, &options, clock_now_ms() + KAFKA_MOCK_WITHIN_MS, &error))
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
    kafka_metadata_request(metadata, &pattern, now_ms);
    kafka_metadata_need_topic(metadata, held, now_ms, &missing);
    assert_int_equal(missing.numbers[KAFKA_METADATA_TOPICS],
                     pattern.numbers[KAFKA_METADATA_LISTING]);
    kafka_metadata_request(metadata, &missing, now_ms);
    receive_until(metadata, &client, &pattern); /* which has what it waits for */
    receive_until(metadata, &client, &missing);
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

/* It would count double, and be subscribed to twice. */
static void a_topic_that_is_listed_twice_matches_once(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct kafka_peer peer = {0};
    kafka_peer_start(&peer);
    _cleanup_(memory_free) char *brokers = text_format("127.0.0.1:%d", peer.port);
    const struct kafka_connection_options options = {.bootstrap_servers = brokers};
    static const char *const texts[] = {"^[ab]", "^a", "^b"};
    const struct kafka_pattern *patterns[ARRAY_LENGTH(texts)];
    struct kafka_client client = {0};
    struct kafka_metadata_need need = {0};
    if (!kafka_client_open(&client, &options, clock_now_ms() + KAFKA_MOCK_WITHIN_MS, &error))
        fail_msg("%s", error_text(&error));
    struct kafka_metadata *metadata = kafka_metadata_new(&client);
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        patterns[i] =
            kafka_patterns_for(kafka_metadata_patterns(metadata), texts[i], clock_now_ms());
        kafka_metadata_need_pattern(metadata, patterns[i], clock_now_ms(), &need);
    }
    kafka_metadata_request(metadata, &need, clock_now_ms());
    receive_until(metadata, &client, &need);
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        assert_int_equal(patterns[i]->count, i == 0 ? 2 : 1);
        assert_int_equal(patterns[i]->partition_count, i == 0 ? 2 : 1);
    }
    kafka_metadata_free(metadata);
    kafka_client_close(&client);
    kafka_peer_stop(&peer);
}

/* ---- what a group has committed ---- */

/* As a consumer of the group does it, of partition 0. */
static void commit(struct kafka_mock *fixture, const char *group, const char *topic, int64_t offset)
{
    char reason[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(fixture->cluster),
                      reason, sizeof(reason));
    rd_kafka_conf_set(conf, "group.id", group, reason, sizeof(reason));
    rd_kafka_t *consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof(reason));
    rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(offsets, topic, 0)->offset = offset;
    assert_int_equal(rd_kafka_commit(consumer, offsets, 0), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(offsets);
    rd_kafka_destroy(consumer);
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
            commit(fixture, "workers", rows[i].topic, rows[i].committed);
    }
    kafka_mock_connect(fixture);
    struct kafka_session *session = fixture->client;
    struct kafka_metadata_need first = {0}; /* the handle has its partition already */
    kafka_metadata_need_topic(
        session->metadata,
        kafka_topics_for(kafka_metadata_topics(session->metadata), "alpha", clock_now_ms()),
        clock_now_ms(), &first);
    kafka_metadata_request(session->metadata, &first, clock_now_ms());
    receive_until(session->metadata, &session->client, &first);
    struct kafka_batch *batch = kafka_batch_new(session, NULL, 0, false, clock_now_ms());
    struct kafka_batch_group *group = kafka_batch_group_for(batch, "workers");
    group->wants_all = true;

    kafka_progress_commits(group, fetch_commits(session, group, partitions), clock_now_ms());
    assert_int_equal(group->stage, KAFKA_GROUP_AWAITS_METADATA);
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

/* As after a pause of the machine: the answer comes when the topic has not been used for long. */
static void a_topic_of_an_open_batch_is_not_forgotten(void **state)
{
    struct kafka_mock *fixture = *state;
    struct kafka_metadata_need need = {0};
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_query(fixture, "workers", "jobs", 2);
    kafka_mock_connect(fixture);
    struct kafka_session *session = fixture->client;
    struct kafka_metadata *metadata = session->metadata;
    struct kafka_batch *batch = kafka_batch_new(session, NULL, 0, false, clock_now_ms());
    struct kafka_topic *known = kafka_batch_topic_for(batch, "jobs")->known;
    kafka_metadata_need_topic(metadata, known, clock_now_ms(), &need);
    kafka_metadata_request(metadata, &need, clock_now_ms());
    known->used_ms = 1;
    receive_until(metadata, &session->client, &need);
    kafka_metadata_forget_old(metadata, clock_now_ms());
    assert_int_equal(known->partition_count, 1);
    kafka_batch_free(batch);
    kafka_metadata_forget_old(metadata, clock_now_ms());
    assert_int_equal(
        kafka_topics_for(kafka_metadata_topics(metadata), "jobs", clock_now_ms())->received_ms, 0);
}

/* ---- replies that are too long ---- */

enum { ANNOUNCED = 99000000, WHAT_SOCKETS_HOLD = 32 << 20 };

/* A broker whose first reply is as long as librdkafka reads by default. */
struct talker {
    int listener;
    size_t max_taken; /* by one connection */
};

static void talk(struct talker *talker, int connection)
{
    static const char zeros[1 << 16];
    char request[1024];
    size_t taken = 0;
    uint32_t length = htonl(ANNOUNCED);
    if (recv(connection, request, sizeof(request), 0) > 0 &&
        send(connection, &length, sizeof(length), MSG_NOSIGNAL) == sizeof(length))
        while (taken < ANNOUNCED) {
            ssize_t sent = send(connection, zeros, sizeof(zeros), MSG_NOSIGNAL);
            if (sent <= 0)
                break;
            taken += (size_t)sent;
        }
    talker->max_taken = taken > talker->max_taken ? taken : talker->max_taken;
    close(connection);
}

static void *run_talker(void *opaque)
{
    struct talker *talker = opaque;
    for (int connection; (connection = accept(talker->listener, NULL, NULL)) >= 0;)
        talk(talker, connection);
    return NULL;
}

static void a_reply_that_is_too_long_is_not_read(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    int port;
    struct talker talker = {.listener = listener_open(16, &port)};
    _cleanup_(memory_free) char *brokers = text_format("127.0.0.1:%d", port);
    const struct option_entry entries[] = {
        {"bootstrapServers", brokers}, {"consumerGroup", "workers"}, {"topic", "jobs"}};
    struct trigger trigger = trigger_parse(&scaler_kafka, entries, ARRAY_LENGTH(entries));
    void *client = NULL;
    pthread_t thread;
    pthread_create(&thread, NULL, run_talker, &talker);
    assert_false(
        scaler_kafka.connect(trigger.options.connection, clock_now_ms() + 2000, &client, &error));
    shutdown(talker.listener, SHUT_RDWR);
    pthread_join(thread, NULL);
    close(talker.listener);
    trigger_done(&trigger);
    if (strstr(error_text(&error), "Invalid response size 99000000") == NULL)
        fail_msg("%s", error_text(&error));
    assert_in_range(talker.max_taken, 1, WHAT_SOCKETS_HOLD);
}

/* Each takes memory, whatever a broker says of how many there are. */
static void topics_of_too_many_partitions_are_refused(void **state)
{
    struct kafka_mock *fixture = *state;
    const int half = KAFKA_SELECTION_MAX_PARTITIONS / 2;
    kafka_mock_create_topic(fixture, "large", half + 1, 1);
    kafka_mock_create_topic(fixture, "larger", half + 1, 1);
    kafka_mock_add_topic(fixture, "jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "^large", 2));
    kafka_mock_add(fixture, kafka_mock_query(fixture, "others", "jobs", 1));
    test_feed_set_timeout(fixture->feed, KAFKA_MOCK_WITHIN_MS); /* the reply is large */
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_assert_failed(fixture, 0, "the Kafka topics have more than 25000 partitions");
    kafka_mock_assert_answered(fixture, 1);
}

/* ---- what is not counted ---- */

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
    commit(fixture, "workers", "jobs", 1);
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    assert_lag(fixture, KAFKA_MOCK_MESSAGES - 1, KAFKA_MOCK_MESSAGES - 1, 1);
    /* Long enough that no measurement takes as long. */
    excluding.persistent_lag_ms = 1000;
    usleep(1001000);
    kafka_mock_run_again(fixture);
    assert_lag(fixture, 0, KAFKA_MOCK_MESSAGES - 1, 0);
    commit(fixture, "workers", "jobs", 2);
    kafka_mock_run_again(fixture);
    assert_lag(fixture, KAFKA_MOCK_MESSAGES - 2, KAFKA_MOCK_MESSAGES - 2, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kafka_mock_set_up, kafka_mock_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_pattern_that_comes_during_a_listing_gets_one_of_its_own),
        TEST(a_listing_that_takes_long_is_not_waited_for),
        TEST(a_cluster_that_answered_once_between_is_lost_as_any_other),
        TEST(a_topic_that_comes_during_a_request_gets_one_of_its_own),
        cmocka_unit_test(a_pattern_that_is_looked_for_is_neither_made_nor_used),
        cmocka_unit_test(a_pattern_needs_a_listing_at_one_time_for_all),
        TEST(an_isolated_pattern_is_answered_beside_another),
        TEST(a_handle_with_many_former_topics_of_a_pattern_is_renewed),
        TEST(a_pattern_without_topics_fails_alone),
        TEST(a_listing_that_is_too_long_fails_patterns_only),
        cmocka_unit_test(a_topic_that_a_listing_leaves_out_is_requested_by_name),
        cmocka_unit_test(a_topic_that_is_listed_twice_matches_once),
        TEST(topics_that_only_commits_name_are_known_before_they_count),
        TEST(a_commit_that_the_answer_lacks_is_an_error_of_its_own),
        TEST(a_topic_of_an_open_batch_is_not_forgotten),
        cmocka_unit_test(a_reply_that_is_too_long_is_not_read),
        TEST(topics_of_too_many_partitions_are_refused),
        TEST(lag_is_persistent_from_persistent_lag_time_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
