/* Redis's Sentinels: their master changes (+switch-master) or fails. */
#include "base/clock.h"
#include "base/memory.h"
#include "redis/client.h"
#include "scalers/ended.h"
#include "scalers/redis/sentinel_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static void a_sentinel_is_asked_again_after_a_failover_of_its_master(void **state)
{
    static const struct {
        const char *message;
        size_t connections;
    } cases[] = {
        {SWITCH, 2},
        {MESSAGE("$36\r\nshop-eu 127.0.0.1 6379 127.0.0.1 808\r\n"), 1}, /* of another master */
        {MESSAGE("$4\r\nshop\r\n"), 1},
        {MESSAGE("$-1\r\n"), 1},
        {MESSAGE("*1\r\n$32\r\nshop 127.0.0.1 6379 127.0.0.1 81\r\n"), 1},
        {"*2\r\n$4\r\npong\r\n$0\r\n\r\n", 1},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct world world;
        world_init(&world, 1);
        names_master(&world, 0, 1, 1, 0);
        names_master(&world, 0, 2, 2, 1);
        connect_client(&world);
        assert_true(measure(&world) == 1);
        fast_time_pass(RETRY_MS);
        push(&world, 0, cases[i].message);
        assert_true(measure(&world) == (double)cases[i].connections);
        assert_int_equal(redis_peer_connections(&world.sentinels[0]), cases[i].connections);
        world_stop(&world);
    }
}

static void nothing_is_sent_to_the_former_master_while_the_sentinel_is_asked_again(void **state)
{
    enum { SLOW_MS = 700 };
    (void)state;
    struct world world;
    world_init(&world, 1);
    names_master(&world, 0, 1, 1, 0);
    add_line(&world, 0, (struct redis_line){"CLIENT SETNAME", "+OK\r\n", .wait_ms = SLOW_MS});
    world.sentinel_lines[0][2].connection = 2;
    names_master(&world, 0, 2, 2, 1);
    connect_client(&world);
    fast_time_pass(RETRY_MS);
    push(&world, 0, SWITCH);
    int64_t start_ms = clock_now_ms();
    assert_true(measure(&world) == 2);
    assert_int_equal(clock_now_ms() - start_ms, SLOW_MS);
    assert_int_equal(redis_peer_used(&world.masters[0], 1), 0);
    world_stop(&world);
}

/* As though they had been elsewhere when the client connected. */
static void a_master_may_be_at_this_machine_where_its_sentinels_are_by_now(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    names_master(&world, 0, 1, 1, 0);
    names_master(&world, 0, 2, 2, 1);
    connect_client(&world);
    ((struct redis_client *)world.client)->server.may_be_local = false;
    fast_time_pass(RETRY_MS);
    push(&world, 0, SWITCH);
    assert_true(measure(&world) == 2);
    world_stop(&world);
}

static void the_former_master_is_measured_where_the_sentinel_does_not_answer_again(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    names_master(&world, 0, 1, 1, 0);
    is_silent(&world, 0, 2);
    connect_client(&world);
    fast_time_pass(RETRY_MS);
    push(&world, 0, SWITCH);
    int64_t start_ms = clock_now_ms();
    assert_true(measure(&world) == 1);
    assert_int_equal(clock_now_ms() - start_ms, CONNECT_MS);
    world_stop(&world);
}

/* Both are read at once where our thread comes to it late. */
static void a_failover_right_behind_the_reply_to_subscribe_is_noticed(void **state)
{
    static const char subscribed[] =
        "*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n" SWITCH;
    (void)state;
    struct world world;
    world_init(&world, 1);
    names_master(&world, 0, 1, 1, 0);
    names_master(&world, 0, 2, 2, 1);
    add_line(&world, 0, (struct redis_line){"SUBSCRIBE", subscribed, .times = 1});
    connect_client(&world);
    assert_true(measure(&world) == 2);
    assert_int_equal(redis_peer_connections(&world.sentinels[0]), 2);
    assert_int_equal(redis_peer_used(&world.masters[0], 1), 0);
    world_stop(&world);
}

static void push_once(struct world *world)
{
    redis_peer_push(&world->sentinels[0], SWITCH);
    world->on_time = NULL;
}

