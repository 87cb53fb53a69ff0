/* Nodes of a Redis Cluster whose names are looked up slowly, or whose addresses are refused. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "redis/cluster/cluster.h"
#include "scalers/ended.h"
#include "scalers/redis/cluster_world.h"

#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

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

#define SLOW_NAME "slow.backlog.test"

/* A look-up of the name hangs as long as this is locked. */
static pthread_mutex_t resolver = PTHREAD_MUTEX_INITIALIZER;

/* In the place of the C library's. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **found)
{
    static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (!text_equal(node, SLOW_NAME) || (hints->ai_flags & AI_NUMERICHOST) != 0)
        return real(node, service, hints, found);
    pthread_mutex_lock(&resolver);
    pthread_mutex_unlock(&resolver);
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
    pthread_mutex_lock(&resolver);
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
static int64_t resolve_later(void *context)
{
    static bool is_known;
    const struct world *world = context;
    if (!is_known && redis_peer_used(&world->peers[0], 1) > 0) {
        pthread_mutex_unlock(&resolver);
        is_known = true;
    }
    return CLOCK_NEVER;
}

static void a_name_that_is_looked_up_slowly_delays_no_other_node(void **state)
{
    (void)state;
    struct world world;
    struct trigger jobs;
    struct fast_time_peer resolves = {.work = resolve_later, .context = &world};
    slow_begin(&world, &jobs);
    fast_time_add(&resolves);
    world_run(&world);
    fast_time_remove(&resolves);
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
    pthread_mutex_unlock(&resolver);
    trigger_done(&jobs);
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_at_an_address_of_this_machine_gets_nothing),
        cmocka_unit_test(a_name_that_is_looked_up_slowly_delays_no_other_node),
        cmocka_unit_test(a_name_that_is_not_looked_up_in_time_fails_its_keys_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
