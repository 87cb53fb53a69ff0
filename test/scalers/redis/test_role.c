/* Redis: whether a server may be read, by its role. */
#include "base/memory.h"
#include "base/text.h"
#include "redis/client.h"
#include "scalers/ended.h"
#include "scalers/redis/links_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#define REPLICA(state) "*5\r\n$5\r\nslave\r\n$4\r\nshop\r\n:6379\r\n$" state "\r\n:0\r\n"
#define CONNECTED "9\r\nconnected"
#define MISSES_DATA                                                                                \
    "is a replica that is not connected to its master (state connect): its data may be missing "   \
    "or old"

/* An empty one reads as 0. */
static void a_replica_that_is_not_connected_to_its_master_is_refused(void **state)
{
    static const char *const states[] = {"4\r\nnone", "7\r\nconnect", "10\r\nconnecting",
                                         "9\r\nhandshake", "4\r\nsync"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(states); i++) {
        struct world world;
        _cleanup_(memory_free) char *role =
            text_format("*5\r\n$5\r\nslave\r\n$4\r\nshop\r\n:6379\r\n$%s\r\n:-1\r\n", states[i]);
        _cleanup_(memory_free) char *words = text_format("(state %s)", strchr(states[i], '\n') + 1);
        assert_false(world_connect(&world, SCRIPT({"ROLE", role}, {"LLEN", ":0\r\n"}), PAIRS("a")));
        assert_non_null(strstr(error_text(&world.error), words));
        world_stop(&world);
    }
}

/* Before 2.8.12, of a user with few rights, a proxy, and servers with states of their own. */
static void a_server_whose_role_is_not_known_is_measured(void **state)
{
    static const char *const roles[] = {
        "-ERR unknown command 'ROLE'\r\n",
        "-NOPERM this user has no permissions to run the 'role' command\r\n",
        "+OK\r\n",
        "*0\r\n",
        "*4\r\n$5\r\nslave\r\n$4\r\nshop\r\n:6379\r\n$-1\r\n",
        "*4\r\n$5\r\nslave\r\n$4\r\nshop\r\n$4\r\n6379\r\n$11\r\nstable_sync\r\n",
        MASTER,
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(roles); i++) {
        struct world world;
        world_start(&world, SCRIPT({"ROLE", roles[i]}, {"LLEN", ":3\r\n"}), PAIRS("a"));
        world_run(&world);
        assert_true(world.usable);
        assert_ended(world.feed, 0, TASK_ANSWERED);
        world_stop(&world);
    }
}

#define INFO_REPLICA(state)                                                                        \
    "# Replication\r\nrole:slave\r\nmaster_host:shop\r\nmaster_link_status:" state "\r\n"

/* It is asked once for ROLE. */
static void a_server_without_role_is_asked_by_info(void **state)
{
    static const struct {
        const char *info;
        bool is_read;
    } rows[] = {
        {"# Replication\r\nrole:master\r\nconnected_slaves:0\r\n", true},
        {INFO_REPLICA("up"), true},
        {INFO_REPLICA("down"), false},
        {"# Replication\r\nmaster_link_status:down\r\n", true},
        {"", true},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct world world;
        _cleanup_(memory_free) char *info =
            text_format("$%zu\r\n%s\r\n", strlen(rows[i].info), rows[i].info);
        const struct redis_line *script = SCRIPT({"ROLE", "-ERR unknown command 'ROLE'\r\n"},
                                                 {"INFO replication", info}, {"LLEN", ":3\r\n"});
        if (!rows[i].is_read) {
            assert_false(world_connect(&world, script, PAIRS("a")));
            assert_non_null(strstr(error_text(&world.error), "(state down)"));
        } else {
            world_start(&world, script, PAIRS("a"));
            world_run(&world);
            assert_true(world.usable);
            assert_waiting(world.feed, 0, 3);
        }
        assert_int_equal(redis_peer_used(&world.peer, 0), 1);
        world_stop(&world);
    }
}

