/* Where requests overlap. The test takes the answers: nothing is sent. */
#include "kafka/requests/topics.h"

#include "base/memory.h"
#include "scalers/kafka/known.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { NOBODY = -1 };

static char jobs[] = "jobs"; /* the library's struct takes no constant */

/* The answer that names "jobs", of one partition with this leader; NOBODY: it names nothing. */
static void take(struct known *fixture, uint64_t number, int32_t leader)
{
    rd_kafka_metadata_partition_t partition = {.leader = leader};
    rd_kafka_metadata_topic_t topic = {.topic = jobs, .partition_cnt = 1, .partitions = &partition};
    const rd_kafka_metadata_t result = {.topic_cnt = leader != NOBODY, .topics = &topic};
    kafka_topics_take(&fixture->topics, number, &result, false, KNOWN_NOW_MS);
}

static void the_answer_of_an_earlier_request_changes_nothing_that_a_later_one_told(void **state)
{
    struct known *fixture = *state;
    const struct kafka_topic *topic = kafka_topics_for(&fixture->topics, "jobs", KNOWN_NOW_MS);
    uint64_t first = known_send_request(fixture);
    uint64_t second = known_send_request(fixture);
    uint64_t third = known_send_request(fixture);
    take(fixture, third, 3);
    take(fixture, first, 1);
    assert_int_equal(kafka_topics_leader(topic, 0), 3);
    take(fixture, second, NOBODY);
    assert_true(kafka_topics_is_fresh(topic, KNOWN_NOW_MS));
    assert_int_equal(kafka_topics_leader(topic, 0), 3);
    take(fixture, known_send_request(fixture), 2);
    assert_int_equal(kafka_topics_leader(topic, 0), 2);
}

static void a_topic_that_the_answer_does_not_name_is_not_known_any_more(void **state)
{
    struct known *fixture = *state;
    const struct kafka_topic *topic = kafka_topics_for(&fixture->topics, "jobs", KNOWN_NOW_MS);
    take(fixture, known_send_request(fixture), 1);
    assert_true(kafka_topics_is_fresh(topic, KNOWN_NOW_MS));
    take(fixture, known_send_request(fixture), NOBODY);
    assert_int_equal(topic->received_ms, 0);
    assert_false(kafka_topics_is_fresh(topic, KNOWN_NOW_MS));
}

/* That request may have been answered before the leader moved. */
static void a_topic_outdated_while_a_request_runs_is_so_after_its_answer(void **state)
{
    struct known *fixture = *state;
    struct kafka_topic *topic = kafka_topics_for(&fixture->topics, "jobs", KNOWN_NOW_MS);
    take(fixture, known_send_request(fixture), 1);
    uint64_t running = known_send_request(fixture);
    kafka_topics_outdate(&fixture->topics, topic);
    assert_false(kafka_topics_is_fresh(topic, KNOWN_NOW_MS));
    take(fixture, running, 1);
    assert_false(kafka_topics_is_fresh(topic, KNOWN_NOW_MS));
    take(fixture, known_send_request(fixture), 2);
    assert_true(kafka_topics_is_fresh(topic, KNOWN_NOW_MS));
    assert_int_equal(kafka_topics_leader(topic, 0), 2);
}

/* It came too late to be named. */
static void a_topic_outdated_while_a_request_runs_stays_known(void **state)
{
    struct known *fixture = *state;
    struct kafka_topic *topic = kafka_topics_for(&fixture->topics, "jobs", KNOWN_NOW_MS);
    take(fixture, known_send_request(fixture), 1);
    uint64_t running = known_send_request(fixture);
    kafka_topics_outdate(&fixture->topics, topic);
    take(fixture, running, NOBODY);
    assert_int_equal(topic->received_ms, KNOWN_NOW_MS);
    assert_int_equal(kafka_topics_leader(topic, 0), 1);
}

static void leaders_are_by_partition_in_whatever_order_they_come(void **state)
{
    struct known *fixture = *state;
    rd_kafka_metadata_partition_t partitions[] = {
        {.id = 2, .leader = 12}, {.id = 0, .leader = 10}, {.id = 7, .leader = 17},
        {.id = -1, .leader = 9}, {.id = 3, .leader = 13},
    };
    rd_kafka_metadata_topic_t listed = {
        .topic = jobs, .partition_cnt = ARRAY_LENGTH(partitions), .partitions = partitions};
    const rd_kafka_metadata_t result = {.topic_cnt = 1, .topics = &listed};
    const struct kafka_topic *topic = kafka_topics_for(&fixture->topics, "jobs", KNOWN_NOW_MS);
    kafka_topics_take(&fixture->topics, known_send_request(fixture), &result, false, KNOWN_NOW_MS);
    static const int32_t leaders[] = {10, -1, 12, 13, -1, -1, -1, -1};
    for (int32_t i = 0; i < (int32_t)ARRAY_LENGTH(leaders); i++)
        assert_int_equal(kafka_topics_leader(topic, i), leaders[i]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, known_set_up, known_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_answer_of_an_earlier_request_changes_nothing_that_a_later_one_told),
        TEST(a_topic_that_the_answer_does_not_name_is_not_known_any_more),
        TEST(a_topic_outdated_while_a_request_runs_is_so_after_its_answer),
        TEST(a_topic_outdated_while_a_request_runs_stays_known),
        TEST(leaders_are_by_partition_in_whatever_order_they_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
