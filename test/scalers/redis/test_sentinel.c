/* Redis's Sentinels: which master is taken, when they are asked again, and how long that may take.
 */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "redis/sentinel.h"
#include "scalers/ended.h"
#include "scalers/redis/sentinel_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

/* ---- which master ---- */

/* After a failover one that was cut off names the former master, until it hears of the new one. */
static void the_sentinel_with_the_newest_epoch_is_believed(void **state)
{
    static const struct {
        int epochs[SENTINELS];
        double length;
    } cases[] = {
        {{7, 8}, 2},
        {{8, 7}, 1},
        {{10, 9}, 1}, /* as numbers, and not as texts */
        {{0, 0}, 1},  /* of one that never saw a failover */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct world world;
        world_init(&world, SENTINELS);
        for (size_t one = 0; one < SENTINELS; one++)
            names_master(&world, one, 0, cases[i].epochs[one], one);
        int64_t start_ms = clock_now_ms();
        connect_client(&world);
        assert_true(measure(&world) == cases[i].length);
        assert_int_equal(clock_now_ms(), start_ms); /* both have answered: nothing is waited for */
        world_stop(&world);
    }
}

static void a_silent_sentinel_is_waited_for_a_moment_only(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, SENTINELS);
    is_silent(&world, 0, 0);
    names_master(&world, 1, 0, 7, 1);
    int64_t start_ms = clock_now_ms();
    connect_client(&world);
    assert_int_equal(clock_now_ms() - start_ms, GRACE_MS);
    assert_true(measure(&world) == 2);
    world_stop(&world);
}

/* The other one, where there is one. */
static void what_is_no_answer_is_explained_and_another_sentinel_is_enough(void **state)
{
    static const struct {
        struct redis_line lines[2];
        const char *words;
        int ms;
    } cases[] = {
        {{{"SENTINEL MASTER", ""}}, "cannot connect to Redis at 127.0.0.1:", CONNECT_MS},
        {{{"SENTINEL MASTER", "-ERR No such master with that name\r\n"}},
         "does not know the master \"shop\"",
         0},
        {{{"SENTINEL MASTER", "-NOPERM no\r\n"}}, "NOPERM", 0},
        {{{"SENTINEL MASTER", "*2\r\n$4\r\nname\r\n$4\r\nshop\r\n"}}, "no Sentinel names", 0},
        {{{"SENTINEL GET-MASTER-ADDR-BY-NAME", "*-1\r\n"}}, "no Sentinel names", 0},
        {{{"SENTINEL GET-MASTER-ADDR-BY-NAME", "*2\r\n$0\r\n\r\n$4\r\n6379\r\n"}},
         "names no host and port of the master \"shop\"",
         0},
        {{{"SENTINEL GET-MASTER-ADDR-BY-NAME", "*2\r\n$3\r\na b\r\n$4\r\n6379\r\n"}},
         "names no host and port of the master \"shop\"",
         0},
        {{{"SENTINEL GET-MASTER-ADDR-BY-NAME", "*2\r\n$9\r\n127.0.0.1\r\n$1\r\n0\r\n"}},
         "names no host and port of the master \"shop\"",
         0},
        {{{"SENTINEL GET-MASTER-ADDR-BY-NAME", "*2\r\n$9\r\n127.0.0.1\r\n$5\r\n65536\r\n"}},
         "names no host and port of the master \"shop\"",
         0},
        {{{"SUBSCRIBE", "-NOPERM no channel\r\n"}}, NULL, 0}, /* it has answered before */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        for (size_t count = 1; count <= SENTINELS; count++) {
            struct world world;
            world_init(&world, count);
            add_line(&world, 0, cases[i].lines[0]);
            names_master(&world, 0, 0, 3, 1);
            if (count == SENTINELS)
                names_master(&world, 1, 0, 2, 1);
            int64_t start_ms = clock_now_ms();
            bool is_enough = count == SENTINELS || cases[i].words == NULL;
            assert_true(connects(&world) == is_enough);
            if (is_enough)
                assert_true(measure(&world) == 2);
            else {
                assert_non_null(strstr(error_text(&world.error), cases[i].words));
                assert_int_equal(clock_now_ms() - start_ms, cases[i].ms);
            }
            world_stop(&world);
        }
}

static void
a_master_of_an_older_epoch_is_not_believed_once_the_newer_ones_sentinel_is_gone(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, SENTINELS);
    names_master(&world, 0, 0, 8, 1);
    names_master(&world, 1, 0, 7, 0);
    connect_client(&world);
    stop_sentinel(&world, 0);
    fast_time_pass(RETRY_MS); /* they were connected to just now */
    assert_true(measure(&world) == 2);
    push(&world, 1, SWITCH); /* which names the other one again */
    assert_true(measure(&world) == 2);
    assert_int_equal(redis_peer_connections(&world.sentinels[1]), 2);
    world_stop(&world);
}

static void an_epoch_counts_with_its_address_only(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, SENTINELS);
    names_master(&world, 0, 1, 5, 0);
    add_line(&world, 0,
             (struct redis_line){"SENTINEL MASTER", epoch_reply(&world, 9), .connection = 2});
    add_line(&world, 0,
             (struct redis_line){"SENTINEL GET-MASTER-ADDR-BY-NAME",
                                 address_reply(&world, "no host", "1"), .connection = 2});
    names_master(&world, 1, 0, 7, 1);
    connect_client(&world);
    fast_time_pass(RETRY_MS);
    push(&world, 0, SWITCH);
    assert_true(measure(&world) == 2);
    assert_int_equal(redis_peer_connections(&world.sentinels[0]), 2);
    world_stop(&world);
}

