/* What is known of topics and patterns, where requests overlap. The test takes the answers: nothing
 * is sent. */
#include "base/clock.h"
#include "base/memory.h"
#include "kafka/requests/patterns.h"
#include "kafka/requests/topics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { NOW_MS = 1000 * 1000, NOBODY = -1 };

static char jobs[] = "jobs"; /* the library's struct takes no constant */

struct fixture {
    struct kafka_client client;
    struct kafka_topics topics;
    struct kafka_patterns patterns;
};

static int set_up(void **state)
{
    char reason[256];
    struct fixture *fixture = memory_new(sizeof(*fixture));
    fixture->client.rk =
        rd_kafka_new(RD_KAFKA_CONSUMER, rd_kafka_conf_new(), reason, sizeof(reason));
    assert_non_null(fixture->client.rk);
    fixture->topics = (struct kafka_topics){.client = &fixture->client, .next_number = 1};
    fixture->patterns.topics = &fixture->topics;
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    kafka_patterns_forget_old(&fixture->patterns, CLOCK_NEVER);
    kafka_topics_forget_old(&fixture->topics, CLOCK_NEVER);
    rd_kafka_destroy(fixture->client.rk);
    free(fixture);
    return 0;
}

/* Returns its number. */
static uint64_t send_request(struct fixture *fixture)
{
    return fixture->topics.next_number++;
}

/* The answer that names "jobs", of one partition with this leader; NOBODY: it names nothing. */
static void take(struct fixture *fixture, uint64_t number, int32_t leader)
{
    rd_kafka_metadata_partition_t partition = {.leader = leader};
    rd_kafka_metadata_topic_t topic = {.topic = jobs, .partition_cnt = 1, .partitions = &partition};
    const rd_kafka_metadata_t result = {.topic_cnt = leader != NOBODY, .topics = &topic};
    kafka_topics_take(&fixture->topics, number, &result, false, NOW_MS);
}

/* As a request for topics is answered by a broker that knows "jobs", or does not. */
static void take_known(struct fixture *fixture, uint64_t number, bool is_known)
{
    rd_kafka_metadata_topic_t topic = {.topic = jobs,
                                       .err = is_known ? RD_KAFKA_RESP_ERR_NO_ERROR
                                                       : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART};
    const rd_kafka_metadata_t result = {.topic_cnt = 1, .topics = &topic};
    kafka_topics_take(&fixture->topics, number, &result, false, NOW_MS);
    kafka_patterns_outdate(&fixture->patterns);
}

/* As a request for all topics of the cluster is answered. */
static void take_listing(struct fixture *fixture, uint64_t number, bool names_it)
{
    rd_kafka_metadata_topic_t topic = {.topic = jobs};
    const rd_kafka_metadata_t result = {.topic_cnt = names_it, .topics = &topic};
    kafka_patterns_take(&fixture->patterns, number, &result, NOW_MS);
    kafka_topics_take(&fixture->topics, number, &result, true, NOW_MS);
    kafka_patterns_outdate(&fixture->patterns);
}

static bool is_listed(const struct kafka_pattern *pattern)
{
    return kafka_patterns_is_listed(pattern, NOW_MS);
}

static void the_answer_of_an_earlier_request_changes_nothing_that_a_later_one_told(void **state)
{
    struct fixture *fixture = *state;
    const struct kafka_topic *topic = kafka_topics_for(&fixture->topics, "jobs", NOW_MS);
    uint64_t first = send_request(fixture);
    uint64_t second = send_request(fixture);
    uint64_t third = send_request(fixture);
    take(fixture, third, 3);
    take(fixture, first, 1);
    assert_int_equal(kafka_topics_leader(topic, 0), 3);
    take(fixture, second, NOBODY);
    assert_true(kafka_topics_is_fresh(topic, NOW_MS));
    assert_int_equal(kafka_topics_leader(topic, 0), 3);
    take(fixture, send_request(fixture), 2);
    assert_int_equal(kafka_topics_leader(topic, 0), 2);
}

static void a_topic_that_the_answer_does_not_name_is_not_known_any_more(void **state)
{
    struct fixture *fixture = *state;
    const struct kafka_topic *topic = kafka_topics_for(&fixture->topics, "jobs", NOW_MS);
    take(fixture, send_request(fixture), 1);
    assert_true(kafka_topics_is_fresh(topic, NOW_MS));
    take(fixture, send_request(fixture), NOBODY);
    assert_int_equal(topic->received_ms, 0);
    assert_false(kafka_topics_is_fresh(topic, NOW_MS));
}

/* That request may have been answered before the leader moved. */
static void a_topic_outdated_while_a_request_runs_is_so_after_its_answer(void **state)
{
    struct fixture *fixture = *state;
    struct kafka_topic *topic = kafka_topics_for(&fixture->topics, "jobs", NOW_MS);
    take(fixture, send_request(fixture), 1);
    uint64_t running = send_request(fixture);
    kafka_topics_outdate(&fixture->topics, topic);
    assert_false(kafka_topics_is_fresh(topic, NOW_MS));
    take(fixture, running, 1);
    assert_false(kafka_topics_is_fresh(topic, NOW_MS));
    take(fixture, send_request(fixture), 2);
    assert_true(kafka_topics_is_fresh(topic, NOW_MS));
    assert_int_equal(kafka_topics_leader(topic, 0), 2);
}

/* It came too late to be named. */
static void a_topic_outdated_while_a_request_runs_stays_known(void **state)
{
    struct fixture *fixture = *state;
    struct kafka_topic *topic = kafka_topics_for(&fixture->topics, "jobs", NOW_MS);
    take(fixture, send_request(fixture), 1);
    uint64_t running = send_request(fixture);
    kafka_topics_outdate(&fixture->topics, topic);
    take(fixture, running, NOBODY);
    assert_int_equal(topic->received_ms, NOW_MS);
    assert_int_equal(kafka_topics_leader(topic, 0), 1);
}

