/* Redis Cluster: nodes that redirect in circles, stand still, or lie. */
#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler.h"
#include "measure/scaler_internal.h"
#include "redis/cluster/cluster.h"
#include "scalers/ended.h"
#include "scalers/redis/peer.h"
#include "scalers/trigger.h"
#include "support/feed.h"

#include <dlfcn.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

extern const struct scaler scaler_redis_cluster;

enum { NODES = 2, LINES = 8, TIMEOUT_MS = 3000, LONG_MS = 20 * 1000 };

#define MASTER "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"

/* Two nodes, of which the first has all slots as both say, and a task for each key. In a line of a
 * script %A and %B are the nodes' addresses. */
struct world {
    struct redis_peer peers[NODES];
    struct redis_line lines[NODES][LINES];
    size_t counts[NODES];
    char *texts[NODES * LINES];
    size_t texts_count;
    struct trigger trigger;
    struct test_feed *feed;
    int64_t connect_ms; /* 0: LONG_MS */
    void *client;
    struct error error;
    bool usable;
};

static const char *port_of(const struct world *world, size_t node)
{
    return strchr(world->peers[node].address, ':') + 1;
}

/* With the addresses in it. */
static const char *text_of(struct world *world, const char *answer)
{
    struct text text = {0};
    for (const char *next = answer; next != NULL && *next != '\0'; next++) {
        if (next[0] == '%' && (next[1] == 'A' || next[1] == 'B'))
            text_add(&text, world->peers[*++next - 'A'].address);
        else
            text_add_bytes(&text, next, 1);
    }
    return world->texts[world->texts_count++] = text_take(&text);
}

static void add_line(struct world *world, size_t node, struct redis_line line)
{
    if (line.answer != NULL)
        line.answer = text_of(world, line.answer);
    world->lines[node][world->counts[node]++] = line;
}

static void world_begin(struct world *world)
{
    *world = (struct world){0};
    for (size_t i = 0; i < NODES; i++)
        redis_peer_start(&world->peers[i], world->lines[i]);
}

/* The owner of all slots. */
static void add_slots(struct world *world, size_t node, size_t owner, int times)
{
    _cleanup_(memory_free) char *slots =
        text_format("*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:%s\r\n$1\r\nx\r\n",
                    port_of(world, owner));
    add_line(world, node, (struct redis_line){"CLUSTER SLOTS", slots, .times = times});
}

static bool world_connect_at(struct world *world, const char *addresses, const char *key,
                             const char *value)
{
    for (size_t i = 0; i < NODES; i++) {
        add_slots(world, i, 0, 0);
        add_line(world, i, (struct redis_line){"ROLE", MASTER});
    }
    world->feed = test_feed_new(&scaler_redis_cluster);
    world->trigger = trigger_of(&scaler_redis_cluster, PAIRS("address", addresses, key, value));
    assert_true(world->trigger.good);
    test_feed_add(world->feed, world->trigger.options.query, (struct notifier){0});
    test_feed_set_timeout(world->feed, TIMEOUT_MS);
    int64_t connect_ms = world->connect_ms == 0 ? LONG_MS : world->connect_ms;
    return scaler_redis_cluster.connect(world->trigger.options.connection,
                                        clock_now_ms() + connect_ms, &world->client, &world->error);
}

static bool world_connect_for(struct world *world, const char *key, const char *value)
{
    return world_connect_at(world, world->peers[0].address, key, value);
}

static bool world_connect(struct world *world)
{
    return world_connect_for(world, "listName", "jobs");
}

static bool world_connect_to_both(struct world *world)
{
    _cleanup_(memory_free) char *addresses =
        text_format("%s,%s", world->peers[0].address, world->peers[1].address);
    return world_connect_at(world, addresses, "listName", "jobs");
}

static void world_run(struct world *world)
{
    world->usable = test_feed_run(world->feed, world->client, LONG_MS, &world->error);
}

static void world_stop(struct world *world)
{
    if (world->client != NULL)
        scaler_redis_cluster.disconnect(world->client);
    test_feed_free(world->feed);
    for (size_t i = 0; i < NODES; i++)
        redis_peer_stop(&world->peers[i]);
    for (size_t i = 0; i < world->texts_count; i++)
        free(world->texts[i]);
    trigger_done(&world->trigger);
    error_done(&world->error);
}

