#include "kafka/requests/patterns.h"

#include "base/clock.h"
#include "base/memory.h"
#include "kafka/session.h"
#include "scalers/ended.h"
#include "scalers/kafka/known.h"
#include "scalers/kafka/mock.h"
#include "scalers/kafka/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static char jobs[] = "jobs"; /* the library's struct takes no constant */

/* As a request for topics is answered by a broker that knows "jobs", or does not. */
static void take_known(struct known *fixture, uint64_t number, bool is_known)
{
    rd_kafka_metadata_topic_t topic = {.topic = jobs,
                                       .err = is_known ? RD_KAFKA_RESP_ERR_NO_ERROR
                                                       : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART};
    const rd_kafka_metadata_t result = {.topic_cnt = 1, .topics = &topic};
    kafka_topics_take(&fixture->topics, number, &result, false, KNOWN_NOW_MS);
    kafka_patterns_outdate(&fixture->patterns);
}

/* As a request for all topics of the cluster is answered. */
static void take_listing(struct known *fixture, uint64_t number, bool names_it)
{
    rd_kafka_metadata_topic_t topic = {.topic = jobs};
    const rd_kafka_metadata_t result = {.topic_cnt = names_it, .topics = &topic};
    kafka_patterns_take(&fixture->patterns, number, &result, KNOWN_NOW_MS);
    kafka_topics_take(&fixture->topics, number, &result, true, KNOWN_NOW_MS);
    kafka_patterns_outdate(&fixture->patterns);
}

static bool is_listed(const struct kafka_pattern *pattern)
{
    return kafka_patterns_is_listed(pattern, KNOWN_NOW_MS);
}

static void a_pattern_that_came_during_a_listing_waits_for_the_next(void **state)
{
    struct known *fixture = *state;
    uint64_t running = known_send_request(fixture);
    const struct kafka_pattern *pattern =
        kafka_patterns_for(&fixture->patterns, "^j", KNOWN_NOW_MS);
    take_listing(fixture, running, true);
    assert_false(is_listed(pattern));
    take_listing(fixture, known_send_request(fixture), true);
    assert_true(is_listed(pattern));
    assert_int_equal(pattern->count, 1);
}

/* It may be gone, or that broker has just started. */
static void a_pattern_is_listed_again_if_a_broker_does_not_know_its_topic(void **state)
{
    struct known *fixture = *state;
    const struct kafka_pattern *pattern =
        kafka_patterns_for(&fixture->patterns, "^j", KNOWN_NOW_MS);
    const struct kafka_pattern *other = kafka_patterns_for(&fixture->patterns, "^k", KNOWN_NOW_MS);
    take_listing(fixture, known_send_request(fixture), true);
    take_known(fixture, known_send_request(fixture), true);
    assert_true(is_listed(pattern));
    take_known(fixture, known_send_request(fixture), false);
    assert_false(is_listed(pattern));
    assert_int_equal(pattern->count, 1); /* until a listing tells */
    assert_true(is_listed(other));
    take_known(fixture, known_send_request(fixture), true);
    assert_false(is_listed(pattern)); /* another broker knows it */
    take_listing(fixture, known_send_request(fixture), false);
    assert_true(is_listed(pattern));
    assert_int_equal(pattern->count, 0);
}

/* The listing is the newer one. */
static void an_earlier_request_outdates_no_pattern(void **state)
{
    struct known *fixture = *state;
    const struct kafka_pattern *pattern =
        kafka_patterns_for(&fixture->patterns, "^j", KNOWN_NOW_MS);
    uint64_t running = known_send_request(fixture);
    take_listing(fixture, known_send_request(fixture), true);
    take_known(fixture, running, false);
    assert_true(is_listed(pattern));
}

/* The listing was sent before the broker did not know the topic. */
static void a_pattern_outdated_while_a_listing_runs_is_so_after_its_answer(void **state)
{
    struct known *fixture = *state;
    const struct kafka_pattern *pattern =
        kafka_patterns_for(&fixture->patterns, "^j", KNOWN_NOW_MS);
    take_listing(fixture, known_send_request(fixture), true);
    uint64_t running = known_send_request(fixture);
    take_known(fixture, known_send_request(fixture), false);
    assert_false(is_listed(pattern));
    take_listing(fixture, running, true);
    assert_false(is_listed(pattern));
    take_listing(fixture, known_send_request(fixture), true);
    assert_true(is_listed(pattern));
    assert_int_equal(pattern->count, 1);
}

/* Then the next one would not tell more. */
static void a_listed_topic_with_an_error_outdates_no_pattern(void **state)
{
    struct known *fixture = *state;
    const struct kafka_pattern *pattern =
        kafka_patterns_for(&fixture->patterns, "^j", KNOWN_NOW_MS);
    uint64_t number = known_send_request(fixture);
    rd_kafka_metadata_topic_t topic = {.topic = jobs,
                                       .err = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART};
    const rd_kafka_metadata_t result = {.topic_cnt = 1, .topics = &topic};
    kafka_patterns_take(&fixture->patterns, number, &result, KNOWN_NOW_MS);
    kafka_topics_take(&fixture->topics, number, &result, true, KNOWN_NOW_MS);
    kafka_patterns_outdate(&fixture->patterns);
    assert_true(is_listed(pattern));
}

/* ---- the room of the main handle ---- */

enum { NAMES = 4, MATCHES = 2, LARGE = 100, ROOM = 590 };

static char names[NAMES][8] = {"a", "b", "c", "d"};