static void leaders_are_by_partition_in_whatever_order_they_come(void **state)
{
    struct fixture *fixture = *state;
    rd_kafka_metadata_partition_t partitions[] = {
        {.id = 2, .leader = 12}, {.id = 0, .leader = 10}, {.id = 7, .leader = 17},
        {.id = -1, .leader = 9}, {.id = 3, .leader = 13},
    };
    rd_kafka_metadata_topic_t listed = {
        .topic = jobs, .partition_cnt = ARRAY_LENGTH(partitions), .partitions = partitions};
    const rd_kafka_metadata_t result = {.topic_cnt = 1, .topics = &listed};
    const struct kafka_topic *topic = kafka_topics_for(&fixture->topics, "jobs", NOW_MS);
    kafka_topics_take(&fixture->topics, send_request(fixture), &result, false, NOW_MS);
    static const int32_t leaders[] = {10, -1, 12, 13, -1, -1, -1, -1};
    for (int32_t i = 0; i < (int32_t)ARRAY_LENGTH(leaders); i++)
        assert_int_equal(kafka_topics_leader(topic, i), leaders[i]);
}

static void a_pattern_that_came_during_a_listing_waits_for_the_next(void **state)
{
    struct fixture *fixture = *state;
    uint64_t running = send_request(fixture);
    const struct kafka_pattern *pattern = kafka_patterns_for(&fixture->patterns, "^j", NOW_MS);
    take_listing(fixture, running, true);
    assert_false(is_listed(pattern));
    take_listing(fixture, send_request(fixture), true);
    assert_true(is_listed(pattern));
    assert_int_equal(pattern->count, 1);
}

/* It may be gone, or that broker has just started. */
static void a_pattern_is_listed_again_if_a_broker_does_not_know_its_topic(void **state)
{
    struct fixture *fixture = *state;
    const struct kafka_pattern *pattern = kafka_patterns_for(&fixture->patterns, "^j", NOW_MS);
    const struct kafka_pattern *other = kafka_patterns_for(&fixture->patterns, "^k", NOW_MS);
    take_listing(fixture, send_request(fixture), true);
    take_known(fixture, send_request(fixture), true);
    assert_true(is_listed(pattern));
    take_known(fixture, send_request(fixture), false);
    assert_false(is_listed(pattern));
    assert_int_equal(pattern->count, 1); /* until a listing tells */
    assert_true(is_listed(other));
    take_known(fixture, send_request(fixture), true);
    assert_false(is_listed(pattern)); /* another broker knows it */
    take_listing(fixture, send_request(fixture), false);
    assert_true(is_listed(pattern));
    assert_int_equal(pattern->count, 0);
}

/* The listing is the newer one. */
static void an_earlier_request_outdates_no_pattern(void **state)
{
    struct fixture *fixture = *state;
    const struct kafka_pattern *pattern = kafka_patterns_for(&fixture->patterns, "^j", NOW_MS);
    uint64_t running = send_request(fixture);
    take_listing(fixture, send_request(fixture), true);
    take_known(fixture, running, false);
    assert_true(is_listed(pattern));
}

/* The listing was sent before the broker did not know the topic. */
static void a_pattern_outdated_while_a_listing_runs_is_so_after_its_answer(void **state)
{
    struct fixture *fixture = *state;
    const struct kafka_pattern *pattern = kafka_patterns_for(&fixture->patterns, "^j", NOW_MS);
    take_listing(fixture, send_request(fixture), true);
    uint64_t running = send_request(fixture);
    take_known(fixture, send_request(fixture), false);
    assert_false(is_listed(pattern));
    take_listing(fixture, running, true);
    assert_false(is_listed(pattern));
    take_listing(fixture, send_request(fixture), true);
    assert_true(is_listed(pattern));
    assert_int_equal(pattern->count, 1);
}

/* Then the next one would not tell more. */
static void a_listed_topic_with_an_error_outdates_no_pattern(void **state)
{
    struct fixture *fixture = *state;
    const struct kafka_pattern *pattern = kafka_patterns_for(&fixture->patterns, "^j", NOW_MS);
    uint64_t number = send_request(fixture);
    rd_kafka_metadata_topic_t topic = {.topic = jobs,
                                       .err = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART};
    const rd_kafka_metadata_t result = {.topic_cnt = 1, .topics = &topic};
    kafka_patterns_take(&fixture->patterns, number, &result, NOW_MS);
    kafka_topics_take(&fixture->topics, number, &result, true, NOW_MS);
    kafka_patterns_outdate(&fixture->patterns);
    assert_true(is_listed(pattern));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_answer_of_an_earlier_request_changes_nothing_that_a_later_one_told),
        TEST(a_topic_that_the_answer_does_not_name_is_not_known_any_more),
        TEST(a_topic_outdated_while_a_request_runs_is_so_after_its_answer),
        TEST(a_topic_outdated_while_a_request_runs_stays_known),
        TEST(leaders_are_by_partition_in_whatever_order_they_come),
        TEST(a_pattern_that_came_during_a_listing_waits_for_the_next),
        TEST(a_pattern_is_listed_again_if_a_broker_does_not_know_its_topic),
        TEST(an_earlier_request_outdates_no_pattern),
        TEST(a_pattern_outdated_while_a_listing_runs_is_so_after_its_answer),
        TEST(a_listed_topic_with_an_error_outdates_no_pattern),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
