/* Whose map of a Redis Cluster's slots is taken, and when it is read again. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler_internal.h"
#include "redis/cluster/cluster.h"
#include "scalers/ended.h"
#include "scalers/redis/cluster_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

/* A map of the node's in which nobody has the slot of "jobs", 9631. */
static void add_slots_of_others(struct world *world, size_t node, int times)
{
    _cleanup_(memory_free) char *slots =
        text_format("*1\r\n*3\r\n:0\r\n:9630\r\n*3\r\n$9\r\n127.0.0.1\r\n:%s\r\n$1\r\nx\r\n",
                    port_of(world, 0));
    add_line(world, node, (struct redis_line){"CLUSTER SLOTS", slots, .times = times});
}

static void a_slot_without_an_owner_is_an_error_and_no_request(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    add_slots_of_others(&world, 0, 0);
    add_line(&world, 0, LINE("LLEN", ":3\r\n"));
    assert_true(world_connect(&world));
    int64_t start_ms = clock_now_ms();
    world_run(&world);
    assert_ended_with(world.feed, 0, TASK_FAILED,
                      "no node of the Redis Cluster has its slot, 9631");
    assert_true(clock_now_ms() - start_ms < TIMEOUT_MS);
    assert_true(world.usable);
    assert_int_equal(redis_peer_used(&world.peers[0], 1), 0);
    world_stop(&world);
}

/* Of a cluster that is created, or repaired, once we are connected. */
static void a_slot_that_gets_an_owner_is_read(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    add_slots_of_others(&world, 0, 2);
    add_line(&world, 0, LINE("LLEN", ":3\r\n"));
    assert_true(world_connect(&world));
    world_run(&world);
    assert_ended_with(world.feed, 0, TASK_FAILED, "has its slot, 9631");
    test_feed_again(world.feed);
    world_run(&world);
    assert_waiting(world.feed, 0, 3);
    world_stop(&world);
}

/* Nothing else keeps the loop at work: its tasks have ended. */
static void a_doubt_has_the_map_read_without_another_task(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    add_slots(&world, 0, 0, 1);
    add_line(&world, 0, LINE("LLEN", "-CLUSTERDOWN Hash slot not served\r\n"));
    add_slots(&world, 0, 1, 0);
    add_line(&world, 1, LINE("LLEN", ":6\r\n"));
    assert_true(world_connect(&world));
    test_feed_stay(world.feed, TIMEOUT_MS / 2);
    world_run(&world);
    assert_ended_with(world.feed, 0, TASK_FAILED, "Hash slot not served");
    test_feed_again(world.feed);
    world_run(&world);
    assert_waiting(world.feed, 0, 6);
    world_stop(&world);
}

/* The task has ended: the client measures nothing, and reads maps. */
static void run_until_used(struct world *world, size_t node, size_t line, int times)
{
    enum { TURN_MS = 10 };
    int64_t deadline_ms = clock_now_ms() + LONG_MS;
    while (redis_peer_used(&world->peers[node], line) < times && clock_now_ms() < deadline_ms) {
        test_feed_stay(world->feed, TURN_MS);
        world_run(world);
    }
    assert_true(redis_peer_used(&world->peers[node], line) >= times);
}

/* The map may be from before it, where it is the same as the last one. */
static void a_doubt_while_the_map_is_read_has_it_read_again(void **state)
{
    enum { SLOTS_LINE = 1, SLOW_MS = 400 };
    (void)state;
    struct world world;
    world_begin(&world);
    add_slots(&world, 0, 0, 1);
    add_slots(&world, 0, 0, 0);
    world.lines[0][SLOTS_LINE].wait_ms = SLOW_MS;
    add_line(&world, 0, LINE("LLEN", "-CLUSTERDOWN Hash slot not served\r\n"));
    assert_true(world_connect(&world));
    for (int times = 1; times <= 2; times++) {
        test_feed_again(world.feed);
        world_run(&world);
        assert_ended_with(world.feed, 0, TASK_FAILED, "Hash slot not served");
        run_until_used(&world, 0, SLOTS_LINE, times);
    }
    world_stop(&world);
}

