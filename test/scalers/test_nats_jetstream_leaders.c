/* NATS JetStream: whose counts are in a reply, and whether they count. */
#include "base/clock.h"
#include "base/memory.h"
#include "measure/scaler_internal.h"
#include "nats_jetstream/leaders.h"
#include "nats_jetstream/limits.h"
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

enum { MAX_STEPS = 6, A = 1, B = 2, LOST = 3, COUNTS = -1 };

struct step {
    int64_t sent_ms;
    uint64_t leader; /* LOST: no reply; 0: in no cluster */
    double waiting;
    double in_flight;
    int64_t again_ms;    /* COUNTS: never; 0: no such step */
    bool is_partial;     /* the reply */
    int64_t received_ms; /* so much later */
};

static void take_step(struct nats_leaders *leaders, const struct step *step, size_t row)
{
    const struct nats_consumer_origin origin = {NATS_CONSUMER_COUNTED, step->leader,
                                                step->is_partial};
    struct reading reading = READING_UNKNOWN;
    reading.waiting = step->waiting;
    reading.in_flight = step->in_flight;
    if (step->leader == LOST) {
        nats_leaders_lose(leaders, 1);
        return;
    }
    int64_t again_ms = nats_leaders_take(leaders, 1, &origin, &reading, step->sent_ms,
                                         step->sent_ms + step->received_ms);
    if (again_ms != (step->again_ms == COUNTS ? CLOCK_NEVER : step->again_ms))
        fail_msg("row %zu, at %lld ms: %lld", row, (long long)step->sent_ms, (long long)again_ms);
}

/* Each row is of other leaders. */
static void take_steps(const struct step (*rows)[MAX_STEPS], size_t count, bool follows_another)
{
    for (size_t i = 0; i < count; i++) {
        struct nats_leaders leaders = {.follows_another = follows_another};
        for (size_t j = 0; j < MAX_STEPS; j++)
            if (rows[i][j].again_ms != 0 || rows[i][j].leader == LOST)
                take_step(&leaders, &rows[i][j], i);
        nats_leaders_done(&leaders);
    }
}

static void a_reply_in_doubt_counts_after_half_a_second_of_the_same_leader(void **state)
{
    (void)state;
    static const struct step rows[][MAX_STEPS] = {
        /* The first that is seen may be new, and has no messages. */
        {{0, A, 0, 0, 500}, {499, A, 0, 0, 500}, {500, A, 0, 0, COUNTS}, {501, A, 0, 0, COUNTS}},
        {{0, A, 0, 0, 590, .received_ms = 90}, {589, A, 0, 0, 590}, {590, A, 0, 0, COUNTS}},
        /* All were taken, or it steps down. */
        {{0, A, 5, 0, COUNTS}, {900, A, 0, 0, 1400}, {1400, A, 0, 0, COUNTS}},
        {{0, A, 5, 0, COUNTS},
         {900, A, 0, 0, 1400},
         {1000, A, 5, 0, COUNTS},
         {1400, A, 0, 0, 1900}},
        {{0, A, 4, 2, COUNTS}, {900, A, 4, 0, 1400, .is_partial = true}, {1000, B, 4, 2, COUNTS}},
        /* Messages were given up. */
        {{0, A, 4, 0, 500, .is_partial = true},
         {500, A, 4, 0, COUNTS, .is_partial = true},
         {900, A, 3, 0, COUNTS, .is_partial = true}},
        /* Some were taken. */
        {{0, A, 4, 2, COUNTS}, {900, A, 3, 1, COUNTS}, {950, A, 0, 1, COUNTS}},
        /* Another one, and the first again: the doubt lasts. */
        {{0, A, 5, 0, COUNTS},
         {900, B, 0, 0, 1400},
         {950, B, 0, 0, 1400},
         {1000, A, 0, 0, 1500},
         {1499, A, 0, 0, 1500},
         {1500, A, 0, 0, COUNTS}},
        {{0, A, 3, 2, COUNTS},
         {900, B, 3, 0, 1400},
         {950, B, 2, 3, COUNTS},
         {960, B, 1, 3, 1460},
         {1400, B, 1, 3, COUNTS}},
        /* Elected again. */
        {{0, A, 5, 0, COUNTS}, {600, LOST}, {900, A, 4, 0, 1400}, {1400, A, 6, 0, COUNTS}},
        {{0, 0, 5, 0, COUNTS}, {1, 0, 0, 0, COUNTS, .is_partial = true}},
    };
    take_steps(rows, ARRAY_LENGTH(rows), false);
}