static void what_is_in_flight_at_the_former_master_is_sent_to_the_new_one(void **state)
{
    enum { PUSHED_AFTER_MS = 1200 };
    (void)state;
    struct world world;
    world_init(&world, 1);
    names_master(&world, 0, 1, 1, 0);
    names_master(&world, 0, 2, 2, 1);
    is_busy(&world, 0, LONG_MS);
    connect_client(&world);
    int64_t start_ms = clock_now_ms();
    world.at_ms = start_ms + PUSHED_AFTER_MS;
    world.on_time = push_once;
    assert_true(measure(&world) == 2);
    assert_int_equal(clock_now_ms() - start_ms, PUSHED_AFTER_MS);
    assert_int_equal(redis_peer_used(&world.masters[0], 1), 1);
    world_stop(&world);
}

/* The second time it does so while nothing is in flight: nothing may be sent until it is known
 * which master is meant. */
static void a_master_that_hangs_up_during_a_failover_ends_no_client(void **state)
{
    enum { PUSHED_AFTER_MS = 50, HANGS_UP_AFTER_MS = 100, SLOW_MS = 700 };
    (void)state;
    struct world world;
    world_init(&world, 1);
    names_master(&world, 0, 1, 1, 0);
    add_line(&world, 0,
             (struct redis_line){"CLIENT SETNAME", "+OK\r\n", .wait_ms = SLOW_MS, .connection = 2});
    names_master(&world, 0, 2, 2, 1);
    world.master_lines[0][1].answer = NULL;
    world.master_lines[0][2] = (struct redis_line){.command = "PING",
                                                   .answer = "+PONG\r\n",
                                                   .wait_ms = HANGS_UP_AFTER_MS,
                                                   .hangs_up = true,
                                                   .connection = 2};
    connect_client(&world);
    fast_time_pass(RETRY_MS);
    int64_t start_ms = clock_now_ms();
    world.at_ms = start_ms + PUSHED_AFTER_MS;
    world.on_time = push_once;
    assert_true(measure(&world) == 2);
    assert_int_equal(clock_now_ms() - start_ms, PUSHED_AFTER_MS + SLOW_MS);
    assert_int_equal(redis_peer_connections(&world.masters[0]), 2);
    assert_int_equal(redis_peer_used(&world.masters[0], 1), 1);
    world_stop(&world);
}

/* The Sentinel names the one that is gone once more, while it finds out. */
static void the_successor_of_a_master_that_was_killed_is_read_soon(void **state)
{
    enum { PAUSE_MS = 100, SOON_MS = 2 * RETRY_MS };
    (void)state;
    struct world world;
    world_init(&world, 1);
    names_master(&world, 0, 1, 1, 0);
    names_master(&world, 0, 2, 1, 0);
    names_master(&world, 0, 0, 2, 1);
    connect_client(&world);
    assert_true(measure(&world) == 1);
    fast_time_pass(RETRY_MS);
    stop_master(&world, 0);
    int64_t start_ms = clock_now_ms();
    size_t failures = 0;
    while (run_feed(&world) && test_feed_task(world.feed, 0)->outcome == TASK_FAILED) {
        assert_in_range(clock_now_ms() - start_ms, 0, SOON_MS);
        fast_time_pass(PAUSE_MS);
        failures++;
    }
    assert_waiting(world.feed, 0, 2);
    assert_true(failures > 1);
    world_stop(&world);
}

/* +switch-master was missed, as where the Sentinel's connection was just being made again. */
static void sentinels_are_asked_as_soon_as_the_master_fails(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    names_master(&world, 0, 1, 1, 0);
    names_master(&world, 0, 0, 2, 1);
    connect_client(&world);
    assert_true(measure(&world) == 1);
    fast_time_pass(RETRY_MS);
    stop_master(&world, 0);
    assert_true(run_feed(&world));
    assert_ended(world.feed, 0, TASK_FAILED);
    int64_t start_ms = clock_now_ms();
    assert_true(measure(&world) == 2);
    assert_int_equal(clock_now_ms(), start_ms);
    world_stop(&world);
}

/* Then there is nobody to name another one. */
static void a_client_whose_master_and_sentinels_are_gone_is_of_no_use(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    names_master(&world, 0, 0, 1, 0);
    connect_client(&world);
    assert_true(measure(&world) == 1);
    stop_sentinel(&world, 0);
    stop_master(&world, 0);
    assert_false(run_feed(&world));
    world_stop(&world);
}

