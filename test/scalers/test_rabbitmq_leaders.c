#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler_internal.h"
#include "rabbitmq/management/leaders.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define TOTALS RABBITMQ_SOURCE_TOTALS
#define STATISTICS RABBITMQ_SOURCE_STATISTICS

/* What a node collects may be so old. */
enum { COLLECTED_MS = 6000, REPORTED_AND_COLLECTED_MS = 11000 };

/* How a queue is listed; one of the statistics where its leader has reported. */
#define QUEUE(type, leader) "\"name\":\"q\",\"type\":\"" type "\",\"leader\":\"" leader "\","
#define QUORUM(leader) QUEUE("quorum", leader)
#define REPORTED "\"consumers\":0,"

static bool believes(struct rabbitmq_leaders *leaders, enum rabbitmq_source source,
                     const char *queue, int ready, int64_t now_ms)
{
    _cleanup_(memory_free) char *text =
        text_format("{%s\"messages_ready\":%d,\"messages_unacknowledged\":0}", queue, ready);
    json_t *json = json_loads(text, JSON_ALLOW_NUL, NULL);
    assert_non_null(json);
    struct rabbitmq_counts counts = rabbitmq_counts_of(json, true);
    bool is_believed = rabbitmq_leaders_believe(leaders, source, json, &counts, now_ms);
    json_decref(json);
    return is_believed;
}

static int set_up(void **state)
{
    *state = rabbitmq_leaders_new(true, 0);
    return 0;
}

static int tear_down(void **state)
{
    rabbitmq_leaders_free(*state);
    return 0;
}

static void zero_totals_of_a_quorum_queue_are_unknown(void **state)
{
    assert_false(believes(*state, TOTALS, QUORUM("a"), 0, 0));
    assert_false(believes(*state, TOTALS, QUORUM("a") REPORTED, 0, 100000));
    assert_true(believes(*state, TOTALS, QUORUM("a"), 1, 0));
    assert_true(believes(*state, TOTALS, QUEUE("classic", "a"), 0, 0));
    assert_true(believes(*state, TOTALS, "\"name\":\"q\",", 0, 0));
    assert_true(believes(*state, TOTALS, "\"type\":\"quorum\",", 0, 0));
}

static void an_empty_queue_is_believed_once_its_leader_has_reported_for_a_while(void **state)
{
    int64_t settled_ms = REPORTED_AND_COLLECTED_MS;
    assert_false(believes(*state, STATISTICS, QUORUM("a") REPORTED, 0, 0));
    assert_false(believes(*state, STATISTICS, QUORUM("a") REPORTED, 0, settled_ms - 1));
    for (int64_t now_ms = settled_ms; now_ms < 100000; now_ms += 1000) {
        assert_false(believes(*state, TOTALS, QUORUM("a"), 0, now_ms)); /* they imply nothing */
        assert_true(believes(*state, STATISTICS, QUORUM("a") REPORTED, 0, now_ms));
    }
}

/* A pod that starts has lost no broker. */
static void an_empty_queue_is_believed_at_once_where_no_broker_was_lost(void **state)
{
    (void)state;
    struct rabbitmq_leaders *leaders = rabbitmq_leaders_new(false, 1000);
    assert_true(believes(leaders, STATISTICS, QUORUM("a") REPORTED, 0, 1000));
    assert_false(believes(leaders, STATISTICS, QUORUM("b") REPORTED, 0, 1001));
    rabbitmq_leaders_free(leaders);
    leaders = rabbitmq_leaders_new(false, 1000);
    assert_false(believes(leaders, STATISTICS, QUORUM("a"), 0, 1000)); /* it has not reported */
    assert_false(believes(leaders, STATISTICS, QUORUM("a") REPORTED, 0, 2000));
    assert_true(believes(leaders, STATISTICS, QUORUM("a") REPORTED, 0, 2000 + COLLECTED_MS));
    rabbitmq_leaders_free(leaders);
}