/* It may have been elected as the node of the other connection was lost, and have led before. */
static void after_another_connection_a_leaders_first_reply_is_in_doubt(void **state)
{
    (void)state;
    static const struct step rows[][MAX_STEPS] = {
        {{0, A, 3, 0, 500}, {499, A, 3, 0, 500}, {500, A, 2, 0, COUNTS}, {501, A, 1, 0, COUNTS}},
        {{0, A, 3, 0, 590, .received_ms = 90}, {589, A, 5, 0, 590}, {590, A, 5, 0, COUNTS}},
        /* Another one is elected, or the same again. */
        {{0, A, 3, 0, 500}, {400, B, 3, 0, 900}, {500, B, 3, 0, 900}, {900, B, 3, 0, COUNTS}},
        {{0, A, 3, 0, 500}, {400, LOST}, {450, A, 3, 0, 950}, {950, A, 3, 0, COUNTS}},
        {{0, LOST}, {0, A, 3, 0, 500}, {500, A, 3, 0, COUNTS}},
        /* Once a reply has counted it is as on a first connection. */
        {{0, A, 3, 0, 500},
         {500, A, 5, 0, COUNTS},
         {900, B, 5, 0, COUNTS},
         {910, B, 4, 0, 1410},
         {1410, B, 4, 0, COUNTS}},
        /* No messages: no longer than otherwise. */
        {{0, A, 0, 0, 500}, {500, A, 0, 0, COUNTS}, {510, A, 0, 0, COUNTS}},
        /* In no cluster. */
        {{0, 0, 3, 0, COUNTS}, {1, 0, 0, 0, COUNTS}},
    };
    take_steps(rows, ARRAY_LENGTH(rows), true);
}

static int64_t take_messages(struct nats_leaders *leaders, uint64_t consumer, double messages)
{
    static const struct nats_consumer_origin origin = {.leader = A};
    struct reading reading = READING_UNKNOWN;
    reading.in_flight = 0;
    reading.waiting = messages;
    return nats_leaders_take(leaders, consumer, &origin, &reading, 0, 0);
}

/* Consumers come and go, and one stays. One that was forgotten is new. */
static void leaders_that_are_known_take_a_bounded_memory(void **state)
{
    enum { KNOWN = NATS_MAX_QUERIES, ALL = 3 * NATS_MAX_QUERIES, STAYS = 1, AGAIN_MS = 500 };
    (void)state;
    struct nats_leaders leaders = {0};
    for (uint64_t consumer = 1; consumer <= ALL; consumer++) {
        assert_int_equal(take_messages(&leaders, consumer, 5), CLOCK_NEVER);
        assert_int_equal(take_messages(&leaders, STAYS, 4), AGAIN_MS);
    }
    assert_int_equal(take_messages(&leaders, ALL - KNOWN + 2, 4),
                     AGAIN_MS); /* the first of the others */
    assert_int_equal(take_messages(&leaders, ALL - KNOWN + 1, 4), CLOCK_NEVER);
    assert_int_equal(take_messages(&leaders, STAYS + 1, 4), CLOCK_NEVER);
    nats_leaders_done(&leaders);
}

