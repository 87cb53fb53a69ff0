/* Redis Cluster: nodes that redirect in circles, stand still, or lie. */
#include "base/clock.h"
#include "base/memory.h"
#include "measure/scaler_internal.h"
#include "redis/cluster/cluster.h"
#include "scalers/ended.h"
#include "scalers/redis/cluster_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <utlist.h>
#include <cmocka.h>

static void what_has_moved_is_read_where_it_is(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    add_line(&world, 0, LINE("LLEN", "-MOVED 9631 %B\r\n"));
    add_line(&world, 1, LINE("LLEN", ":3\r\n"));
    assert_true(world_connect(&world));
    world_run(&world);
    assert_waiting(world.feed, 0, 3);
    test_feed_again(world.feed); /* from then on at once */
    world_run(&world);
    assert_waiting(world.feed, 0, 3);
    assert_int_equal(redis_peer_used(&world.peers[0], 0), 1);
    world_stop(&world);
}

/* They were sent before the first of them was redirected, and count as one redirection. */
static void all_queries_of_a_slot_that_has_moved_follow_it(void **state)
{
    enum { MANY = 50 };
    (void)state;
    struct world world;
    world_begin(&world);
    add_line(&world, 0, LINE("LLEN", "-MOVED 9631 %B\r\n"));
    add_line(&world, 1, LINE("LLEN", ":3\r\n"));
    assert_true(world_connect(&world));
    for (size_t i = 1; i < MANY; i++)
        test_feed_add(world.feed, world.trigger.options.query, (struct notifier){0});
    world_run(&world);
    for (size_t i = 0; i < MANY; i++)
        assert_waiting(world.feed, i, 3);
    world_stop(&world);
}

/* Its sockets, and the types of keys, which nothing sets again. */
static void what_a_cluster_keeps_is_its_present_tenants(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    add_line(&world, 0, LINE("LLEN", "-WRONGTYPE x\r\n"));
    add_line(&world, 0, LINE("TYPE", "+set\r\n"));
    add_line(&world, 0, LINE("SCARD", ":3\r\n"));
    assert_true(world_connect(&world));
    const struct redis_cluster *cluster = world.client;
    world_run(&world);
    assert_waiting(world.feed, 0, 3);
    assert_true(cluster->link_budget.count > 0 && cluster->clients->key_types.memory.used > 0);
    world_stop(&world);
}

static void nodes_that_redirect_to_each_other_are_followed_a_few_times(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    add_line(&world, 0, LINE("LLEN", "-MOVED 9631 %B\r\n"));
    add_line(&world, 1, LINE("LLEN", "-MOVED 9631 %A\r\n"));
    assert_true(world_connect(&world));
    world_run(&world);
    assert_ended_with(world.feed, 0, TASK_FAILED, "is moved just now");
    int requests = redis_peer_used(&world.peers[0], 0) + redis_peer_used(&world.peers[1], 0);
    assert_in_range(requests, 2, 12); /* the map may have been read once meanwhile */
    assert_true(world.usable);
    world_stop(&world);
}

static void a_node_that_redirects_to_itself_is_not_followed(void **state)
{
    (void)state;
    static const char *const answers[] = {"-MOVED 9631 %A\r\n", "-ASK 9631 %A\r\n"};
    for (size_t i = 0; i < 2; i++) {
        struct world world;
        world_begin(&world);
        add_line(&world, 0, LINE("LLEN", answers[i]));
        assert_true(world_connect(&world));
        world_run(&world);
        assert_ended_with(world.feed, 0, TASK_FAILED, "is moved just now");
        assert_int_equal(redis_peer_used(&world.peers[0], 0), 1);
        world_stop(&world);
    }
}

