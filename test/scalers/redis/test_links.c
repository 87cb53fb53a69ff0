/* Redis: several queries at a time, of which one hangs, is late, or breaks the connection. */
#include "base/clock.h"
#include "scalers/ended.h"
#include "scalers/redis/links_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static void a_query_that_hangs_neither_fails_nor_delays_those_behind_it(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, SCRIPT({"LLEN hang", ""}, {"LLEN", ":1\r\n"}),
                PAIRS("hang", "a", "b", "c"));
    int64_t start_ms = clock_now_ms();
    world_run(&world);
    assert_true(world.usable);
    assert_ended(world.feed, 0, TASK_TIMED_OUT);
    assert_int_equal(test_feed_task(world.feed, 0)->order, 4);
    assert_int_equal(test_feed_task(world.feed, 0)->returned,
                     1); /* isolated, with its whole time */
    assert_int_equal(test_feed_task(world.feed, 0)->started, 1);
    assert_true(clock_now_ms() - start_ms >= TIMEOUT_MS);
    for (size_t i = 1; i < 4; i++) {
        assert_ended(world.feed, i, TASK_ANSWERED);
        assert_true(test_feed_task(world.feed, i)->reading.waiting == 1);
        assert_int_equal(test_feed_task(world.feed, i)->returned, 0);
    }
    world_stop(&world);
}

static void of_many_that_hang_each_is_isolated_soon(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, SCRIPT({"LLEN hang", ""}, {"LLEN", ":1\r\n"}),
                PAIRS("a", "hang", "b", "hang", "hang", "c", "hang", "d"));
    world_run(&world);
    assert_true(world.usable);
    for (size_t i = 0; i < world.count; i++) {
        bool hangs = i == 1 || i == 3 || i == 4 || i == 6;
        assert_ended(world.feed, i, hangs ? TASK_TIMED_OUT : TASK_ANSWERED);
        if (!hangs)
            assert_true(test_feed_task(world.feed, i)->order <= 4);
    }
    world_stop(&world);
}

/* Each stall is of one key, and those behind it were sent again each time. */
static void of_many_that_hang_none_has_the_others_sent_again_and_again(void **state)
{
    enum { HANGING = 4, OTHERS = 16, OTHERS_LINE = HANGING };
    (void)state;
    struct world world;
    const char *keys[HANGING + OTHERS + 1] = {"hang1", "hang2", "hang3", "hang4"};
    for (size_t i = HANGING; i < HANGING + OTHERS; i++)
        keys[i] = "a";
    world_start(&world,
                SCRIPT({"LLEN hang1", ""}, {"LLEN hang2", ""}, {"LLEN hang3", ""},
                       {"LLEN hang4", ""}, {"LLEN", ":1\r\n"}),
                keys);
    world_run(&world);
    assert_true(world.usable);
    int started = 0;
    for (size_t i = 0; i < world.count; i++) {
        assert_ended(world.feed, i, i < HANGING ? TASK_TIMED_OUT : TASK_ANSWERED);
        started += i < HANGING ? 0 : (int)test_feed_task(world.feed, i)->started;
    }
    assert_in_range(redis_peer_used(&world.peer, OTHERS_LINE), OTHERS, 2 * OTHERS);
    assert_in_range(started, 1, redis_peer_used(&world.peer, OTHERS_LINE)); /* when it is sent */
    world_stop(&world);
}

static void a_query_that_hangs_alone_has_its_whole_time(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, SCRIPT({"LLEN", "", .times = 1}, {"LLEN", ":2\r\n"}), PAIRS("a"));
    world_run(&world);
    assert_true(world.usable);
    assert_ended(world.feed, 0, TASK_TIMED_OUT);
    assert_int_equal(test_feed_task(world.feed, 0)->returned, 0);
    test_feed_again(world.feed);
    world_run(&world);
    assert_ended(world.feed, 0, TASK_ANSWERED);
    assert_true(test_feed_task(world.feed, 0)->reading.waiting == 2);
    world_stop(&world);
}

static void a_slow_network_is_not_taken_for_a_query_that_hangs(void **state)
{
    (void)state;
    struct world world;
    world_start(&world,
                SCRIPT({"CLIENT SETNAME", "+OK\r\n", .wait_ms = 350},
                       {"LLEN a", ":1\r\n", .wait_ms = 350}, {"LLEN", ":1\r\n"}),
                PAIRS("a", "b"));
    test_feed_set_timeout(world.feed, 10000);
    world_run(&world);
    assert_ended(world.feed, 0, TASK_ANSWERED);
    assert_ended(world.feed, 1, TASK_ANSWERED);
    assert_int_equal(redis_peer_connections(&world.peer), 1);
    world_stop(&world);
}