static void a_replica_that_loses_its_master_is_read_no_more(void **state)
{
    (void)state;
    struct world world;
    world_start(&world,
                SCRIPT({"ROLE", REPLICA(CONNECTED), .times = 2}, {"ROLE", REPLICA("7\r\nconnect")},
                       {"LLEN", ":3\r\n", .times = 2}, {"LLEN", ":0\r\n"}),
                PAIRS("a", "b"));
    world_run(&world);
    assert_true(world.usable);
    assert_ended(world.feed, 0, TASK_ANSWERED);
    assert_ended(world.feed, 1, TASK_ANSWERED);
    assert_int_equal(redis_peer_used(&world.peer, 0), 2); /* for both keys once */

    test_feed_again(world.feed);
    world_run(&world);
    assert_false(world.usable);
    assert_false(test_feed_task(world.feed, 0)->ended);
    assert_false(test_feed_task(world.feed, 1)->ended);
    assert_non_null(strstr(error_text(&world.error), MISSES_DATA));
    world_stop(&world);
}

/* Its connection would be kept while it is measured more than once per second. */
static void a_replica_that_loses_its_master_is_read_no_more_by_an_isolated_query(void **state)
{
    (void)state;
    struct world world;
    world_start(&world,
                SCRIPT({"ROLE", REPLICA(CONNECTED), .times = 2}, {"ROLE", REPLICA("7\r\nconnect")},
                       {"LLEN", ":3\r\n", .times = 1}, {"LLEN", ":0\r\n"}),
                PAIRS("a"));
    test_feed_task(world.feed, 0)->task.isolate = true;
    world_run(&world);
    assert_waiting(world.feed, 0, 3);
    test_feed_again(world.feed);
    world_run(&world);
    assert_ended_with(world.feed, 0, TASK_FAILED, MISSES_DATA);
    world_stop(&world);
}

/* After a stall one query is sent at first. The role before it is the link's own affair: were it
 * the one command, nobody's time would be over where it is not replied to. */
static void a_server_that_falls_silent_after_a_stall_is_a_lost_connection(void **state)
{
    (void)state;
    struct world world;
    world_start(&world,
                SCRIPT({"LLEN hang", ""}, {"ROLE", REPLICA(CONNECTED), .connection = 1},
                       {"ROLE", REPLICA(CONNECTED), .connection = 2, .times = 1}, {"ROLE", ""},
                       {"LLEN", ":3\r\n"}),
                PAIRS("hang", "a"));
    world_run(&world);
    assert_false(world.usable);
    assert_non_null(strstr(error_text(&world.error), "no answer in time"));
    assert_false(test_feed_task(world.feed, 1)->ended);
    world_stop(&world);
}

/* The first one on each connection is. Else the query would be sent again and again. */
static void a_role_that_is_not_replied_to_costs_a_query_one_connection(void **state)
{
    (void)state;
    struct world world;
    world_start(&world,
                SCRIPT({"ROLE", REPLICA(CONNECTED), .connection = 1, .times = 1},
                       {"ROLE", REPLICA(CONNECTED), .connection = 2, .times = 1},
                       {"ROLE", REPLICA(CONNECTED), .connection = 3, .times = 1},
                       {"ROLE", REPLICA(CONNECTED), .connection = 4, .times = 1}, {"ROLE", ""},
                       {"LLEN", ":3\r\n"}),
                PAIRS("a"));
    world_run(&world);
    assert_true(world.usable);
    assert_waiting(world.feed, 0, 3);
    assert_int_equal(test_feed_task(world.feed, 0)->returned, 1); /* isolated */
    assert_in_range(redis_peer_connections(&world.peer), 3, 4);
    world_stop(&world);
}

/* As if the role had been read so long ago. */
static void age_role(struct world *world, int64_t ms)
{
    ((struct redis_client *)world->client)->links.shared->role_ms -= ms;
}

