/* Redis behind a name that leads to another server by now. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler.h"
#include "scalers/ended.h"
#include "scalers/redis_peer.h"
#include "scalers/trigger.h"
#include "support/feed.h"

#include <dlfcn.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

extern const struct scaler scaler_redis;

enum { MAX_KEYS = 3, TIMEOUT_MS = 800, LONG_MS = 20 * 1000 };

#define SCRIPT(...) ((const struct redis_line[]){__VA_ARGS__, {.command = NULL}})

/* ---- a name ---- */

#define NAME "redis.backlog.test"
#define FIRST "127.0.0.1"
#define SECOND "127.0.0.2"

static const char *const at_first[] = {FIRST, NULL};
static const char *const at_second[] = {SECOND, NULL};

/* Its addresses: one of these. */
static const char *const *addresses;

/* In the place of the C library's. */
int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret_found)
{
    static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (!text_equal(host, NAME) || (hints->ai_flags & AI_NUMERICHOST) != 0)
        return real(host, service, hints, ret_found);
    for (size_t i = 0; addresses[i] != NULL; i++) {
        if (real(addresses[i], service, hints, ret_found) != 0)
            abort(); /* on a thread of its own */
        ret_found = &(*ret_found)->ai_next;
    }
    return 0;
}

/* ---- another server ---- */

/* The name leads to the first server when the client connects. There is a task for each key. */
struct world {
    struct redis_peer first, second;
    struct trigger triggers[MAX_KEYS];
    size_t count;
    struct test_feed *feed;
    void *client;
    struct error error;
    size_t notified;
};

static void add_task(struct world *world, const char *key)
{
    struct trigger *trigger = &world->triggers[world->count++];
    _cleanup_(memory_free) char *address = text_format(NAME ":%d", world->first.port);
    *trigger = trigger_of(&scaler_redis, PAIRS("address", address, "listName", key));
    assert_true(trigger->good);
    test_feed_add(world->feed, trigger->options.query, (struct notifier){0});
    test_feed_set_timeout(world->feed, TIMEOUT_MS);
}

static void world_start(struct world *world, const struct redis_line *first,
                        const struct redis_line *second, const char *const *keys)
{
    *world = (struct world){0};
    redis_peer_start_at(&world->first, FIRST, 0, first);
    redis_peer_start_at(&world->second, SECOND, world->first.port, second);
    world->feed = test_feed_new(&scaler_redis);
    while (keys[world->count] != NULL)
        add_task(world, keys[world->count]);
    addresses = at_first;
    assert_true(scaler_redis.connect(world->triggers[0].options.connection,
                                     clock_now_ms() + LONG_MS, &world->client, &world->error));
}

static void world_stop(struct world *world)
{
    scaler_redis.disconnect(world->client);
    test_feed_free(world->feed);
    redis_peer_stop(&world->first);
    redis_peer_stop(&world->second);
    for (size_t i = 0; i < world->count; i++)
        trigger_done(&world->triggers[i]);
    error_done(&world->error);
}

static void world_run(struct world *world)
{
    test_feed_again(world->feed);
    if (!test_feed_run(world->feed, world->client, LONG_MS, &world->error))
        fail_msg("%s", error_text(&world->error));
}

/* The former server still works, and has closed the connection on which all is measured. A query
 * that hangs at the new one has a second connection opened, and one of its own. */
static void the_former_server_of_a_name_is_not_read_again(void **state)
{
    (void)state;
    struct world world;
    world_start(
        &world,
        SCRIPT({"LLEN", ":1\r\n", .times = 2}, {"LLEN", NULL, .connection = 1}, {"LLEN", ":1\r\n"}),
        SCRIPT({"LLEN", ":2\r\n", .times = 2}, {"LLEN hang", "", .connection = 1},
               {"LLEN", ":2\r\n"}),
        PAIRS("hang", "jobs"));
    world_run(&world);
    assert_waiting(world.feed, 1, 1);

    addresses = at_second;
    world_run(&world);
    assert_waiting(world.feed, 0, 2);
    assert_waiting(world.feed, 1, 2);

    world_run(&world);
    assert_waiting(world.feed, 0, 2);
    assert_waiting(world.feed, 1, 2);
    assert_int_equal(redis_peer_connections(&world.first), 1);
    world_stop(&world);
}

