/* NATS JetStream: whose counts are in a reply, and whether they count. */
#include "base/clock.h"
#include "base/memory.h"
#include "measure/scaler.h"
#include "scalers/ended.h"
#include "scalers/nats_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define ALONE "{\"num_pending\":3,\"num_ack_pending\":0}"
#define LEADERLESS "{\"num_pending\":0,\"num_ack_pending\":0,\"cluster\":{\"name\":\"nats\"}}"

#define LED_BY(leader, pending)                                                                    \
    "{\"num_pending\":" pending ",\"num_ack_pending\":0,\"cluster\":{\"leader\":\"" leader "\"}}"

/* Elected, it answers with the 0 of a follower until it has counted. */
static void the_zero_of_a_new_leader_is_requested_again(void **state)
{
    enum { NEW_LEADER_MS = 500, SHORT_MS = 300 };
    (void)state;
    struct nats_world world;
    nats_world_start(&world,
                     SCRIPT({OF("a"), LED_BY("nats-1", "5"), .times = 1},
                            {OF("a"), LED_BY("nats-2", "0"), .times = 1},
                            {OF("a"), LED_BY("nats-2", "6"), .times = 1},
                            {OF("a"), LED_BY("nats-1", "0")}, {OF("b"), INFO("1")}),
                     PAIRS("a", "b"));
    test_feed_set_timeout(world.feed, LONG_MS);
    nats_world_run(&world);
    assert_waiting(world.feed, 0, 5);
    int64_t start_ms = clock_now_ms();
    test_feed_again(world.feed);
    nats_world_run(&world);
    assert_waiting(world.feed, 0, 6);
    assert_in_range(clock_now_ms() - start_ms, NEW_LEADER_MS, LONG_MS);
    assert_int_equal(test_feed_task(world.feed, 1)->order, 1);

    test_feed_set_timeout(world.feed, SHORT_MS);
    test_feed_again(world.feed);
    nats_world_run(&world);
    assert_true(world.usable);
    assert_ended_with(world.feed, 0, TASK_TIMED_OUT, "has a new leader");
    test_feed_again(world.feed);
    nats_world_run(&world);
    assert_waiting(world.feed, 0, 0);
    nats_world_stop(&world);
}

static void any_other_zero_counts_at_once(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second;
        double waiting;
    } rows[] = {
        {LED_BY("nats-1", "5"), LED_BY("nats-1", "0"), 0}, /* all were taken */
        {LED_BY("nats-1", "0"), LED_BY("nats-2", "0"), 0}, /* there were none */
        {LED_BY("nats-1", "5"), LED_BY("nats-2", "4"), 4},
        {"{\"num_pending\":5,\"num_ack_pending\":0}", "{\"num_pending\":0,\"num_ack_pending\":1}",
         0}, /* in no cluster */
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct nats_world world;
        nats_world_start(&world,
                         SCRIPT({OF("a"), rows[i].first, .times = 1}, {OF("a"), rows[i].second}),
                         PAIRS("a"));
        test_feed_set_timeout(world.feed, LONG_MS);
        nats_world_run(&world);
        test_feed_again(world.feed);
        nats_world_run(&world);
        assert_waiting(world.feed, 0, rows[i].waiting);
        assert_int_equal(world.peer.used[1], 1);
        nats_world_stop(&world);
    }
}

/* NATS delivers the first reply only, so none of the leader's follows. */
static void a_node_without_its_replica_is_not_believed(void **state)
{
    (void)state;
    struct nats_world world;
    nats_world_start(&world,
                     SCRIPT(STREAM("\"num_replicas\":3"), {OF("a"), INFO("7")}, {OF("b"), DEFAULTS},
                            {OF("c"), INFO("0")}, {OF("d"), LEADERLESS}),
                     PAIRS("a", "b", "c", "d"));
    nats_world_run(&world);
    assert_true(world.usable);
    assert_waiting(world.feed, 0, 7);
    assert_ended_with(world.feed, 1, TASK_FAILED, "has not opened its replica");
    assert_waiting(world.feed, 2, 0);
    assert_ended_with(world.feed, 3, TASK_FAILED, "has no leader now");
    nats_world_stop(&world);
}

static void a_new_consumer_of_a_stream_with_one_replica_has_no_messages(void **state)
{
    (void)state;
    struct nats_world world;
    nats_world_start(&world,
                     SCRIPT(STREAM("\"num_replicas\":1"), {OF("a"), DEFAULTS}, {OF("b"), DEFAULTS}),
                     PAIRS("a", "b"));
    for (int i = 0; i < 3; i++) {
        test_feed_again(world.feed);
        nats_world_run(&world);
        assert_waiting(world.feed, 0, 0);
        assert_waiting(world.feed, 1, 0);
    }
    assert_int_equal(world.peer.used[0], 1);
    nats_world_stop(&world);
}

static void a_stream_that_does_not_report_its_replicas_is_named(void **state)
{
    (void)state;
    static const struct {
        struct nats_line stream;
        enum task_outcome outcome;
        const char *words;
    } rows[] = {
        {{"$JS.API.STREAM.INFO.orders", .is_denied = true},
         TASK_FAILED,
         "publish to $JS.API.STREAM.INFO.orders"},
        {{"$JS.API.STREAM.INFO.orders", .has_no_responders = true},
         TASK_FAILED,
         "publish to $JS.API.STREAM.INFO.orders"},
        {STREAM(""), TASK_FAILED, "no usable reply to $JS.API.STREAM.INFO.orders"},
        {{"$JS.API.STREAM.INFO.orders", NULL},
         TASK_TIMED_OUT,
         "no usable reply to $JS.API.STREAM.INFO.orders"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct nats_world world;
        nats_world_start(
            &world,
            SCRIPT(rows[i].stream, {OF("a"), DEFAULTS}, {OF("b"), ALONE}, {OF("c"), DEFAULTS}),
            PAIRS("a", "b", "c"));
        nats_world_run(&world);
        assert_true(world.usable);
        assert_ended_with(world.feed, 0, rows[i].outcome, rows[i].words);
        assert_waiting(world.feed, 1, 3);
        assert_ended_with(world.feed, 2, rows[i].outcome, rows[i].words);
        test_feed_again(world.feed);
        nats_world_run(&world);
        assert_int_equal(world.peer.used[0], 1);
        nats_world_stop(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_zero_of_a_new_leader_is_requested_again),
        cmocka_unit_test(any_other_zero_counts_at_once),
        cmocka_unit_test(a_node_without_its_replica_is_not_believed),
        cmocka_unit_test(a_new_consumer_of_a_stream_with_one_replica_has_no_messages),
        cmocka_unit_test(a_stream_that_does_not_report_its_replicas_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