/* By REPLICAOF, which leaves its connections; it may read as empty then. */
static void a_master_that_is_made_a_replica_is_noticed(void **state)
{
    enum { MASTER_MS = 1000 };
    (void)state;
    struct world world;
    world_start(
        &world,
        SCRIPT({"ROLE", MASTER, .times = 1}, {"ROLE", REPLICA("7\r\nconnect")}, {"LLEN", ":3\r\n"}),
        PAIRS("a"));
    world_run(&world);
    assert_waiting(world.feed, 0, 3);
    age_role(&world, MASTER_MS);
    test_feed_again(world.feed);
    world_run(&world);
    assert_false(world.usable);
    assert_false(test_feed_task(world.feed, 0)->ended);
    assert_non_null(strstr(error_text(&world.error), MISSES_DATA));
    world_stop(&world);
}

/* Its answer to ROLE comes late: what is behind has more time than that. */
static void a_busy_master_whose_role_is_read_again_is_waited_for(void **state)
{
    enum { MASTER_MS = 1000, BUSY_MS = 2500 };
    (void)state;
    struct world world;
    world_start(&world,
                SCRIPT({"ROLE", MASTER, .times = 1}, {"ROLE", MASTER, .wait_ms = BUSY_MS},
                       {"LLEN", ":3\r\n"}),
                PAIRS("a"));
    test_feed_set_timeout(world.feed, LONG_MS);
    age_role(&world, MASTER_MS);
    world_run(&world);
    assert_true(world.usable);
    assert_waiting(world.feed, 0, 3);
    world_stop(&world);
}

/* No command more than before in each round. */
/* The same where only INFO says so. */
static void a_master_without_role_that_is_made_a_replica_is_noticed(void **state)
{
    enum { MASTER_MS = 1000 };
    (void)state;
    struct world world;
    world_start(
        &world,
        SCRIPT({"ROLE", "-ERR unknown command 'ROLE'\r\n"},
               {"INFO replication", "$28\r\n# Replication\r\nrole:master\r\n\r\n", .times = 1},
               {"INFO replication", "$52\r\n# Replication\r\nrole:slave\r\n"
                                    "master_link_status:down\r\n\r\n"},
               {"LLEN", ":3\r\n"}),
        PAIRS("a"));
    world_run(&world);
    assert_waiting(world.feed, 0, 3);
    age_role(&world, MASTER_MS);
    test_feed_again(world.feed);
    world_run(&world);
    assert_false(world.usable);
    assert_non_null(strstr(error_text(&world.error), "(state down): its data may be missing"));
    world_stop(&world);
}

static void of_a_master_the_role_is_read_once(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, SCRIPT({"ROLE", MASTER}, {"LLEN", ":3\r\n"}), PAIRS("a"));
    for (int round = 0; round < 3; round++) {
        world_run(&world);
        assert_ended(world.feed, 0, TASK_ANSWERED);
        test_feed_again(world.feed);
    }
    assert_int_equal(redis_peer_used(&world.peer, 0), 1);
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replica_that_is_not_connected_to_its_master_is_refused),
        cmocka_unit_test(a_server_whose_role_is_not_known_is_measured),
        cmocka_unit_test(a_server_without_role_is_asked_by_info),
        cmocka_unit_test(a_replica_that_loses_its_master_is_read_no_more),
        cmocka_unit_test(a_replica_that_loses_its_master_is_read_no_more_by_an_isolated_query),
        cmocka_unit_test(a_server_that_falls_silent_after_a_stall_is_a_lost_connection),
        cmocka_unit_test(a_role_that_is_not_replied_to_costs_a_query_one_connection),
        cmocka_unit_test(a_master_that_is_made_a_replica_is_noticed),
        cmocka_unit_test(a_busy_master_whose_role_is_read_again_is_waited_for),
        cmocka_unit_test(a_master_without_role_that_is_made_a_replica_is_noticed),
        cmocka_unit_test(of_a_master_the_role_is_read_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