/* Its connection of its own is still open when that of the others was closed. */
static void nor_is_it_by_an_isolated_query(void **state)
{
    (void)state;
    struct world world;
    world_start(
        &world,
        SCRIPT({"LLEN jobs", ":1\r\n", .times = 1}, {"LLEN jobs", NULL}, {"LLEN", ":1\r\n"}),
        SCRIPT({"LLEN", ":2\r\n"}), PAIRS("jobs", "isolated"));
    test_feed_task(world.feed, 1)->task.isolate = true;
    world_run(&world);
    assert_waiting(world.feed, 1, 1);

    addresses = at_second;
    world_run(&world);
    assert_waiting(world.feed, 0, 2);

    world_run(&world);
    assert_waiting(world.feed, 0, 2);
    assert_waiting(world.feed, 1, 2);
    world_stop(&world);
}

/* After a stall a second connection is kept for the next one. */
static void nor_is_it_after_a_stall(void **state)
{
    (void)state;
    struct world world;
    world_start(&world,
                SCRIPT({"LLEN hang", "", .connection = 1},
                       {"LLEN jobs", ":1\r\n", .connection = 2, .times = 1},
                       {"LLEN jobs", NULL, .connection = 2}, {"LLEN", ":1\r\n"}),
                SCRIPT({"LLEN jobs", "", .connection = 1}, {"LLEN", ":2\r\n"}),
                PAIRS("hang", "jobs", "behind"));
    world_run(&world);
    assert_waiting(world.feed, 2, 1);

    addresses = at_second;
    world_run(&world);
    assert_waiting(world.feed, 1, 2);
    assert_waiting(world.feed, 2, 2);
    world_stop(&world);
}

static void on_notify(void *context, uint64_t id)
{
    struct world *world = context;
    assert_true(id > 0);
    world->notified++;
}

static void on_lose(void *context, uint64_t id)
{
    (void)context;
    assert_true(id > 0);
}

/* It takes a few measurements: none waits for the subscriber's connection. */
static void subscribe(struct world *world)
{
    struct test_task *task = test_feed_task(world->feed, 0);
    task->task.notifier = (struct notifier){on_notify, world, 1, on_lose};
    do
        world_run(world);
    while (!task->subscribed && !error_is_set(&task->subscribe_error));
    assert_true(task->subscribed);
}

#define SUBSCRIBABLE                                                                               \
    {"SUBSCRIBE", "*3\r\n$9\r\nsubscribe\r\n$20\r\n__redis__:invalidate\r\n:1\r\n"},               \
        {"CLIENT ID", ":7\r\n"}

/* Messages of the former one say nothing of what is read, and the new one does not know the
 * connection to which it is to send its own. */
static void changes_are_reported_by_the_new_server(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, SCRIPT(SUBSCRIBABLE, {"LLEN other", NULL}, {"LLEN", ":0\r\n"}),
                SCRIPT(SUBSCRIBABLE,
                       {"LLEN change", ":0\r\n",
                        .push = "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n"
                                "*1\r\n$4\r\njobs\r\n"},
                       {"LLEN", ":0\r\n"}),
                PAIRS("jobs"));
    subscribe(&world);
    assert_int_equal(redis_peer_used(&world.first, 0), 1);

    add_task(&world, "other");
    addresses = at_second;
    subscribe(&world);
    assert_int_equal(redis_peer_used(&world.second, 0), 1);

    add_task(&world, "change");
    test_feed_task(world.feed, 0)->task.notifier.id = 0;
    while (world.notified == 0)
        world_run(&world);
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_former_server_of_a_name_is_not_read_again),
        cmocka_unit_test(nor_is_it_by_an_isolated_query),
        cmocka_unit_test(nor_is_it_after_a_stall),
        cmocka_unit_test(changes_are_reported_by_the_new_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