static void a_slot_on_its_way_is_requested_once(void **state)
{
    (void)state;
    static const char *const answers[] = {":4\r\n", "-ASK 9631 %A\r\n", "-MOVED 9631 %A\r\n"};
    for (size_t i = 0; i < 3; i++) {
        struct world world;
        world_begin(&world);
        add_line(&world, 0, LINE("LLEN", "-ASK 9631 %B\r\n"));
        add_line(&world, 1, LINE("LLEN", answers[i]));
        add_line(&world, 1, LINE("ASKING", "+OK\r\n"));
        assert_true(world_connect(&world));
        world_run(&world);
        if (i == 0)
            assert_waiting(world.feed, 0, 4);
        else
            assert_ended_with(world.feed, 0, TASK_FAILED, "is moved just now");
        assert_int_equal(redis_peer_used(&world.peers[1], 0), 1);
        assert_int_equal(redis_peer_used(&world.peers[1], 1), 1);
        world_stop(&world);
    }
}

/* Each command in it is refused when it is queued. */
static void a_transaction_for_a_slot_on_its_way_is_requested_once(void **state)
{
    (void)state;
    static const char *const answers[] = {"-ASK 9631 %A\r\n", "-MOVED 9631 %A\r\n"};
    for (size_t i = 0; i < 2; i++) {
        struct world world;
        world_begin(&world);
        add_line(&world, 0, LINE("LLEN", "-ASK 9631 %B\r\n"));
        add_line(&world, 0, LINE("EXEC", "-EXECABORT Transaction discarded\r\n"));
        add_line(&world, 1, LINE("ASKING", "+OK\r\n"));
        add_line(&world, 1, LINE("LLEN", answers[i]));
        add_line(&world, 1, LINE("EXEC", "-EXECABORT Transaction discarded\r\n"));
        assert_true(world_connect_for(&world, "keys", "{jobs}a,{jobs}b"));
        world_run(&world);
        assert_ended_with(world.feed, 0, TASK_FAILED, "is moved just now");
        assert_int_equal(redis_peer_used(&world.peers[1], 0), 1);
        world_stop(&world);
    }
}

static void a_right_to_asking_that_is_missing_is_named(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    add_line(&world, 0, LINE("LLEN", "-ASK 9631 %B\r\n"));
    add_line(&world, 1, LINE("LLEN", "-MOVED 9631 %A\r\n"));
    add_line(&world, 1, LINE("ASKING", "-NOPERM no permissions to run the 'asking' command\r\n"));
    assert_true(world_connect(&world));
    world_run(&world);
    assert_ended_with(world.feed, 0, TASK_FAILED, "NOPERM no permissions to run the 'asking'");
    world_stop(&world);
}

/* TYPE is sent after LLEN, to the same node. */
static void what_follows_for_a_slot_on_its_way_goes_there_too(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    add_line(&world, 0, LINE("LLEN", "-ASK 9631 %B\r\n"));
    add_line(&world, 1, LINE("LLEN", "-WRONGTYPE no\r\n"));
    add_line(&world, 1, LINE("TYPE", "+set\r\n"));
    add_line(&world, 1, LINE("SCARD", ":5\r\n"));
    add_line(&world, 1, LINE("ASKING", "+OK\r\n"));
    assert_true(world_connect(&world));
    world_run(&world);
    assert_waiting(world.feed, 0, 5);
    assert_int_equal(redis_peer_used(&world.peers[1], 3), 3);
    world_stop(&world);
}

static void a_redirection_to_nowhere_is_named(void **state)
{
    (void)state;
    static const char *const answers[] = {"-MOVED 9631 ?:6379\r\n", "-MOVED\r\n", "-ASK 9631\r\n"};
    for (size_t i = 0; i < 3; i++) {
        struct world world;
        world_begin(&world);
        add_line(&world, 0, LINE("LLEN", answers[i]));
        assert_true(world_connect(&world));
        world_run(&world);
        assert_ended_with(world.feed, 0, TASK_FAILED, "key \"jobs\"");
        if (i != 1)
            assert_ended_with(world.feed, 0, TASK_FAILED, "redirects to an address that is none");
        world_stop(&world);
    }
}

/* As one that was stopped, and has another in its place by now. */
static void a_late_reply_is_not_believed(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    add_line(&world, 0, LINE("LLEN", ":9\r\n", .wait_ms = 700, .times = 1));
    add_line(&world, 0, LINE("LLEN", ":2\r\n"));
    assert_true(world_connect(&world));
    world_run(&world);
    assert_waiting(world.feed, 0, 2);
    world_stop(&world);
}