#define LINE(...) ((struct redis_line){__VA_ARGS__})

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
    scaler_set_tenant(1, false);
    assert_true(world_connect(&world));
    const struct redis_cluster *cluster = world.client;
    for (uint64_t tenant = 1; tenant <= 2; tenant++) {
        scaler_set_tenant(tenant, false);
        test_feed_again(world.feed);
        world_run(&world);
        assert_waiting(world.feed, 0, 3);
        const struct source_memory *of_types = &cluster->clients->key_types.memory;
        assert_true(cluster->link_budget.count > 0 && of_types->used > 0);
        assert_int_equal(cluster->link_budget.memory.tenant, tenant);
        assert_int_equal(of_types->tenant, tenant);
    }
    world_stop(&world);
    scaler_set_tenant(0, false);
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
        usleep(10 * 1000);
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
        usleep(10 * 1000);
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
    scaler_set_tenant(1, false);
    assert_true(world_connect(&world));
    world_run(&world);
    assert_waiting(world.feed, 0, 3);
    struct redis_link_budget *budget = &((struct redis_cluster *)world.client)->link_budget;
    struct source_memory others = {0};
    size_t count = budget->count;
    budget->count = REDIS_MAX_NODES;
    while (source_memory_set(&others, others.used + 4096))
        continue;
    test_feed_stay(world.feed, TIMEOUT_MS / 2);
    test_feed_again(world.feed);
    world_run(&world);
    assert_true(redis_peer_used(&world.peers[0], SLOTS_LINE) > 1);
    assert_true(source_memory_set(&others, 0));
    budget->count = count;
    world_stop(&world);
    scaler_set_tenant(0, false);
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

/* As though what was configured were at another machine. */
static void a_node_at_an_address_of_this_machine_gets_nothing(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world);
    add_line(&world, 0, LINE("LLEN", ":3\r\n"));
    assert_true(world_connect(&world));
    struct redis_cluster *cluster = world.client;
    assert_true(cluster->discovery.is_local);
    cluster->discovery.is_local = false;
    world_run(&world);
    assert_ended_with(world.feed, 0, TASK_FAILED,
                      "the nodes of the cluster name Redis at 127.0.0.1:");
    assert_ended_with(world.feed, 0, TASK_FAILED, "an address of this machine or a link-local one");
    assert_int_equal(redis_peer_used(&world.peers[0], 0), 0);
    world_stop(&world);
}

/* ---- names ---- */

#define SLOW_NAME "slow.backlog.test"

/* A look-up of the name takes until then. */
static atomic_bool may_resolve;

/* In the place of the C library's. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **found)
{
    static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (!text_equal(node, SLOW_NAME) || (hints->ai_flags & AI_NUMERICHOST) != 0)
        return real(node, service, hints, found);
    for (int64_t until_ms = clock_now_ms() + LONG_MS; !may_resolve && clock_now_ms() < until_ms;)
        usleep(1000);
    return real("127.0.0.1", service, hints, found);
}

/* The slot of this key is the second node's, at the slow name, and all others are the first's. */
static void add_slow_slots(struct world *world, const char *key)
{
    static const char format[] =
        "*3\r\n"
        "*3\r\n:0\r\n:%zu\r\n*3\r\n$9\r\n127.0.0.1\r\n:%s\r\n$1\r\nx\r\n"
        "*3\r\n:%zu\r\n:%zu\r\n*3\r\n$17\r\n" SLOW_NAME "\r\n:%s\r\n$1\r\ny\r\n"
        "*3\r\n:%zu\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:%s\r\n$1\r\nx\r\n";
    size_t slot = redis_slot_of(key);
    _cleanup_(memory_free) char *slots =
        text_format(format, slot - 1, port_of(world, 0), slot, slot, port_of(world, 1), slot + 1,
                    port_of(world, 0));
    for (size_t i = 0; i < NODES; i++)
        add_line(world, i, (struct redis_line){"CLUSTER SLOTS", slots});
}