/* After the first node has failed; what it said is freed. */
static void a_client_may_end_while_the_map_is_read(void **state)
{
    enum { SLOTS_LINE = 1 };
    (void)state;
    struct world world;
    world_begin(&world);
    add_slots(&world, 0, 0, 1);
    add_line(&world, 0, LINE("CLUSTER SLOTS", ""));
    add_line(&world, 0, LINE("LLEN", "-CLUSTERDOWN Hash slot not served\r\n"));
    add_line(&world, 1, LINE("CLUSTER SLOTS", "-ERR no map\r\n"));
    assert_true(world_connect_to_both(&world));
    world_run(&world);
    assert_ended_with(world.feed, 0, TASK_FAILED, "Hash slot not served");
    run_until_used(&world, 0, SLOTS_LINE, 1);
    world_stop(&world);
}

/* Its node goes on for others, and no node has a map to say whose the key is. */
static void a_key_without_an_owner_fails_where_no_map_can_be_read(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    add_slots_of_others(&world, 0, 1);
    add_line(&world, 0, LINE("CLUSTER SLOTS", "-ERR no map\r\n"));
    add_line(&world, 0, LINE("LLEN", ":3\r\n"));
    assert_true(world_connect(&world));
    _cleanup_(trigger_done) struct trigger videos = trigger_of(
        &scaler_redis_cluster, PAIRS("address", world.peers[0].address, "listName", "videos"));
    test_feed_add(world.feed, videos.options.query, (struct notifier){0});
    world_run(&world);
    assert_true(world.usable);
    assert_ended_with(world.feed, 0, TASK_FAILED, "no node of the Redis Cluster answers");
    assert_waiting(world.feed, 1, 3);
    world_stop(&world);
}

/* A map in which the first node has the slots up to `last`, and the second one that of "jobs", and
 * those behind it. */
static void add_slots_of_both(struct world *world, size_t node, int last, int times)
{
    _cleanup_(memory_free) char *slots =
        text_format("*2\r\n*3\r\n:0\r\n:%d\r\n*3\r\n$9\r\n127.0.0.1\r\n:%s\r\n$1\r\nx\r\n"
                    "*3\r\n:9631\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:%s\r\n$1\r\ny\r\n",
                    last, port_of(world, 0), port_of(world, 1));
    add_line(world, node, (struct redis_line){"CLUSTER SLOTS", slots, .times = times});
}

static void a_node_that_keeps_its_slots_keeps_its_connections(void **state)
{
    enum { SLOTS_LINE = 0, ROLE_LINE = 4 };
    (void)state;
    struct world world;
    world_begin(&world);
    add_slots_of_both(&world, 0, 9630, 1);
    add_slots_of_both(&world, 0, 9629, 0);
    add_slots_of_both(&world, 1, 9629, 0);
    add_line(&world, 1, LINE("LLEN", "-CLUSTERDOWN Hash slot not served\r\n", .times = 1));
    add_line(&world, 1, LINE("LLEN", ":6\r\n"));
    assert_true(world_connect(&world));
    test_feed_stay(world.feed, TIMEOUT_MS / 2);
    world_run(&world);
    assert_ended_with(world.feed, 0, TASK_FAILED, "Hash slot not served");
    assert_true(redis_peer_used(&world.peers[1], SLOTS_LINE) > 0);
    test_feed_again(world.feed);
    world_run(&world);
    assert_waiting(world.feed, 0, 6);
    assert_int_equal(redis_peer_used(&world.peers[1], ROLE_LINE), 1); /* of one to measure */
    world_stop(&world);
}

/* It was taken out of the cluster, or has lost its configuration. */
static void a_node_that_knows_no_slots_is_passed_over(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    add_line(&world, 0, LINE("CLUSTER SLOTS", "*0\r\n"));
    add_line(&world, 0, LINE("LLEN", ":3\r\n"));
    assert_true(world_connect_to_both(&world));
    world_run(&world);
    assert_waiting(world.feed, 0, 3);
    world_stop(&world);
}