/* Then the engine reports the connection as failed, as that of any other source. */
static void a_master_without_a_successor_for_a_minute_ends_the_client(void **state)
{
    enum { FAILOVER_MS = 60 * 1000, PAUSE_MS = 100, REOPEN_MS = 2000 };
    (void)state;
    struct world world;
    world_init(&world, 1);
    names_master(&world, 0, 0, 1, 0);
    replies_to_pings(&world, 0);
    connect_client(&world);
    assert_true(measure(&world) == 1);
    fast_time_pass(RETRY_MS);
    stop_master(&world, 0);
    int64_t start_ms = clock_now_ms();
    while (run_feed(&world)) {
        assert_ended(world.feed, 0, TASK_FAILED);
        fast_time_pass(PAUSE_MS);
        assert_in_range(clock_now_ms() - start_ms, 0, FAILOVER_MS + 2 * REOPEN_MS);
    }
    assert_in_range(clock_now_ms() - start_ms, FAILOVER_MS, FAILOVER_MS + 2 * REOPEN_MS);
    assert_non_null(strstr(error_text(&world.error), "Connection refused"));
    world_stop(&world);
}

/* It was back in between. */
static void a_master_that_fails_twice_has_a_minute_each_time(void **state)
{
    enum { FAILS_MS = 35 * 1000, PAUSE_MS = 100 };
    (void)state;
    struct world world;
    world_init(&world, 1);
    names_master(&world, 0, 0, 1, 0);
    replies_to_pings(&world, 0);
    connect_client(&world);
    assert_true(measure(&world) == 1);
    for (int failure = 1; failure <= 2; failure++) {
        int64_t start_ms = clock_now_ms();
        world.master_lines[0][0].answer = NULL;
        world.master_lines[0][1].answer = NULL;
        while (clock_now_ms() < start_ms + FAILS_MS) {
            fast_time_pass(PAUSE_MS);
            assert_true(run_feed(&world));
            assert_ended(world.feed, 0, TASK_FAILED);
        }
        world.master_lines[0][0].answer = MASTER;
        world.master_lines[0][1].answer = ":1\r\n";
        while (run_feed(&world) && test_feed_task(world.feed, 0)->outcome == TASK_FAILED)
            fast_time_pass(PAUSE_MS);
        assert_waiting(world.feed, 0, 1);
    }
    world_stop(&world);
}

static void push_often(struct world *world)
{
    enum { INTERVAL_MS = 100 };
    redis_peer_push(&world->sentinels[0], SWITCH);
    world->at_ms += INTERVAL_MS;
}

static void a_sentinel_that_reports_failovers_without_end_is_asked_once_per_second(void **state)
{
    enum { SECONDS = 5 };
    (void)state;
    struct world world;
    world_init(&world, 1);
    names_master(&world, 0, 0, 1, 0);
    connect_client(&world);
    world.at_ms = clock_now_ms() + 50;
    world.on_time = push_often;
    measure_for(&world, 1000 * SECONDS + 10);
    assert_int_equal(redis_peer_connections(&world.sentinels[0]), 1 + SECONDS);
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sentinel_is_asked_again_after_a_failover_of_its_master),
        cmocka_unit_test(nothing_is_sent_to_the_former_master_while_the_sentinel_is_asked_again),
        cmocka_unit_test(a_master_may_be_at_this_machine_where_its_sentinels_are_by_now),
        cmocka_unit_test(the_former_master_is_measured_where_the_sentinel_does_not_answer_again),
        cmocka_unit_test(a_failover_right_behind_the_reply_to_subscribe_is_noticed),
        cmocka_unit_test(what_is_in_flight_at_the_former_master_is_sent_to_the_new_one),
        cmocka_unit_test(a_master_that_hangs_up_during_a_failover_ends_no_client),
        cmocka_unit_test(the_successor_of_a_master_that_was_killed_is_read_soon),
        cmocka_unit_test(sentinels_are_asked_as_soon_as_the_master_fails),
        cmocka_unit_test(a_client_whose_master_and_sentinels_are_gone_is_of_no_use),
        cmocka_unit_test(a_master_without_a_successor_for_a_minute_ends_the_client),
        cmocka_unit_test(a_master_that_fails_twice_has_a_minute_each_time),
        cmocka_unit_test(a_sentinel_that_reports_failovers_without_end_is_asked_once_per_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