/* What holds up the shared connection is sent again on one of its own. Its first answer comes while
 * that is waited for. */
static void a_late_answer_is_not_taken_for_that_of_another_query(void **state)
{
    enum { LATE_MS = 1500 };
    (void)state;
    struct world world;
    world_start(&world,
                SCRIPT({"LLEN late", ":7\r\n", .wait_ms = LATE_MS, .connection = 1},
                       {"LLEN late", ":8\r\n", .wait_ms = LATE_MS}, {"LLEN", ":1\r\n"}),
                PAIRS("first", "late", "behind"));
    test_feed_set_timeout(world.feed, LONG_MS);
    world_run(&world);
    assert_true(world.usable);
    assert_ended(world.feed, 1, TASK_ANSWERED);
    assert_int_equal(test_feed_task(world.feed, 1)->returned, 1);
    assert_float_equal(test_feed_task(world.feed, 1)->reading.waiting, 8, 0);
    assert_float_equal(test_feed_task(world.feed, 2)->reading.waiting, 1, 0);
    assert_int_equal(test_feed_task(world.feed, 2)->returned, 0);
    assert_int_equal(redis_peer_used(&world.peer, 0), 1); /* before "behind", in its order */
    assert_int_equal(test_feed_task(world.feed, 1)->order, 3);
    world_stop(&world);
}

static void a_connection_that_was_closed_while_idle_fails_no_query(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, SCRIPT({"LLEN", NULL, .times = 1}, {"LLEN", ":3\r\n"}), PAIRS("a", "b"));
    world_run(&world);
    assert_true(world.usable);
    for (size_t i = 0; i < 2; i++) {
        assert_ended(world.feed, i, TASK_ANSWERED);
        assert_int_equal(test_feed_task(world.feed, i)->given, 1);
    }
    assert_int_equal(redis_peer_connections(&world.peer), 2);
    world_stop(&world);
}

static void a_query_that_breaks_each_connection_fails_alone(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, SCRIPT({"LLEN bad", NULL}, {"LLEN", ":3\r\n"}), PAIRS("bad", "a", "b"));
    world_run(&world);
    assert_true(world.usable);
    assert_ended(world.feed, 0, TASK_FAILED);
    assert_non_null(strstr(test_feed_task(world.feed, 0)->error.text, "broke"));
    assert_ended(world.feed, 1, TASK_ANSWERED);
    assert_ended(world.feed, 2, TASK_ANSWERED);
    world_stop(&world);
}

static void a_server_that_breaks_each_connection_is_of_no_use(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, SCRIPT({"LLEN", NULL}), PAIRS("a"));
    world_run(&world);
    assert_false(world.usable);
    assert_non_null(strstr(error_text(&world.error), "broke"));
    assert_true(redis_peer_connections(&world.peer) <= 5);
    world_stop(&world);
}

/* It is no connection that the server just closed: nothing is sent again. */
static void a_server_that_speaks_another_protocol_is_of_no_use(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, SCRIPT({"LLEN", "HTTP/1.1 400 Bad Request\r\n"}), PAIRS("a"));
    world_run(&world);
    assert_false(world.usable);
    assert_non_null(strstr(error_text(&world.error), "Protocol error"));
    assert_int_equal(redis_peer_connections(&world.peer), 1);
    world_stop(&world);
}

/* More of them than links may be lost in a row, and none waits for one to be opened. */
static void a_reply_that_is_too_large_fails_its_query_alone(void **state)
{
    enum { LARGE = 8, SOON_MS = 3000 };
    (void)state;
    struct world world;
    world_start(&world, SCRIPT({"LLEN large", "*70000\r\n"}, {"LLEN", ":3\r\n"}),
                PAIRS("large", "large", "large", "large", "a", "large", "large", "large", "large",
                      "b", "c"));
    int64_t start_ms = clock_now_ms();
    world_run(&world);
    assert_true(world.usable);
    for (size_t i = 0; i < world.count; i++) {
        bool is_large = i != 4 && i < LARGE + 1;
        if (is_large)
            assert_ended_with(world.feed, i, TASK_FAILED, "the reply is too large");
        else
            assert_waiting(world.feed, i, 3);
        assert_int_equal(test_feed_task(world.feed, i)->returned, 0);
    }
    assert_int_equal(redis_peer_connections(&world.peer), 1 + LARGE);
    assert_in_range(clock_now_ms() - start_ms, 0, SOON_MS);
    world_stop(&world);
}