static void a_node_that_is_always_late_is_believed(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    add_line(&world, 0, LINE("LLEN", ":9\r\n", .wait_ms = 700));
    assert_true(world_connect(&world));
    world_run(&world);
    assert_waiting(world.feed, 0, 9);
    assert_int_equal(redis_peer_used(&world.peers[0], 0), 2);
    world_stop(&world);
}

static void a_key_that_is_always_late_is_believed_where_it_is_isolated(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    add_line(&world, 0, LINE("LLEN", ":9\r\n", .wait_ms = 700));
    assert_true(world_connect(&world));
    test_feed_task(world.feed, 0)->task.isolate = true;
    world_run(&world);
    assert_waiting(world.feed, 0, 9);
    assert_int_equal(redis_peer_used(&world.peers[0], 0), 2);
    world_stop(&world);
}

/* The map has the node that was silent in it no more. */
static void what_was_sent_to_a_former_master_goes_to_the_new_one(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    add_slots(&world, 0, 0, 1);
    add_line(&world, 0, LINE("LLEN", ""));
    add_slots(&world, 0, 1, 0);
    add_line(&world, 1, LINE("LLEN", ":6\r\n"));
    assert_true(world_connect(&world));
    int64_t start_ms = clock_now_ms();
    world_run(&world);
    assert_waiting(world.feed, 0, 6);
    assert_true(clock_now_ms() - start_ms < TIMEOUT_MS);
    world_stop(&world);
}

static void a_replica_is_not_read(void **state)
{
    (void)state;
    static const char *const roles[] = {
        "*5\r\n$5\r\nslave\r\n$1\r\na\r\n:1\r\n$9\r\nconnected\r\n:1\r\n",
        "*1\r\n$5\r\nslave\r\n",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(roles); i++) {
        struct world world;
        world_begin(&world);
        add_line(&world, 0, LINE("ROLE", roles[i]));
        add_line(&world, 0, LINE("LLEN", ":1\r\n"));
        assert_true(world_connect(&world));
        world_run(&world);
        assert_ended_with(
            world.feed, 0, TASK_FAILED,
            "is not the master that the nodes of the cluster say it is: its role is slave");
        assert_int_equal(redis_peer_used(&world.peers[0], 1), 0);
        world_stop(&world);
    }
}