static void a_node_that_forgets_all_slots_is_not_believed(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    add_slots_of_others(&world, 0, 1);
    add_line(&world, 0, LINE("CLUSTER SLOTS", "*0\r\n"));
    add_slots(&world, 1, 1, 0);
    add_line(&world, 1, LINE("LLEN", ":3\r\n"));
    assert_true(world_connect_to_both(&world));
    world_run(&world);
    assert_waiting(world.feed, 0, 3);
    world_stop(&world);
}

/* Nobody tells the first node of the new master, who was a replica of the former one, and connects
 * so slowly. */
static void measure_where_the_map_leads_nowhere(int wait_ms)
{
    struct world world;
    world_begin(&world);
    _cleanup_(memory_free) char *slots =
        text_format("*1\r\n*4\r\n:0\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:1\r\n$1\r\nx\r\n"
                    "*3\r\n$9\r\n127.0.0.1\r\n:%s\r\n$1\r\ny\r\n",
                    port_of(&world, 1));
    add_line(&world, 0, (struct redis_line){"CLUSTER SLOTS", slots});
    add_slots(&world, 1, 1, 0);
    add_line(&world, 1, LINE("LLEN", ":3\r\n"));
    add_line(&world, 1, LINE("CLIENT SETNAME", "+OK\r\n", .wait_ms = wait_ms));
    assert_true(world_connect(&world));
    test_feed_stay(world.feed, TIMEOUT_MS / 2 + wait_ms);
    world_run(&world);
    assert_ended_with(world.feed, 0, TASK_FAILED, "cannot connect to Redis at 127.0.0.1:1");
    test_feed_again(world.feed);
    world_run(&world);
    assert_waiting(world.feed, 0, 3);
    world_stop(&world);
}

static void where_a_map_leads_nowhere_another_node_is_asked(void **state)
{
    (void)state;
    measure_where_the_map_leads_nowhere(0);
}

/* The near one, whose map leads nowhere, would reply before it. */
static void where_a_map_leads_nowhere_a_node_far_away_is_asked(void **state)
{
    (void)state;
    measure_where_the_map_leads_nowhere(600);
}

static void a_map_that_is_doubted_for_long_costs_few_connections(void **state)
{
    enum { DOUBTED_MS = 3500, SLOTS_LINE = 1 };
    (void)state;
    struct world world;
    world_begin(&world);
    add_line(&world, 0, LINE("LLEN", "-CLUSTERDOWN Hash slot not served\r\n"));
    assert_true(world_connect(&world));
    for (int64_t until_ms = clock_now_ms() + DOUBTED_MS; clock_now_ms() < until_ms;) {
        test_feed_again(world.feed);
        world_run(&world);
        assert_ended_with(world.feed, 0, TASK_FAILED, "Hash slot not served");
        fast_time_pass(10);
    }
    assert_in_range(redis_peer_used(&world.peers[0], SLOTS_LINE), 3, 5);
    assert_int_equal(redis_peer_connections(&world.peers[0]), 3); /* to measure, and two for maps */
    world_stop(&world);
}

/* As where there are more nodes than a namespace may have links. */
static void the_map_is_read_where_no_more_links_are_allowed(void **state)
{
    enum { SLOTS_LINE = 2 };
    (void)state;
    struct world world;
    world_begin(&world);
    add_line(&world, 0, LINE("LLEN", ":3\r\n", .times = 1));
    add_line(&world, 0, LINE("LLEN", "-CLUSTERDOWN Hash slot not served\r\n"));
    assert_true(world_connect(&world));
    world_run(&world);
    assert_waiting(world.feed, 0, 3);
    struct redis_link_budget *budget = &((struct redis_cluster *)world.client)->link_budget;
    struct source_memory others[12] = {0};
    size_t count = budget->count;
    budget->count = REDIS_MAX_NODES;
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        while (source_memory_set(&others[i], others[i].used + 4096))
            continue;
    test_feed_stay(world.feed, TIMEOUT_MS / 2);
    test_feed_again(world.feed);
    world_run(&world);
    assert_true(redis_peer_used(&world.peers[0], SLOTS_LINE) > 1);
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        assert_true(source_memory_set(&others[i], 0));
    budget->count = count;
    world_stop(&world);
}