/* One that was forgotten would be in doubt, and its request sent again, at each measurement. */
static void once_leaders_are_forgotten_none_is_in_doubt_for_another_connection(void **state)
{
    enum { KNOWN = NATS_MAX_QUERIES, AGAIN_MS = 500 };
    (void)state;
    struct nats_leaders leaders = {.follows_another = true};
    for (uint64_t consumer = 1; consumer <= KNOWN; consumer++)
        assert_int_equal(take_messages(&leaders, consumer, 5), AGAIN_MS);
    assert_int_equal(take_messages(&leaders, KNOWN + 1, 5), CLOCK_NEVER);
    assert_int_equal(take_messages(&leaders, 1, 5), CLOCK_NEVER); /* it was forgotten */
    assert_int_equal(take_messages(&leaders, KNOWN, 5), AGAIN_MS);
    nats_leaders_done(&leaders);
}

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
    assert_int_equal(test_feed_task(world.feed, 0)->started, 1); /* the reading is of then */
    assert_int_equal(test_feed_task(world.feed, 1)->order, 1);

    /* A time-out may be shorter than the doubt. */
    test_feed_set_timeout(world.feed, SHORT_MS);
    test_feed_again(world.feed);
    start_ms = clock_now_ms();
    nats_world_run(&world);
    assert_true(world.usable);
    assert_waiting(world.feed, 0, 0);
    assert_in_range(clock_now_ms() - start_ms, NEW_LEADER_MS, LONG_MS);
    nats_world_stop(&world);
}

static void a_doubt_that_does_not_end_times_out(void **state)
{
    enum { SHORT_MS = 400 };
    (void)state;
    struct nats_world world;
    nats_world_start(
        &world,
        SCRIPT({OF("a"), LED_BY("nats-1", "0"), .times = 1}, {OF("a"), LED_BY("nats-2", "0")}),
        PAIRS("a"));
    test_feed_set_timeout(world.feed, SHORT_MS);
    nats_world_run(&world);
    assert_true(world.usable);
    assert_ended_with(world.feed, 0, TASK_TIMED_OUT, "its leader may have just been elected");
    test_feed_again(world.feed);
    nats_world_run(&world);
    assert_waiting(world.feed, 0, 0);
    nats_world_stop(&world);
}

/* What was known of the leaders ends with the connection: a node that is lost takes both along. */
static void the_zero_of_a_leader_on_a_new_connection_is_requested_again(void **state)
{
    (void)state;
    struct nats_world world;
    nats_world_start(
        &world,
        SCRIPT({OF("a"), LED("nats-1", "0", "0"), .times = 4}, {OF("a"), LED("nats-1", "0", "7")}),
        PAIRS("a"));
    test_feed_set_timeout(world.feed, LONG_MS);
    for (int used = 2; used <= 3; used++) { /* in doubt, and again; then it counts at once */
        test_feed_again(world.feed);
        nats_world_run(&world);
        assert_waiting(world.feed, 0, 0);
        assert_true(test_feed_task(world.feed, 0)->reading.in_flight == 0);
        assert_int_equal(world.peer.used[0], used);
    }
    nats_world_reconnect(&world);
    test_feed_again(world.feed);
    nats_world_run(&world);
    assert_true(test_feed_task(world.feed, 0)->reading.in_flight == 7);
    nats_world_stop(&world);
}

/* It has led before. Where the client's connection was the first, or there is no cluster, replies
 * count at once. */