/* As with Redis Software. */
static void a_node_without_role_is_asked_by_info(void **state)
{
    (void)state;
    static const struct {
        const char *info, *words; /* NULL: it is read */
    } rows[] = {
        {"$28\r\n# Replication\r\nrole:master\r\n\r\n", NULL},
        {"$27\r\n# Replication\r\nrole:slave\r\n\r\n", "its role is slave"},
        {"-NOPERM no right to 'info'\r\n", "does not allow its user to measure: NOPERM"},
        {"-ERR unknown command 'INFO'\r\n", "replied: ERR unknown command 'INFO'"},
        {"$0\r\n\r\n", "unexpected reply"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct world world;
        world_begin(&world);
        add_line(&world, 0, LINE("ROLE", "-ERR unknown command 'ROLE'\r\n"));
        add_line(&world, 0, LINE("INFO replication", rows[i].info));
        add_line(&world, 0, LINE("LLEN", ":3\r\n"));
        assert_true(world_connect(&world));
        world_run(&world);
        if (rows[i].words == NULL)
            assert_waiting(world.feed, 0, 3);
        else
            assert_ended_with(world.feed, 0, TASK_FAILED, rows[i].words);
        world_stop(&world);
    }
}

/* Who may not call ROLE is not taken for a server that has none. */
static void a_right_to_role_that_is_missing_is_named(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    add_line(&world, 0, LINE("ROLE", "-NOPERM no right to 'role'\r\n"));
    add_line(&world, 0, LINE("INFO replication", "$28\r\n# Replication\r\nrole:master\r\n\r\n"));
    assert_true(world_connect(&world));
    world_run(&world);
    assert_ended_with(world.feed, 0, TASK_FAILED, "NOPERM no right to 'role'");
    assert_int_equal(redis_peer_used(&world.peers[0], 1), 0);
    world_stop(&world);
}

/* Valkey 9 has them; Redis refuses SELECT. */
static void the_database_is_selected_at_each_node(void **state)
{
    enum { SELECT = 0 };
    (void)state;
    struct world world;
    world_begin(&world);
    world.database = "5";
    add_line(&world, 0, LINE("SELECT 5", "+OK\r\n"));
    add_line(&world, 0, LINE("LLEN", ":3\r\n"));
    assert_true(world_connect(&world));
    world_run(&world);
    assert_waiting(world.feed, 0, 3);
    assert_in_range(redis_peer_used(&world.peers[0], SELECT), 1, 3);
    world_stop(&world);
}

/* It is tried again after 250, 500, 1,000 and 2,000 ms. */
static void a_node_that_hangs_up_is_connected_to_ever_more_seldom(void **state)
{
    enum { NODE_MS = 3600, MAX_CONNECTIONS = 4 };
    (void)state;
    struct world world;
    world_begin(&world);
    add_slots(&world, 0, 1, 0);
    add_line(&world, 1, LINE("CLIENT SETNAME", NULL));
    assert_true(world_connect(&world));
    int64_t ends_ms = clock_now_ms() + NODE_MS;
    while (clock_now_ms() < ends_ms) {
        test_feed_again(world.feed);
        world_run(&world);
        assert_true(world.usable);
        assert_ended_with(world.feed, 0, TASK_FAILED, "broke");
        fast_time_pass(10);
    }
    assert_in_range(redis_peer_connections(&world.peers[1]), 3, MAX_CONNECTIONS);
    world_stop(&world);
}

/* Tasks come every few seconds: the first one after the outage is to be answered. */
static void a_node_that_hung_up_is_connected_to_before_it_is_needed(void **state)
{
    enum { AGAIN_MS = 1500, ROLE_LINE = 4 };
    (void)state;
    struct world world;
    world_begin(&world);
    add_slots(&world, 0, 1, 0);
    add_line(&world, 1, LINE("CLIENT SETNAME", NULL, .times = 1));
    add_line(&world, 1, LINE("LLEN", ":3\r\n"));
    add_slots(&world, 1, 1, 0);
    assert_true(world_connect(&world));
    test_feed_stay(world.feed, AGAIN_MS);
    world_run(&world);
    assert_true(world.usable);
    assert_ended_with(world.feed, 0, TASK_FAILED, "broke");
    assert_int_equal(redis_peer_used(&world.peers[1], ROLE_LINE),
                     1); /* to measure, not for a map */
    test_feed_again(world.feed);
    world_run(&world);
    assert_waiting(world.feed, 0, 3);
    assert_int_equal(redis_peer_used(&world.peers[1], ROLE_LINE), 1);
    world_stop(&world);
}

/* Nobody has tried to connect to it again, as nobody wanted it. */
static void a_node_that_failed_long_ago_is_connected_to_again(void **state)
{
    enum { LONG_AGO_MS = 120 * 1000 };
    (void)state;
    struct world world;
    world_begin(&world);
    add_slots(&world, 0, 1, 0);
    add_line(&world, 1, LINE("CLIENT SETNAME", NULL, .times = 1));
    add_line(&world, 1, LINE("LLEN", ":3\r\n"));
    add_slots(&world, 1, 1, 0);
    assert_true(world_connect(&world));
    world_run(&world);
    assert_ended_with(world.feed, 0, TASK_FAILED, "broke");
    ((struct redis_cluster *)world.client)->clients->wanted_ms -= LONG_AGO_MS;
    test_feed_again(world.feed);
    world_run(&world);
    assert_true(world.usable);
    assert_waiting(world.feed, 0, 3);
    world_stop(&world);
}

/* Without ASKING it would redirect to where the key was. */
static void a_slot_on_its_way_is_requested_of_a_node_that_failed_long_ago(void **state)
{
    enum { LONG_AGO_MS = 120 * 1000, ASKING_LINE = 1 };
    (void)state;
    struct world world;
    world_begin(&world);
    add_line(&world, 0, LINE("LLEN", "-ASK 9631 %B\r\n"));
    add_line(&world, 1, LINE("CLIENT SETNAME", NULL, .times = 1));
    add_line(&world, 1, LINE("ASKING", "+OK\r\n"));
    add_line(&world, 1, LINE("LLEN", ":4\r\n"));
    assert_true(world_connect(&world));
    world_run(&world);
    assert_ended_with(world.feed, 0, TASK_FAILED, "broke");
    struct redis_client *client;
    DL_FOREACH(((struct redis_cluster *)world.client)->clients, client)
        client->wanted_ms -= LONG_AGO_MS;
    test_feed_again(world.feed);
    world_run(&world);
    assert_true(world.usable);
    assert_waiting(world.feed, 0, 4);
    assert_int_equal(redis_peer_used(&world.peers[1], ASKING_LINE), 1);
    world_stop(&world);
}

/* The engine takes a task that fails for an answer: only the client finds that the node is gone. */
static void a_key_that_was_slow_is_read_at_the_successor_of_its_node(void **state)
{
    enum { SLOW_MS = 300 };
    (void)state;
    struct world world;
    world_begin(&world);
    add_slots(&world, 0, 1, 1);
    add_line(&world, 0, LINE("LLEN", ":6\r\n"));
    add_line(&world, 1, LINE("CLIENT SETNAME", "+OK\r\n", .times = 1));
    add_line(&world, 1, LINE("CLIENT SETNAME", NULL));
    add_line(&world, 1, LINE("LLEN", ":5\r\n", .wait_ms = SLOW_MS, .hangs_up = true));
    assert_true(world_connect(&world));
    world_run(&world);
    assert_waiting(world.feed, 0, 5);
    int64_t ends_ms = clock_now_ms() + LONG_MS;
    do {
        fast_time_pass(10);
        test_feed_again(world.feed);
        world_run(&world);
        assert_true(world.usable);
    } while (test_feed_task(world.feed, 0)->outcome == TASK_FAILED && clock_now_ms() < ends_ms);
    assert_waiting(world.feed, 0, 6);
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_moved_is_read_where_it_is),
        cmocka_unit_test(all_queries_of_a_slot_that_has_moved_follow_it),
        cmocka_unit_test(what_a_cluster_keeps_is_its_present_tenants),
        cmocka_unit_test(nodes_that_redirect_to_each_other_are_followed_a_few_times),
        cmocka_unit_test(a_node_that_redirects_to_itself_is_not_followed),
        cmocka_unit_test(a_slot_on_its_way_is_requested_once),
        cmocka_unit_test(a_transaction_for_a_slot_on_its_way_is_requested_once),
        cmocka_unit_test(a_right_to_asking_that_is_missing_is_named),
        cmocka_unit_test(what_follows_for_a_slot_on_its_way_goes_there_too),
        cmocka_unit_test(a_redirection_to_nowhere_is_named),
        cmocka_unit_test(a_late_reply_is_not_believed),
        cmocka_unit_test(a_node_that_is_always_late_is_believed),
        cmocka_unit_test(a_key_that_is_always_late_is_believed_where_it_is_isolated),
        cmocka_unit_test(what_was_sent_to_a_former_master_goes_to_the_new_one),
        cmocka_unit_test(a_replica_is_not_read),
        cmocka_unit_test(a_node_without_role_is_asked_by_info),
        cmocka_unit_test(a_right_to_role_that_is_missing_is_named),
        cmocka_unit_test(the_database_is_selected_at_each_node),
        cmocka_unit_test(a_node_that_hangs_up_is_connected_to_ever_more_seldom),
        cmocka_unit_test(a_node_that_hung_up_is_connected_to_before_it_is_needed),
        cmocka_unit_test(a_node_that_failed_long_ago_is_connected_to_again),
        cmocka_unit_test(a_slot_on_its_way_is_requested_of_a_node_that_failed_long_ago),
        cmocka_unit_test(a_key_that_was_slow_is_read_at_the_successor_of_its_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