/* So many addresses of the first node, then one of the second, within the time that a client has.
 */
static bool connect_by_many(struct world *world, size_t count)
{
    struct text addresses = {0};
    for (size_t i = 0; i < count; i++)
        text_addf(&addresses, "%s,", world->peers[0].address);
    text_addf(&addresses, "%s", world->peers[1].address);
    world->connect_ms = 2000;
    bool good = world_connect_at(world, addresses.bytes, "listName", "jobs");
    text_done(&addresses);
    return good;
}

static void nodes_that_are_all_slow_have_the_time_that_they_need(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    for (size_t i = 0; i < NODES; i++)
        add_line(&world, i, LINE("CLIENT SETNAME", "+OK\r\n", .wait_ms = 400));
    add_line(&world, 0, LINE("LLEN", ":3\r\n"));
    if (!connect_by_many(&world, 13))
        fail_msg("%s", error_text(&world.error));
    world_run(&world);
    assert_waiting(world.feed, 0, 3);
    world_stop(&world);
}

static void nodes_that_do_not_respond_keep_nobody_from_the_others(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    add_line(&world, 0, LINE("CLIENT SETNAME", ""));
    add_line(&world, 1, LINE("CLIENT SETNAME", "+OK\r\n", .wait_ms = 400));
    if (!connect_by_many(&world, 6))
        fail_msg("%s", error_text(&world.error));
    world_stop(&world);
}

static void a_map_that_is_none_ends_the_attempt(void **state)
{
    (void)state;
    static const struct {
        const char *answer, *words;
    } cases[] = {
        {"*70000\r\n", "too large"},
        {"*1\r\n*60000\r\n*60000\r\n", "too large"},
        {"*1\r\n+OK\r\n", "an item is no range of slots"},
        {"*0\r\n", "no node has a slot, it says"},
        {"-ERR This instance has cluster support disabled\r\n", "set scaler to redis or"},
        {"-NOPERM no\r\n", "does not allow its user"},
        {"", "no answer in time"},
        {NULL, "no node of the Redis Cluster answers"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world world;
        world_begin(&world);
        add_line(&world, 0, LINE("CLUSTER SLOTS", cases[i].answer));
        assert_false(world_connect(&world));
        if (strstr(error_text(&world.error), cases[i].words) == NULL)
            fail_msg("%s", error_text(&world.error));
        world_stop(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slot_without_an_owner_is_an_error_and_no_request),
        cmocka_unit_test(a_slot_that_gets_an_owner_is_read),
        cmocka_unit_test(a_doubt_has_the_map_read_without_another_task),
        cmocka_unit_test(a_doubt_while_the_map_is_read_has_it_read_again),
        cmocka_unit_test(a_client_may_end_while_the_map_is_read),
        cmocka_unit_test(a_key_without_an_owner_fails_where_no_map_can_be_read),
        cmocka_unit_test(a_node_that_keeps_its_slots_keeps_its_connections),
        cmocka_unit_test(a_node_that_knows_no_slots_is_passed_over),
        cmocka_unit_test(a_node_that_forgets_all_slots_is_not_believed),
        cmocka_unit_test(where_a_map_leads_nowhere_another_node_is_asked),
        cmocka_unit_test(where_a_map_leads_nowhere_a_node_far_away_is_asked),
        cmocka_unit_test(a_map_that_is_doubted_for_long_costs_few_connections),
        cmocka_unit_test(the_map_is_read_where_no_more_links_are_allowed),
        cmocka_unit_test(nodes_that_are_all_slow_have_the_time_that_they_need),
        cmocka_unit_test(nodes_that_do_not_respond_keep_nobody_from_the_others),
        cmocka_unit_test(a_map_that_is_none_ends_the_attempt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
