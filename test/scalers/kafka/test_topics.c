/* Where requests overlap. The test takes the answers: nothing is sent. */
#include "kafka/requests/topics.h"

#include "base/memory.h"
#include "base/text.h"
#include "kafka/memory.h"
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

/* ---- the room of the main handle ---- */

enum { PARTITIONS = 200 };

static void set_room(struct known *fixture, size_t partitions)
{
    fixture->client.memory.mappable_bytes =
        KAFKA_MEMORY_FREE +
        (double)partitions * (KAFKA_MEMORY_PER_PARTITION + KAFKA_MEMORY_PER_COMMIT);
}

/* The answer that names "jobs", of so many partitions. */
static void take_partitions(struct known *fixture, int count)
{
    static rd_kafka_metadata_partition_t partitions[PARTITIONS];
    rd_kafka_metadata_topic_t topic = {
        .topic = jobs, .partition_cnt = count, .partitions = partitions};
    const rd_kafka_metadata_t result = {.topic_cnt = 1, .topics = &topic};
    for (int i = 0; i < count; i++)
        partitions[i].id = i;
    kafka_topics_take(&fixture->topics, known_send_request(fixture), &result, false, KNOWN_NOW_MS);
}

static struct kafka_topic *topic_for(struct known *fixture, const char *name)
{
    return kafka_topics_for(&fixture->topics, name, KNOWN_NOW_MS);
}

static struct kafka_topic *listed_topic(struct known *fixture, char *name, int partitions)
{
    const rd_kafka_metadata_topic_t listed = {.topic = name, .partition_cnt = partitions};
    return kafka_topics_for_listed(&fixture->topics, &listed, KNOWN_NOW_MS);
}

/* Until its size is known a topic counts as 100 partitions, or as twice as many as others count
 * for: these have 18, and 2 for the topic itself. */
static void topics_of_unknown_size_have_room_by_those_that_are_known(void **state)
{
    enum { FEW = 20 };
    struct known *fixture = *state;
    char more[] = "more";
    set_room(fixture, 200);
    assert_non_null(topic_for(fixture, "jobs"));
    assert_non_null(topic_for(fixture, "second"));
    assert_null(topic_for(fixture, "third"));
    assert_true(kafka_topics_has_room(&fixture->topics, "second", 0)); /* it has it */
    take_partitions(fixture, FEW - KAFKA_MEMORY_TOPIC);                /* there is no second one */
    assert_int_equal(fixture->client.memory.partitions, FEW);
    assert_non_null(listed_topic(fixture, more, FEW - KAFKA_MEMORY_TOPIC));
    assert_non_null(topic_for(fixture, "unknown"));
    /* Of 160 the unknown one has 40. */
    assert_false(kafka_topics_has_room(&fixture->topics, "listed", 121 - KAFKA_MEMORY_TOPIC));
    assert_true(kafka_topics_has_room(&fixture->topics, "listed", 120 - KAFKA_MEMORY_TOPIC));
    assert_non_null(topic_for(fixture, "third"));
    assert_non_null(topic_for(fixture, "fourth"));
    assert_non_null(topic_for(fixture, "fifth"));
    assert_null(topic_for(fixture, "sixth"));
}

/* Tasks would wait for its size for ever. */
static void a_topic_that_the_answer_leaves_out_has_no_size(void **state)
{
    struct known *fixture = *state;
    set_room(fixture, (size_t)2 * PARTITIONS);
    assert_non_null(topic_for(fixture, "missing"));
    assert_true(kafka_topics_await_sizes(&fixture->topics));
    assert_non_null(topic_for(fixture, "jobs"));
    assert_true(kafka_topics_await_sizes(&fixture->topics));
    take_partitions(fixture, 1);
    assert_false(kafka_topics_await_sizes(&fixture->topics));
}

static void one_large_topic_leaves_room_for_small_ones(void **state)
{
    enum { LARGE = 8000, FEW = 2, SMALL = 10 };
    struct known *fixture = *state;
    char large[] = "large";
    char more[] = "more";
    set_room(fixture, LARGE + KAFKA_MEMORY_TOPIC + 100);
    assert_non_null(listed_topic(fixture, large, LARGE));
    assert_true(kafka_topics_has_room(&fixture->topics, "small", 0));
    assert_non_null(listed_topic(fixture, more, FEW));
    /* Of 96 each has 8, and the next one needs 4. */
    for (int i = 0; i < SMALL; i++) {
        _cleanup_(memory_free) char *name = text_format("small-%d", i);
        assert_non_null(topic_for(fixture, name));
    }
    for (int i = 0; i < 2; i++)
        assert_non_null(topic_for(fixture, i == 0 ? "eleventh" : "twelfth"));
    assert_null(topic_for(fixture, "thirteenth"));
}

static void a_topic_that_is_listed_has_room_by_its_size(void **state)
{
    struct known *fixture = *state;
    char more[] = "more";
    set_room(fixture, PARTITIONS + 2 * KAFKA_MEMORY_TOPIC);
    assert_non_null(listed_topic(fixture, jobs, 150));
    assert_null(listed_topic(fixture, more, 51));
    set_room(fixture, PARTITIONS + 1 + 2 * KAFKA_MEMORY_TOPIC);
    assert_non_null(listed_topic(fixture, more, 51));
    assert_int_equal(fixture->client.memory.partitions, PARTITIONS + 1 + 2 * KAFKA_MEMORY_TOPIC);
}