/* So that it costs the others nothing, it is read on another connection from the second time on. */
static void a_reply_that_is_too_large_costs_other_queries_nothing_again(void **state)
{
    enum { OTHERS_LINE = 1 };
    (void)state;
    struct world world;
    world_start(&world, SCRIPT({"LLEN large", "*70000\r\n"}, {"LLEN", ":3\r\n"}),
                PAIRS("large", "a"));
    int others = 0; /* how often they were read */
    for (int round = 1; round <= 3; round++) {
        test_feed_again(world.feed);
        world_run(&world);
        assert_true(world.usable);
        assert_ended_with(world.feed, 0, TASK_FAILED, "key \"large\": Redis at 127.0.0.1:");
        assert_ended_with(world.feed, 0, TASK_FAILED, "the reply is too large");
        assert_waiting(world.feed, 1, 3);
        assert_true(round == 1 || redis_peer_used(&world.peer, OTHERS_LINE) == others + 1);
        others = redis_peer_used(&world.peer, OTHERS_LINE);
    }
    world_stop(&world);
}

/* It takes less than what the engine isolates. */
static void a_key_that_was_slow_delays_no_other_again(void **state)
{
    enum { SLOW_MS = 500 };
    (void)state;
    struct world world;
    world_start(&world, SCRIPT({"LLEN slow", ":7\r\n", .wait_ms = SLOW_MS}, {"LLEN", ":3\r\n"}),
                PAIRS("slow", "a", "b"));
    test_feed_set_timeout(world.feed, LONG_MS);
    for (int round = 1; round <= 3; round++) {
        struct test_task *slow = test_feed_task(world.feed, 0);
        test_feed_again(world.feed);
        slow->task.isolate = false;
        slow->given = 0; /* the first one */
        size_t returned = slow->returned;
        world_run(&world);
        assert_true(world.usable);
        assert_waiting(world.feed, 0, 7);
        assert_int_equal(slow->order, 3);
        assert_int_equal(slow->returned - returned, round == 1); /* from its place before them */
    }
    world_stop(&world);
}

/* Both are routed by their first key. */
static void of_two_queries_of_a_key_the_quick_one_is_not_isolated(void **state)
{
    enum { SLOW_MS = 500 };
    (void)state;
    struct world world;
    world_start(&world,
                SCRIPT({"LLEN first", ":3\r\n"}, {"LLEN slow", "+QUEUED\r\n", .wait_ms = SLOW_MS},
                       {"LLEN", "+QUEUED\r\n"}, {"EXEC", "*2\r\n:3\r\n:4\r\n"}),
                PAIRS("first"));
    world_add(&world, "keys", "a,slow");
    world_add(&world, "keys", "a,b");
    test_feed_set_timeout(world.feed, LONG_MS);
    for (int round = 1; round <= 3; round++) {
        struct test_task *slow = test_feed_task(world.feed, 1);
        test_feed_again(world.feed);
        slow->task.isolate = false;
        slow->given = 0;
        world_run(&world);
        assert_true(world.usable);
        assert_waiting(world.feed, 1, 7);
        assert_waiting(world.feed, 2, 7);
        assert_int_equal(slow->order, 3);
    }
    world_stop(&world);
}

/* As soon as it is quick, it is read with the others. */
static void a_key_that_was_slow_once_is_read_with_the_others_again(void **state)
{
    enum { NETWORK_MS = 60, SLOW_MS = 400, MAX_ROUNDS = 50 };
    (void)state;
    struct world world;
    world_start(&world,
                SCRIPT({"CLIENT SETNAME", "+OK\r\n", .wait_ms = NETWORK_MS},
                       {"LLEN slow", ":7\r\n", .wait_ms = SLOW_MS, .times = 2},
                       {"LLEN slow", ":8\r\n", .connection = 1}, {"LLEN slow", ":9\r\n"}),
                PAIRS("slow"));
    test_feed_set_timeout(world.feed, LONG_MS);
    double waiting = 0;
    for (int round = 0; round < MAX_ROUNDS && waiting < 8; round++) {
        test_feed_again(world.feed);
        world_run(&world);
        assert_ended(world.feed, 0, TASK_ANSWERED);
        waiting = test_feed_task(world.feed, 0)->reading.waiting;
        assert_true((waiting < 8) == (round < 2));
        assert_true(round != 2 || waiting > 8);
        waiting = waiting > 8 ? 0 : waiting; /* it was isolated */
    }
    assert_float_equal(waiting, 8, 0);
    world_stop(&world);
}

