/* NATS JetStream: whose counts are in a reply. */
#include "base/clock.h"
#include "base/memory.h"
#include "scalers/ended.h"
#include "scalers/nats_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define ALONE "{\"num_pending\":3,\"num_ack_pending\":0}"
#define LEADERLESS "{\"num_pending\":0,\"num_ack_pending\":0,\"cluster\":{\"name\":\"nats\"}}"

#define LED(leader, pending, unacknowledged)                                                       \
    "{\"num_pending\":" pending ",\"num_ack_pending\":" unacknowledged                             \
    ",\"cluster\":{\"leader\":\"" leader "\"}}"
#define LED_BY(leader, pending) LED(leader, pending, "0")

/* Whether a 0 is confirmed is up to the engine (measure/connection/zero.h). */
static void each_reply_of_a_leader_is_answered_at_once(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second;
        double waiting;
    } rows[] = {
        {LED_BY("nats-1", "5"), LED_BY("nats-2", "6"), 6},
        {LED_BY("nats-1", "5"), LED_BY("nats-2", "0"), 0},
        {LED_BY("nats-1", "5"), LED("nats-2", "3", "2"), 3},
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
        cmocka_unit_test(each_reply_of_a_leader_is_answered_at_once),
        cmocka_unit_test(a_node_without_its_replica_is_not_believed),
        cmocka_unit_test(a_new_consumer_of_a_stream_with_one_replica_has_no_messages),
        cmocka_unit_test(a_stream_that_does_not_report_its_replicas_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