/* Room for all topics, but not for what names count for as long as their sizes are not known. */
static const struct kafka_pattern *make_names_and_a_pattern(struct known *fixture)
{
    fixture->client.memory.mappable_bytes =
        KAFKA_MEMORY_FREE + (double)ROOM * (KAFKA_MEMORY_PER_PARTITION + KAFKA_MEMORY_PER_COMMIT);
    for (size_t i = 0; i < NAMES; i++)
        assert_non_null(kafka_topics_for(&fixture->topics, names[i], KNOWN_NOW_MS));
    return kafka_patterns_for(&fixture->patterns, "^large-", KNOWN_NOW_MS);
}

/* The listing names the large topics, and then the others, or leaves them out. */
static void take_large(struct known *fixture, bool names_all)
{
    static char large[MATCHES][8] = {"large-1", "large-2"};
    static rd_kafka_metadata_partition_t partitions[LARGE];
    rd_kafka_metadata_topic_t topics[MATCHES + NAMES];
    for (size_t i = 0; i < MATCHES + NAMES; i++)
        topics[i] = (rd_kafka_metadata_topic_t){
            .topic = i < MATCHES ? large[i] : names[i - MATCHES],
            .partition_cnt = i < MATCHES ? LARGE : 1,
            .partitions = partitions,
        };
    const rd_kafka_metadata_t listing = {.topic_cnt = MATCHES + (names_all ? NAMES : 0),
                                         .topics = topics};
    kafka_patterns_take(&fixture->patterns, known_send_request(fixture), &listing, KNOWN_NOW_MS);
}

/* As where all triggers of a connection are due at once. */
static void the_sizes_in_a_listing_count_before_its_topics_match(void **state)
{
    struct known *fixture = *state;
    const struct kafka_pattern *pattern = make_names_and_a_pattern(fixture);
    take_large(fixture, true);
    assert_false(pattern->lacks_room);
    assert_int_equal(fixture->client.memory.partitions,
                     NAMES + MATCHES * LARGE + (NAMES + MATCHES) * KAFKA_MEMORY_TOPIC);
}

static void a_pattern_that_lacks_room_beside_unknown_sizes_is_listed_again(void **state)
{
    struct known *fixture = *state;
    const struct kafka_pattern *pattern = make_names_and_a_pattern(fixture);
    take_large(fixture, false);
    assert_true(pattern->lacks_room);
    assert_false(is_listed(pattern));
    take_known(fixture, known_send_request(fixture), false); /* none of them exists */
    take_large(fixture, false);
    assert_false(pattern->lacks_room);
    assert_true(is_listed(pattern));
    /* Where all sizes are known there is nothing to wait for. */
    fixture->client.memory.mappable_bytes = KAFKA_MEMORY_FREE;
    kafka_topics_forget_old(&fixture->topics, CLOCK_NEVER);
    take_large(fixture, false);
    assert_true(pattern->lacks_room);
    assert_true(is_listed(pattern));
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

/* It would count double, and be subscribed to twice. */
static void a_topic_that_is_listed_twice_matches_once(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct kafka_peer peer = {0};
    kafka_peer_start(&peer);
    static const char *const texts[] = {"^[ab]", "^a", "^b"};
    const struct kafka_pattern *patterns[ARRAY_LENGTH(texts)];
    struct kafka_client client = {0};
    struct kafka_metadata_need need = {0};
    if (!kafka_client_open(&client, &peer.options, clock_now_ms() + KAFKA_MOCK_WITHIN_MS, &error))
        fail_msg("%s", error_text(&error));
    struct kafka_metadata *metadata = kafka_metadata_new(&client);
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        patterns[i] =
            kafka_patterns_for(kafka_metadata_patterns(metadata), texts[i], clock_now_ms());
        kafka_metadata_need_pattern(metadata, patterns[i], clock_now_ms(), &need);
    }
    kafka_metadata_request(metadata, &need, 0, clock_now_ms());
    kafka_mock_receive_metadata(metadata, &client, &need);
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        assert_int_equal(patterns[i]->count, i == 0 ? 2 : 1);
        assert_int_equal(patterns[i]->partition_count, i == 0 ? 2 : 1);
    }
    kafka_metadata_free(metadata);
    kafka_client_close(&client);
    kafka_peer_stop(&peer);
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

static void topics_of_kafka_itself_match_no_pattern(void **state)
{
    static const char *const own[] = {"__consumer_offsets", "__transaction_state",
                                      "__share_group_state"};
    struct kafka_mock *fixture = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(own); i++)
        kafka_mock_add_topic(fixture, own[i], 1);
    kafka_mock_add_topic(fixture, "__jobs", 1);
    kafka_mock_add(fixture, kafka_mock_query(fixture, "workers", "^_", 2));
    kafka_mock_connect(fixture);
    assert_true(kafka_mock_measure(fixture));
    kafka_mock_assert_answered(fixture, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, known_set_up, known_tear_down)
#define OF_CLUSTER(name)                                                                           \
    cmocka_unit_test_setup_teardown(name, kafka_mock_set_up, kafka_mock_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_pattern_that_came_during_a_listing_waits_for_the_next),
        TEST(a_pattern_is_listed_again_if_a_broker_does_not_know_its_topic),
        TEST(an_earlier_request_outdates_no_pattern),
        TEST(a_pattern_outdated_while_a_listing_runs_is_so_after_its_answer),
        TEST(a_listed_topic_with_an_error_outdates_no_pattern),
        TEST(the_sizes_in_a_listing_count_before_its_topics_match),
        TEST(a_pattern_that_lacks_room_beside_unknown_sizes_is_listed_again),
        cmocka_unit_test(a_pattern_that_is_looked_for_is_neither_made_nor_used),
        cmocka_unit_test(a_topic_that_is_listed_twice_matches_once),
        OF_CLUSTER(a_patterns_topic_that_a_broker_does_not_know_is_listed_again),
        OF_CLUSTER(topics_of_kafka_itself_match_no_pattern),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