enum { HANG_UPS_MS = 3000, MAX_HANG_UPS = 5 }; /* after 0, 250, 750 and 1,750 ms */

static void a_server_that_answers_and_hangs_up_is_not_connected_to_all_the_time(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, SCRIPT({"LLEN", ":3\r\n", .hangs_up = true}), PAIRS("a"));
    int64_t ends_ms = clock_now_ms() + HANG_UPS_MS;
    while (clock_now_ms() < ends_ms && redis_peer_connections(&world.peer) <= MAX_HANG_UPS) {
        test_feed_again(world.feed);
        world_run(&world);
        assert_true(world.usable);
        assert_ended(world.feed, 0, TASK_ANSWERED);
    }
    assert_in_range(redis_peer_connections(&world.peer), 3, MAX_HANG_UPS);
    world_stop(&world);
}

static void nor_is_it_for_an_isolated_query(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, SCRIPT({"LLEN", NULL}), PAIRS("a"));
    test_feed_task(world.feed, 0)->task.isolate = true;
    int64_t ends_ms = clock_now_ms() + HANG_UPS_MS;
    while (clock_now_ms() < ends_ms && redis_peer_connections(&world.peer) <= 1 + MAX_HANG_UPS) {
        test_feed_again(world.feed);
        world_run(&world);
        assert_true(world.usable);
        assert_ended(world.feed, 0, TASK_FAILED);
    }
    assert_in_range(redis_peer_connections(&world.peer), 4, 1 + MAX_HANG_UPS);
    world_stop(&world);
}

/* As nothing else is read, nobody else finds it. */
static void a_server_that_is_gone_is_noticed_by_an_isolated_query(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, SCRIPT({"CLIENT SETNAME", "+OK\r\n", .times = 1}, {"CLIENT SETNAME", NULL}),
                PAIRS("a"));
    test_feed_task(world.feed, 0)->task.isolate = true;
    world_run(&world); /* a busy one would not reply, either */
    assert_true(world.usable);
    assert_ended_with(world.feed, 0, TASK_FAILED, "broke");
    test_feed_again(world.feed);
    world_run(&world);
    assert_false(world.usable);
    assert_non_null(strstr(error_text(&world.error), "broke"));
    world_stop(&world);
}

static void one_that_only_refuses_its_connection_is_still_of_use(void **state)
{
    (void)state;
    struct world world;
    world_start(
        &world,
        SCRIPT({"CLIENT SETNAME", "+OK\r\n", .times = 1},
               {"CLIENT SETNAME", "-ERR max number of clients reached\r\n", .hangs_up = true},
               {"LLEN", ":3\r\n"}),
        PAIRS("a", "b"));
    test_feed_task(world.feed, 0)->task.isolate = true;
    world_run(&world);
    assert_true(world.usable);
    assert_ended_with(world.feed, 0, TASK_FAILED, "max number of clients");
    assert_waiting(world.feed, 1, 3);
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_query_that_hangs_neither_fails_nor_delays_those_behind_it),
        cmocka_unit_test(of_many_that_hang_each_is_isolated_soon),
        cmocka_unit_test(of_many_that_hang_none_has_the_others_sent_again_and_again),
        cmocka_unit_test(a_query_that_hangs_alone_has_its_whole_time),
        cmocka_unit_test(a_slow_network_is_not_taken_for_a_query_that_hangs),
        cmocka_unit_test(a_late_answer_is_not_taken_for_that_of_another_query),
        cmocka_unit_test(a_connection_that_was_closed_while_idle_fails_no_query),
        cmocka_unit_test(a_query_that_breaks_each_connection_fails_alone),
        cmocka_unit_test(a_server_that_breaks_each_connection_is_of_no_use),
        cmocka_unit_test(a_server_that_speaks_another_protocol_is_of_no_use),
        cmocka_unit_test(a_reply_that_is_too_large_fails_its_query_alone),
        cmocka_unit_test(a_reply_that_is_too_large_costs_other_queries_nothing_again),
        cmocka_unit_test(a_key_that_was_slow_delays_no_other_again),
        cmocka_unit_test(of_two_queries_of_a_key_the_quick_one_is_not_isolated),
        cmocka_unit_test(a_key_that_was_slow_once_is_read_with_the_others_again),
        cmocka_unit_test(a_server_that_answers_and_hangs_up_is_not_connected_to_all_the_time),
        cmocka_unit_test(nor_is_it_for_an_isolated_query),
        cmocka_unit_test(a_server_that_is_gone_is_noticed_by_an_isolated_query),
        cmocka_unit_test(one_that_only_refuses_its_connection_is_still_of_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