/* As fetchers have it. */
static void what_other_handles_have_is_no_room_for_topics(void **state)
{
    struct known *fixture = *state;
    set_room(fixture, (size_t)2 * (PARTITIONS + KAFKA_MEMORY_TOPIC));
    assert_non_null(topic_for(fixture, "jobs"));
    take_partitions(fixture, 1);
    assert_true(kafka_topics_has_room(&fixture->topics, "more", PARTITIONS));
    fixture->client.memory.bytes[KAFKA_ACCOUNT_HANDLES] = KAFKA_MEMORY_FREE - KAFKA_MEMORY_ANSWERS;
    assert_true(kafka_topics_has_room(&fixture->topics, "more", PARTITIONS));
    fixture->client.memory.bytes[KAFKA_ACCOUNT_HANDLES] +=
        PARTITIONS * (KAFKA_MEMORY_PER_PARTITION + KAFKA_MEMORY_PER_COMMIT);
    assert_false(kafka_topics_has_room(&fixture->topics, "more", PARTITIONS));
    assert_true(kafka_topics_has_room(&fixture->topics, "more", PARTITIONS - 1));
}

/* A renewal must have memory for them, too. */
static void topics_without_an_answer_count_in_a_new_handle(void **state)
{
    enum { TYPICAL = 50 };
    struct known *fixture = *state;
    struct kafka_topics *topics = &fixture->topics;
    set_room(fixture, (size_t)4 * PARTITIONS);
    assert_non_null(topic_for(fixture, "jobs"));
    take_partitions(fixture, PARTITIONS);
    kafka_topics_forget_old(topics, KNOWN_NOW_MS + KAFKA_FORGET_MS + 1);
    assert_int_equal(kafka_topics_partitions(topics), 0);
    assert_non_null(topic_for(fixture, "jobs")); /* the former one */
    assert_int_equal(kafka_topics_partitions(topics), PARTITIONS + KAFKA_MEMORY_TOPIC);
    assert_non_null(topic_for(fixture, "new"));
    assert_int_equal(kafka_topics_partitions(topics),
                     PARTITIONS + KAFKA_MEMORY_TOPIC + 2 * TYPICAL);
    kafka_topics_close_handle(topics);
    kafka_topics_open_handle(topics);
    assert_int_equal(fixture->client.memory.partitions, PARTITIONS + KAFKA_MEMORY_TOPIC);
}

/* The library frees those that were answered without partitions: a new handle has no fewer. */
static void topics_that_do_not_exist_need_no_renewal(void **state)
{
    enum { MISSING = 300 };
    struct known *fixture = *state;
    for (int i = 0; i < MISSING; i++) {
        _cleanup_(memory_free) char *name = text_format("missing-%d", i);
        assert_non_null(topic_for(fixture, name));
    }
    assert_non_null(topic_for(fixture, "jobs"));
    take_partitions(fixture, 1);
    assert_false(kafka_topics_has_too_many(&fixture->topics));
    kafka_topics_forget_old(&fixture->topics, KNOWN_NOW_MS + KAFKA_FORGET_MS + 1);
    assert_null(fixture->topics.table);
    assert_false(kafka_topics_has_too_many(&fixture->topics));
}

/* The library has them until then. */
static void former_topics_give_their_room_back_with_the_handle(void **state)
{
    struct known *fixture = *state;
    struct kafka_topics *topics = &fixture->topics;
    const int64_t later_ms = KNOWN_NOW_MS + KAFKA_FORGET_MS + 1;
    set_room(fixture, 240);
    for (int i = 0; i < 2; i++) { /* it counts once */
        assert_non_null(topic_for(fixture, "jobs"));
        take_partitions(fixture, PARTITIONS);
        assert_int_equal(fixture->client.memory.partitions, PARTITIONS + KAFKA_MEMORY_TOPIC);
        kafka_topics_forget_old(topics, later_ms);
        assert_null(kafka_topics_find(topics, "jobs"));
        assert_int_equal(fixture->client.memory.partitions, PARTITIONS + KAFKA_MEMORY_TOPIC);
    }
    assert_null(topic_for(fixture, "more"));
    assert_false(kafka_topics_has_too_many(topics)); /* nobody has failed */
    kafka_topics_note_refused(topics);
    assert_true(kafka_topics_has_too_many(topics));
    kafka_topics_close_handle(topics);
    kafka_topics_open_handle(topics);
    assert_int_equal(fixture->client.memory.partitions, 0);
    assert_false(kafka_topics_has_too_many(topics));
    assert_non_null(topic_for(fixture, "more"));
    assert_non_null(topic_for(fixture, "jobs"));
    take_partitions(fixture, 1);
    kafka_topics_forget_old(topics, later_ms);
    assert_false(kafka_topics_has_too_many(topics)); /* nobody has failed since */
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
        TEST(topics_of_unknown_size_have_room_by_those_that_are_known),
        TEST(a_topic_that_the_answer_leaves_out_has_no_size),
        TEST(one_large_topic_leaves_room_for_small_ones),
        TEST(a_topic_that_is_listed_has_room_by_its_size),
        TEST(what_other_handles_have_is_no_room_for_topics),
        TEST(topics_without_an_answer_count_in_a_new_handle),
        TEST(topics_that_do_not_exist_need_no_renewal),
        TEST(former_topics_give_their_room_back_with_the_handle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