/* "videos" is at the slow name, "jobs" is not. The task of the slow one is the first. */
static void slow_begin(struct world *world, struct trigger *jobs)
{
    may_resolve = false;
    world_begin(world);
    add_slow_slots(world, "videos");
    add_line(world, 0, LINE("LLEN", ":3\r\n"));
    add_line(world, 1, LINE("LLEN", ":5\r\n"));
    for (size_t i = 0; i < NODES; i++)
        add_line(world, i, LINE("ROLE", MASTER));
    world->feed = test_feed_new(&scaler_redis_cluster);
    world->trigger = trigger_of(&scaler_redis_cluster,
                                PAIRS("address", world->peers[0].address, "listName", "videos"));
    *jobs = trigger_of(&scaler_redis_cluster,
                       PAIRS("address", world->peers[0].address, "listName", "jobs"));
    test_feed_add(world->feed, world->trigger.options.query, (struct notifier){0});
    test_feed_add(world->feed, jobs->options.query, (struct notifier){0});
    test_feed_set_timeout(world->feed, TIMEOUT_MS);
    assert_true(scaler_redis_cluster.connect(world->trigger.options.connection,
                                             clock_now_ms() + LONG_MS, &world->client,
                                             &world->error));
}

/* Lets the name be known once the other node has been queried. */
static void *resolve_later(void *argument)
{
    struct world *world = argument;
    for (int64_t until_ms = clock_now_ms() + TIMEOUT_MS;
         redis_peer_used(&world->peers[0], 1) == 0 && clock_now_ms() < until_ms;)
        usleep(1000);
    may_resolve = redis_peer_used(&world->peers[0], 1) > 0;
    return NULL;
}

static void a_name_that_is_looked_up_slowly_delays_no_other_node(void **state)
{
    (void)state;
    struct world world;
    struct trigger jobs;
    pthread_t thread;
    slow_begin(&world, &jobs);
    pthread_create(&thread, NULL, resolve_later, &world);
    world_run(&world);
    pthread_join(thread, NULL);
    assert_waiting(world.feed, 0, 5);
    assert_int_equal(test_feed_task(world.feed, 0)->order, 2);
    assert_int_equal(test_feed_task(world.feed, 1)->outcome, TASK_ANSWERED);
    trigger_done(&jobs);
    world_stop(&world);
}

static void a_name_that_is_not_looked_up_in_time_fails_its_keys_alone(void **state)
{
    (void)state;
    struct world world;
    struct trigger jobs;
    slow_begin(&world, &jobs);
    world_run(&world);
    assert_ended_with(world.feed, 0, TASK_FAILED, "cannot connect to Redis at " SLOW_NAME ":");
    assert_ended_with(world.feed, 0, TASK_FAILED, "its name was not looked up in time");
    assert_int_equal(test_feed_task(world.feed, 1)->outcome, TASK_ANSWERED);
    assert_true(world.usable);
    may_resolve = true;
    trigger_done(&jobs);
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
        cmocka_unit_test(a_node_that_hangs_up_is_connected_to_ever_more_seldom),
        cmocka_unit_test(a_node_that_hung_up_is_connected_to_before_it_is_needed),
        cmocka_unit_test(a_slot_without_an_owner_is_an_error_and_no_request),
        cmocka_unit_test(a_slot_that_gets_an_owner_is_read),
        cmocka_unit_test(a_doubt_has_the_map_read_without_another_task),
        cmocka_unit_test(a_node_that_knows_no_slots_is_passed_over),
        cmocka_unit_test(a_node_that_forgets_all_slots_is_not_believed),
        cmocka_unit_test(where_a_map_leads_nowhere_another_node_is_asked),
        cmocka_unit_test(where_a_map_leads_nowhere_a_node_far_away_is_asked),
        cmocka_unit_test(a_map_that_is_doubted_for_long_costs_few_connections),
        cmocka_unit_test(the_map_is_read_where_no_more_links_are_allowed),
        cmocka_unit_test(nodes_that_are_all_slow_have_the_time_that_they_need),
        cmocka_unit_test(nodes_that_do_not_respond_keep_nobody_from_the_others),
        cmocka_unit_test(a_node_at_an_address_of_this_machine_gets_nothing),
        cmocka_unit_test(a_name_that_is_looked_up_slowly_delays_no_other_node),
        cmocka_unit_test(a_name_that_is_not_looked_up_in_time_fails_its_keys_alone),
        cmocka_unit_test(a_map_that_is_none_ends_the_attempt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