static void a_queue_that_becomes_empty_is_believed_at_once(void **state)
{
    int64_t settled_ms = REPORTED_AND_COLLECTED_MS;
    assert_true(believes(*state, TOTALS, QUORUM("a"), 7, 0));
    assert_true(believes(*state, STATISTICS, QUORUM("a") REPORTED, 0, settled_ms));
    assert_true(believes(*state, STATISTICS, QUORUM("a") REPORTED, 7, settled_ms));
    assert_true(believes(*state, STATISTICS, QUORUM("a") REPORTED, 0, settled_ms));
}

static void a_0_without_a_report_of_the_leader_is_that_of_a_former_one(void **state)
{
    assert_true(believes(*state, TOTALS, QUORUM("a"), 7, 0));
    assert_false(believes(*state, STATISTICS, QUORUM("a"), 0, 100000));
    assert_false(believes(*state, STATISTICS, QUORUM("a") REPORTED, 0, 101000));
    assert_true(believes(*state, STATISTICS, QUORUM("a") REPORTED, 0, 101000 + COLLECTED_MS));
    assert_false(believes(*state, STATISTICS, QUORUM("") REPORTED, 0, 200000)); /* it has none */
    assert_false(believes(*state, STATISTICS, QUORUM("a") REPORTED, 0, 201000));
}

/* What was reported may still be of the former one. */
static void a_0_of_a_new_leader_is_believed_later(void **state)
{
    assert_true(believes(*state, STATISTICS, QUORUM("a") REPORTED, 7, 0));
    assert_true(believes(*state, STATISTICS, QUORUM("b") REPORTED, 7, 100000));
    int64_t settled_ms = 100000 + REPORTED_AND_COLLECTED_MS;
    assert_false(believes(*state, STATISTICS, QUORUM("b") REPORTED, 0, settled_ms - 1));
    assert_true(believes(*state, STATISTICS, QUORUM("b") REPORTED, 0, settled_ms));
}

/* Totals are of the leader itself. */
static void a_leader_of_the_totals_has_reported(void **state)
{
    assert_true(believes(*state, STATISTICS, QUORUM("a") REPORTED, 7, 0));
    assert_true(believes(*state, STATISTICS, QUORUM("b") REPORTED, 7, 100000));
    assert_true(believes(*state, TOTALS, QUORUM("b"), 7, 101000));
    int64_t settled_ms = 101000 + COLLECTED_MS;
    assert_false(believes(*state, STATISTICS, QUORUM("b") REPORTED, 0, settled_ms - 1));
    assert_true(believes(*state, STATISTICS, QUORUM("b") REPORTED, 0, settled_ms));
}

static void each_queue_has_its_own_leader(void **state)
{
    static const char *const names[] = {"q", "q2", "q\\u0000b", ""};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        for (int round = 0; round < 2; round++) {
            _cleanup_(memory_free) char *queue = text_format(
                "\"name\":\"%s\",\"type\":\"quorum\",\"leader\":\"%zu\"," REPORTED, names[i], i);
            int64_t now_ms = round == 0 ? 0 : REPORTED_AND_COLLECTED_MS;
            assert_int_equal(believes(*state, STATISTICS, queue, 0, now_ms), round == 1);
        }
}

/* Where names change all the time, only those of the last hours are kept. */
static void a_queue_that_was_not_seen_for_an_hour_is_new(void **state)
{
    const int64_t later_ms = INT64_C(3) * 60 * 60 * 1000;
    assert_true(believes(*state, TOTALS, QUORUM("a"), 7, 0));
    assert_true(believes(*state, TOTALS, "\"name\":\"other\",\"type\":\"quorum\",\"leader\":\"a\",",
                         7, later_ms));
    assert_true(believes(*state, STATISTICS, QUORUM("b") REPORTED, 0, later_ms));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(zero_totals_of_a_quorum_queue_are_unknown),
        TEST(an_empty_queue_is_believed_once_its_leader_has_reported_for_a_while),
        TEST(an_empty_queue_is_believed_at_once_where_no_broker_was_lost),
        TEST(a_queue_that_becomes_empty_is_believed_at_once),
        TEST(a_0_without_a_report_of_the_leader_is_that_of_a_former_one),
        TEST(a_0_of_a_new_leader_is_believed_later),
        TEST(a_leader_of_the_totals_has_reported),
        TEST(each_queue_has_its_own_leader),
        TEST(a_queue_that_was_not_seen_for_an_hour_is_new),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