static void fewer_messages_on_a_new_connection_are_requested_again(void **state)
{
    (void)state;
    static const struct {
        struct nats_line first, second;
        bool reconnects;
        double waiting;
    } rows[] = {
        {{OF("a"), LED_BY("nats-2", "3")}, {OF("a"), LED_BY("nats-2", "5000")}, true, 5000},
        {{OF("a"), LED_BY("nats-2", "3")}, {OF("a"), LED_BY("nats-2", "3")}, true, 3},
        {{OF("a"), LED_BY("nats-2", "3")}, {OF("a"), LED_BY("nats-2", "5000")}, false, 3},
        {{OF("a"), INFO("3")}, {OF("a"), INFO("5000")}, true, 3},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct nats_world world;
        struct nats_line script[] = {
            {OF("a"), LED_BY("nats-1", "5000"), .times = 1}, rows[i].first, rows[i].second, {0}};
        script[1].times = 1;
        nats_world_start(&world, script, PAIRS("a"));
        test_feed_set_timeout(world.feed, LONG_MS);
        nats_world_run(&world);
        assert_waiting(world.feed, 0, 5000);
        scaler_set_reconnects(rows[i].reconnects); /* as the engine does then */
        nats_world_reconnect(&world);
        scaler_set_reconnects(false);
        test_feed_again(world.feed);
        nats_world_run(&world);
        assert_waiting(world.feed, 0, rows[i].waiting);
        nats_world_stop(&world);
    }
}

/* Who replies after a time without a leader may have just been elected, were it the same node. */
static void fewer_messages_are_requested_again_where_no_leader_replied_before(void **state)
{
    enum { LONGER_MS = 600 }; /* than a leader's first reply is in doubt */
    (void)state;
    static const struct nats_line without_leader[] = {
        {OF("a"), NULL},
        {OF("a"), .has_no_responders = true},
        {OF("a"), LEADERLESS},
        {OF("a"), "{\"error\":{\"err_code\":10008}}"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(without_leader); i++) {
        struct nats_world world;
        struct nats_line script[] = {{OF("a"), LED("nats-1", "5", "0"), .times = 1},
                                     without_leader[i],
                                     {OF("a"), LED("nats-1", "4", "0"), .times = 1},
                                     {OF("a"), LED("nats-1", "0", "7")},
                                     {OF("b"), INFO("1"), .times = 1},
                                     {OF("b"), NULL, .times = 1},
                                     {OF("b"), INFO("1")},
                                     {0}};
        script[1].times = 1;
        nats_world_start(&world, script, PAIRS("a", "b"));
        nats_world_run(&world);
        assert_waiting(world.feed, 0, 5);
        test_feed_set_timeout(world.feed, LONGER_MS); /* the other one is not replied to */
        test_feed_again(world.feed);
        nats_world_run(&world);
        assert_true(world.usable);
        assert_int_not_equal(test_feed_task(world.feed, 0)->outcome, TASK_ANSWERED);
        test_feed_set_timeout(world.feed, LONG_MS);
        test_feed_again(world.feed);
        nats_world_run(&world);
        assert_waiting(world.feed, 0, 0);
        assert_true(test_feed_task(world.feed, 0)->reading.in_flight == 7);
        nats_world_stop(&world);
    }
}

static void any_other_reply_counts_at_once(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second;
        double waiting;
    } rows[] = {
        {LED_BY("nats-1", "5"), LED_BY("nats-2", "6"), 6},
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
        cmocka_unit_test(a_reply_in_doubt_counts_after_half_a_second_of_the_same_leader),
        cmocka_unit_test(after_another_connection_a_leaders_first_reply_is_in_doubt),
        cmocka_unit_test(leaders_that_are_known_take_a_bounded_memory),
        cmocka_unit_test(once_leaders_are_forgotten_none_is_in_doubt_for_another_connection),
        cmocka_unit_test(the_zero_of_a_new_leader_is_requested_again),
        cmocka_unit_test(a_doubt_that_does_not_end_times_out),
        cmocka_unit_test(the_zero_of_a_leader_on_a_new_connection_is_requested_again),
        cmocka_unit_test(fewer_messages_on_a_new_connection_are_requested_again),
        cmocka_unit_test(fewer_messages_are_requested_again_where_no_leader_replied_before),
        cmocka_unit_test(any_other_reply_counts_at_once),
        cmocka_unit_test(a_node_without_its_replica_is_not_believed),
        cmocka_unit_test(a_new_consumer_of_a_stream_with_one_replica_has_no_messages),
        cmocka_unit_test(a_stream_that_does_not_report_its_replicas_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
