/* The room that topics have in the main handle. The test takes the answers: nothing is sent. */
#include "kafka/requests/handle_topics.h"

#include "base/memory.h"
#include "base/text.h"
#include "scalers/kafka/known.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { PARTITIONS = 200 };

static char jobs[] = "jobs"; /* the library's struct takes no constant */

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
    set_room(fixture, 200 + KAFKA_MEMORY_TOPIC);
    assert_non_null(topic_for(fixture, "jobs"));
    assert_non_null(topic_for(fixture, "second"));
    assert_null(topic_for(fixture, "third"));
    assert_true(
        kafka_handle_topics_has_room(&fixture->topics.in_handle, "second", 0)); /* it has it */
    take_partitions(fixture, FEW - KAFKA_MEMORY_TOPIC); /* there is no second one */
    assert_int_equal(fixture->client.memory.partitions, FEW + KAFKA_MEMORY_TOPIC);
    assert_non_null(listed_topic(fixture, more, FEW - KAFKA_MEMORY_TOPIC));
    assert_non_null(topic_for(fixture, "unknown"));
    /* Of 160 the unknown one has 40. */
    assert_false(kafka_handle_topics_has_room(&fixture->topics.in_handle, "listed",
                                              121 - KAFKA_MEMORY_TOPIC));
    assert_true(kafka_handle_topics_has_room(&fixture->topics.in_handle, "listed",
                                             120 - KAFKA_MEMORY_TOPIC));
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
    assert_true(kafka_handle_topics_has_room(&fixture->topics.in_handle, "small", 0));
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
    assert_true(kafka_handle_topics_has_room(&fixture->topics.in_handle, "more", PARTITIONS));
    fixture->client.memory.bytes[KAFKA_ACCOUNT_HANDLES] = KAFKA_MEMORY_FREE - KAFKA_MEMORY_ANSWERS;
    assert_true(kafka_handle_topics_has_room(&fixture->topics.in_handle, "more", PARTITIONS));
    fixture->client.memory.bytes[KAFKA_ACCOUNT_HANDLES] +=
        PARTITIONS * (KAFKA_MEMORY_PER_PARTITION + KAFKA_MEMORY_PER_COMMIT);
    assert_false(kafka_handle_topics_has_room(&fixture->topics.in_handle, "more", PARTITIONS));
    assert_true(kafka_handle_topics_has_room(&fixture->topics.in_handle, "more", PARTITIONS - 1));
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
    assert_int_equal(kafka_handle_topics_of_renewed(&topics->in_handle), 0);
    assert_non_null(topic_for(fixture, "jobs")); /* the former one */
    assert_int_equal(kafka_handle_topics_of_renewed(&topics->in_handle),
                     PARTITIONS + KAFKA_MEMORY_TOPIC);
    assert_non_null(topic_for(fixture, "new"));
    assert_int_equal(kafka_handle_topics_of_renewed(&topics->in_handle),
                     PARTITIONS + KAFKA_MEMORY_TOPIC + 2 * TYPICAL);
    kafka_topics_close_handle(topics);
    kafka_topics_open_handle(topics);
    assert_int_equal(fixture->client.memory.partitions, PARTITIONS + KAFKA_MEMORY_TOPIC);
}

/* The library frees none of them before its handle ends. */
static void topics_that_do_not_exist_take_room_until_a_handle_is_renewed(void **state)
{
    enum { MISSING = 300 };
    struct known *fixture = *state;
    struct kafka_topics *topics = &fixture->topics;
    for (int i = 0; i < MISSING; i++) {
        _cleanup_(memory_free) char *name = text_format("missing-%d", i);
        assert_non_null(topic_for(fixture, name));
    }
    assert_non_null(topic_for(fixture, "jobs"));
    take_partitions(fixture, 1);
    assert_int_equal(fixture->client.memory.partitions, 1 + (MISSING + 1) * KAFKA_MEMORY_TOPIC);
    assert_false(kafka_topics_has_too_many(topics));
    kafka_topics_forget_old(topics, KNOWN_NOW_MS + KAFKA_FORGET_MS + 1);
    assert_null(topics->table);
    assert_int_equal(fixture->client.memory.partitions, 1 + (MISSING + 1) * KAFKA_MEMORY_TOPIC);
    assert_true(kafka_topics_has_too_many(topics));
    kafka_topics_close_handle(topics);
    kafka_topics_open_handle(topics);
    assert_int_equal(fixture->client.memory.partitions, 0);
    assert_false(kafka_topics_has_too_many(topics));
}

/* As in a trigger that names thousands of topics of another cluster: each measurement would give
 * the library some more, until the process has no memory. */
static void topics_that_do_not_exist_are_refused_where_room_ends(void **state)
{
    enum { ROUNDS = 100, TYPICAL = 50, JOBS = 1 + KAFKA_MEMORY_TOPIC };
    struct known *fixture = *state;
    size_t made = 0;
    set_room(fixture, PARTITIONS);
    assert_non_null(topic_for(fixture, "jobs"));
    for (int i = 0; i < ROUNDS; i++) {
        _cleanup_(memory_free) char *name = text_format("missing-%d", i);
        made += topic_for(fixture, name) != NULL;
        take_partitions(fixture, 1);
    }
    assert_int_equal(made, (PARTITIONS - JOBS - TYPICAL) / KAFKA_MEMORY_TOPIC + 1);
    assert_int_equal(fixture->client.memory.partitions, JOBS + made * KAFKA_MEMORY_TOPIC);
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
        TEST(topics_of_unknown_size_have_room_by_those_that_are_known),
        TEST(a_topic_that_the_answer_leaves_out_has_no_size),
        TEST(one_large_topic_leaves_room_for_small_ones),
        TEST(a_topic_that_is_listed_has_room_by_its_size),
        TEST(what_other_handles_have_is_no_room_for_topics),
        TEST(topics_without_an_answer_count_in_a_new_handle),
        TEST(topics_that_do_not_exist_take_room_until_a_handle_is_renewed),
        TEST(topics_that_do_not_exist_are_refused_where_room_ends),
        TEST(former_topics_give_their_room_back_with_the_handle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