/* ---- SENTINEL REMOVE and MONITOR, which are no failover ---- */

static void another_master_is_found_within_a_minute_without_a_failover(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    names_master(&world, 0, 1, 5, 0);
    names_master(&world, 0, 0, 0, 1);
    replies_to_pings(&world, 0);
    connect_client(&world);
    fast_time_pass(REFRESH_MS - 1000);
    measure_for(&world, 500);
    assert_int_equal(redis_peer_connections(&world.sentinels[0]), 1);
    fast_time_pass(1000);
    assert_true(measure(&world) == 2);
    assert_int_equal(redis_peer_connections(&world.sentinels[0]), 2);
    world_stop(&world);
}

/* A failover is not waited for: it would have been reported. */
static void nothing_is_held_up_while_a_sentinel_is_asked_once_per_minute(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    names_master(&world, 0, 1, 5, 0);
    is_silent(&world, 0, 2);
    replies_to_pings(&world, 0);
    connect_client(&world);
    fast_time_pass(REFRESH_MS);
    measure_for(&world, CONNECT_MS - 1);
    assert_int_equal(redis_peer_connections(&world.sentinels[0]), 2);
    world_stop(&world);
}

static void a_sentinel_that_is_gone_for_minutes_no_longer_outvotes_the_others(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, SENTINELS);
    names_master(&world, 0, 0, 8, 0);
    names_master(&world, 1, 0, 0, 1);
    replies_to_pings(&world, 1);
    connect_client(&world);
    stop_sentinel(&world, 0);
    for (int64_t ms = 0; ms < SILENT_MS; ms += REFRESH_MS) {
        measure_for(&world, 100);
        fast_time_pass(REFRESH_MS);
    }
    assert_true(measure(&world) == 2);
    world_stop(&world);
}

/* They may be back, and nobody says anything else. */
static void sentinels_that_are_all_gone_are_believed(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 1);
    names_master(&world, 0, 0, 8, 0);
    connect_client(&world);
    stop_sentinel(&world, 0);
    fast_time_pass((int64_t)2 * SILENT_MS);
    assert_true(measure(&world) == 1);
    assert_true(measure(&world) == 1);
    world_stop(&world);
}

/* ---- how many ---- */

static void as_many_as_may_be_listed_are_freed(void **state)
{
    (void)state;
    _cleanup_(text_done) struct text addresses = {0};
    for (int i = 0; i < REDIS_MAX_SENTINELS; i++)
        text_addf(&addresses, "%ssentinel%d:26379", i == 0 ? "" : ",", i);
    _cleanup_(trigger_done) struct trigger trigger =
        trigger_of(&scaler_redis_sentinel, PAIRS("addresses", addresses.bytes, "sentinelMaster",
                                                 "shop", "listName", "jobs"));
    assert_true(trigger.good);
    redis_sentinels_free(redis_sentinels_new(trigger.options.connection, NULL));
}

/* ---- whether it still works ---- */

static void a_sentinel_that_replies_to_no_ping_is_connected_to_again(void **state)
{
    (void)state;
    for (int replies = 0; replies <= 1; replies++) {
        struct world world;
        world_init(&world, 1);
        names_master(&world, 0, 0, 1, 0);
        if (replies)
            replies_to_pings(&world, 0);
        connect_client(&world);
        measure_for(&world, 2 * PING_MS - 1); /* one ping, whose reply has time up to the next */
        assert_int_equal(redis_peer_connections(&world.sentinels[0]), 1);
        measure_for(&world, 2);
        assert_int_equal(redis_peer_connections(&world.sentinels[0]), replies ? 1 : 2);
        world_stop(&world);
    }
}

static void a_sentinel_that_cannot_be_connected_to_is_tried_each_second(void **state)
{
    enum { SECONDS = 4 };
    (void)state;
    struct world world;
    world_init(&world, SENTINELS);
    add_line(&world, 0, (struct redis_line){"SENTINEL MASTER", NULL});
    names_master(&world, 1, 0, 1, 0);
    connect_client(&world);
    measure_for(&world, SECONDS * RETRY_MS + 1);
    assert_int_equal(redis_peer_connections(&world.sentinels[0]), 1 + SECONDS);
    assert_int_equal(redis_peer_connections(&world.sentinels[1]), 2); /* no pong after 2 pings */
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sentinel_with_the_newest_epoch_is_believed),
        cmocka_unit_test(a_silent_sentinel_is_waited_for_a_moment_only),
        cmocka_unit_test(what_is_no_answer_is_explained_and_another_sentinel_is_enough),
        cmocka_unit_test(
            a_master_of_an_older_epoch_is_not_believed_once_the_newer_ones_sentinel_is_gone),
        cmocka_unit_test(an_epoch_counts_with_its_address_only),
        cmocka_unit_test(another_master_is_found_within_a_minute_without_a_failover),
        cmocka_unit_test(nothing_is_held_up_while_a_sentinel_is_asked_once_per_minute),
        cmocka_unit_test(a_sentinel_that_is_gone_for_minutes_no_longer_outvotes_the_others),
        cmocka_unit_test(sentinels_that_are_all_gone_are_believed),
        cmocka_unit_test(as_many_as_may_be_listed_are_freed),
        cmocka_unit_test(a_sentinel_that_replies_to_no_ping_is_connected_to_again),
        cmocka_unit_test(a_sentinel_that_cannot_be_connected_to_is_tried_each_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
