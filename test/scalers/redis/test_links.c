/* Redis: several queries at a time, of which one hangs, is late, or breaks the connection. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler.h"
#include "redis/client.h"
#include "scalers/ended.h"
#include "scalers/redis/peer.h"
#include "scalers/trigger.h"
#include "support/feed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

extern const struct scaler scaler_redis;
extern const struct scaler scaler_redis_streams;

enum { MAX_KEYS = 32, TIMEOUT_MS = 800, LONG_MS = 20 * 1000 };

/* A client of a server with a script, and a task for each of these keys. */
struct world {
    struct redis_peer peer;
    struct trigger triggers[MAX_KEYS];
    size_t count;
    struct test_feed *feed;
    void *client;
    struct error error;
    bool usable;
    size_t notified;
    size_t lost;
    bool notified_while_in_flight; /* the task with index 1 */
};

static void on_notify(void *context, uint64_t id)
{
    struct world *world = context;
    assert_true(id > 0);
    world->notified++;
    world->notified_while_in_flight = world->count > 1 && test_feed_task(world->feed, 1)->in_flight;
}

static void on_lose(void *context, uint64_t id)
{
    struct world *world = context;
    assert_true(id > 0);
    world->lost++;
}

/* False: it is refused. */
static bool world_connect(struct world *world, const struct redis_line *script,
                          const char *const *keys)
{
    *world = (struct world){0};
    redis_peer_start(&world->peer, script);
    world->feed = test_feed_new(&scaler_redis);
    for (; keys[world->count] != NULL; world->count++) {
        struct trigger *trigger = &world->triggers[world->count];
        *trigger = trigger_of(
            &scaler_redis, PAIRS("address", world->peer.address, "listName", keys[world->count]));
        assert_true(trigger->good);
        test_feed_add(world->feed, trigger->options.query, (struct notifier){0});
    }
    test_feed_set_timeout(world->feed, TIMEOUT_MS);
    return scaler_redis.connect(world->triggers[0].options.connection, clock_now_ms() + LONG_MS,
                                &world->client, &world->error);
}

static void world_start(struct world *world, const struct redis_line *script,
                        const char *const *keys)
{
    assert_true(world_connect(world, script, keys));
}

static void world_run(struct world *world)
{
    world->usable = test_feed_run(world->feed, world->client, LONG_MS, &world->error);
}

static void world_stop(struct world *world)
{
    if (world->client != NULL)
        scaler_redis.disconnect(world->client);
    test_feed_free(world->feed);
    redis_peer_stop(&world->peer);
    for (size_t i = 0; i < world->count; i++)
        trigger_done(&world->triggers[i]);
    error_done(&world->error);
}

#define SCRIPT(...) ((const struct redis_line[]){__VA_ARGS__, {.command = NULL}})

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
    for (size_t i = 0; i < world.count; i++)
        assert_ended(world.feed, i, i < HANGING ? TASK_TIMED_OUT : TASK_ANSWERED);
    assert_in_range(redis_peer_used(&world.peer, OTHERS_LINE), OTHERS, 2 * OTHERS);
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
    static const char *const keys[] = {"a,slow", "a,b"};
    (void)state;
    struct world world;
    world_start(&world,
                SCRIPT({"LLEN first", ":3\r\n"}, {"LLEN slow", "+QUEUED\r\n", .wait_ms = SLOW_MS},
                       {"LLEN", "+QUEUED\r\n"}, {"EXEC", "*2\r\n:3\r\n:4\r\n"}),
                PAIRS("first"));
    for (size_t i = 0; i < 2; i++) {
        struct trigger *trigger = &world.triggers[world.count++];
        *trigger = trigger_of(&scaler_redis, PAIRS("address", world.peer.address, "keys", keys[i]));
        assert_true(trigger->good);
        test_feed_add(world.feed, trigger->options.query, (struct notifier){0});
    }
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

#define CHANGED(key) "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$" key "\r\n"
#define SUBSCRIBED "*3\r\n$9\r\nsubscribe\r\n$20\r\n__redis__:invalidate\r\n:1\r\n"
#define SUBSCRIBABLE                                                                               \
    {"CLIENT ID", ":7\r\n"},                                                                       \
    {                                                                                              \
        "SUBSCRIBE", SUBSCRIBED                                                                    \
    }

/* It takes a few measurements: none waits for the subscriber's connection. */
static void subscribe(struct world *world, size_t index)
{
    struct test_task *task = test_feed_task(world->feed, index);
    task->task.notifier = (struct notifier){on_notify, world, index + 1, on_lose};
    for (int round = 0; round < 1000 && !task->subscribed; round++) {
        test_feed_again(world->feed);
        world_run(world);
        assert_true(world->usable);
        assert_ended(world->feed, index, TASK_ANSWERED);
        assert_false(error_is_set(&task->subscribe_error));
    }
    assert_true(task->subscribed);
}

static void a_notification_arrives_while_another_query_hangs(void **state)
{
    (void)state;
    struct world world;
    world_start(&world,
                SCRIPT(SUBSCRIBABLE, {"LLEN hang", ":0\r\n", .times = 1},
                       {"LLEN hang", "", .push = CHANGED("4\r\njobs")}, {"LLEN", ":0\r\n"}),
                PAIRS("jobs"));
    subscribe(&world, 0);
    assert_int_equal(world.notified, 0);

    struct trigger *trigger = &world.triggers[world.count++];
    *trigger = trigger_of(&scaler_redis, PAIRS("address", world.peer.address, "listName", "hang"));
    test_feed_add(world.feed, trigger->options.query, (struct notifier){0});
    world_run(&world);
    assert_ended(world.feed, 1, TASK_ANSWERED);
    test_feed_again(world.feed);
    test_feed_task(world.feed, 0)->task.notifier.id = 0;
    world_run(&world);
    assert_ended(world.feed, 1, TASK_TIMED_OUT);
    assert_int_equal(world.notified, 1);
    assert_true(world.notified_while_in_flight);
    world_stop(&world);
}

/* One that was replaced, and stays silent. */
static void subscriptions_are_lost_when_the_connection_is_replaced(void **state)
{
    enum { SILENT_MS = 6000 };
    (void)state;
    struct world world;
    world_start(&world, SCRIPT(SUBSCRIBABLE, {"LLEN hang", ""}, {"LLEN", ":0\r\n"}), PAIRS("jobs"));
    subscribe(&world, 0);
    struct trigger *trigger = &world.triggers[world.count++];
    *trigger = trigger_of(&scaler_redis, PAIRS("address", world.peer.address, "listName", "hang"));
    test_feed_add(world.feed, trigger->options.query, (struct notifier){0});
    test_feed_stay(world.feed, SILENT_MS);
    world_run(&world);
    assert_ended(world.feed, 1, TASK_TIMED_OUT);
    assert_int_equal(world.lost, 1);
    world_stop(&world);
}

/* The server has its reads on record until the connection that stalled is closed; in a Cluster,
 * too, where replies that come late are not believed. */
static void subscriptions_outlive_a_stall(void **state)
{
    enum { LATE_MS = REDIS_LATE_MS + 200, STAY_MS = 1500 };
    (void)state;
    for (int is_cluster = 0; is_cluster <= 1; is_cluster++) {
        struct world world;
        world_start(&world,
                    SCRIPT(SUBSCRIBABLE,
                           {"LLEN late", ":0\r\n", .wait_ms = LATE_MS, .connection = 1},
                           {"LLEN", ":0\r\n"}),
                    PAIRS("jobs"));
        struct redis_links *links = &((struct redis_client *)world.client)->links;
        if (is_cluster)
            links->shared->owner.reply_limit.max_ms = REDIS_LATE_MS;
        subscribe(&world, 0);
        for (size_t i = 1; i < 3; i++) {
            struct trigger *trigger = &world.triggers[world.count++];
            *trigger = trigger_of(&scaler_redis, PAIRS("address", world.peer.address, "listName",
                                                       i == 1 ? "late" : "behind"));
            test_feed_add(world.feed, trigger->options.query, (struct notifier){0});
        }
        test_feed_stay(world.feed, STAY_MS);
        world_run(&world);
        assert_ended(world.feed, 1, TASK_ANSWERED);
        assert_int_equal(test_feed_task(world.feed, 1)->returned, 1);
        assert_int_equal(world.lost, 0);
        redis_peer_push(&world.peer, CHANGED("4\r\njobs"));
        test_feed_again(world.feed);
        test_feed_task(world.feed, 0)->task.notifier.id = 0;
        test_feed_stay(world.feed, STAY_MS);
        world_run(&world);
        assert_int_equal(world.notified, 1);
        assert_int_equal(world.lost, 0);
        world_stop(&world);
    }
}

/* Measures both keys for a moment only. */
static void begin_to_measure(struct world *world, int64_t ms)
{
    struct test_feed *feed = test_feed_new(&scaler_redis);
    for (size_t i = 0; i < world->count; i++)
        test_feed_add(feed, world->triggers[i].options.query,
                      test_feed_task(world->feed, i)->task.notifier);
    test_feed_run(feed, world->client, ms, &world->error);
    test_feed_free(feed);
}

/* CLIENT TRACKING is sent behind a query that hangs, and has no reply when the connection that
 * stalled is closed: it was not refused. */
static void a_stall_before_subscribing_leaves_the_server_subscribable(void **state)
{
    enum { MOMENT_MS = 100 };
    (void)state;
    struct world world;
    world_start(&world, SCRIPT(SUBSCRIBABLE, {"LLEN hang", "", .times = 1}, {"LLEN", ":0\r\n"}),
                PAIRS("hang", "jobs"));
    test_feed_task(world.feed, 1)->task.notifier = (struct notifier){on_notify, &world, 2, on_lose};
    begin_to_measure(&world, MOMENT_MS); /* the subscriber connects */
    subscribe(&world, 1);
    assert_int_equal(world.lost, 0);
    world_stop(&world);
}

/* As if nothing had been received for so long on the connection that measures. */
static void age_shared(struct world *world, int64_t ms)
{
    ((struct redis_client *)world->client)->links.shared->replied_ms -= ms;
}

/* Something on the way has closed the connection that the keys were read on. */
static void subscriptions_of_a_connection_that_is_gone_are_lost(void **state)
{
    enum { IDLE_MS = 10 * 1000, STAY_MS = 6000 };
    (void)state;
    for (int is_gone = 0; is_gone <= 1; is_gone++) {
        struct world world;
        world_start(&world,
                    SCRIPT(SUBSCRIBABLE, {"PING", "+PONG\r\n", .times = 2},
                           {"PING", is_gone ? "" : "+PONG\r\n", .connection = 1},
                           {"PING", "*2\r\n$4\r\npong\r\n$0\r\n\r\n"}, {"LLEN", ":0\r\n"}),
                    PAIRS("jobs"));
        subscribe(&world, 0);
        age_shared(&world, IDLE_MS);
        test_feed_task(world.feed, 0)->task.notifier.id = 0;
        test_feed_stay(world.feed, STAY_MS);
        world_run(&world);
        assert_true(world.usable);
        assert_int_equal(world.lost, is_gone);
        world_stop(&world);
    }
}

/* The last subscription ends before the reply to the ping, and nothing is measured for minutes. */
static void a_ping_whose_reply_nobody_was_here_to_read_fails_no_query(void **state)
{
    enum { IDLE_MS = 10 * 1000, SHORT_MS = 50, PONG_MS = 200, PAUSE_MS = 60 * 1000 };
    (void)state;
    struct world world;
    world_start(&world,
                SCRIPT(SUBSCRIBABLE, {"PING", "+PONG\r\n", .times = 2},
                       {"PING", "+PONG\r\n", .wait_ms = PONG_MS}, {"LLEN", ":0\r\n"}),
                PAIRS("jobs"));
    subscribe(&world, 0);
    struct redis_link *shared = ((struct redis_client *)world.client)->links.shared;
    age_shared(&world, IDLE_MS);
    test_feed_stay(world.feed, SHORT_MS);
    world_run(&world);
    test_feed_unsubscribe(world.feed, 1);
    test_feed_task(world.feed, 0)->task.notifier.id = 0;
    shared->progress_ms -= PAUSE_MS;
    test_feed_again(world.feed);
    world_run(&world);
    assert_true(world.usable);
    assert_ended(world.feed, 0, TASK_ANSWERED);
    assert_int_equal(world.lost, 0);
    world_stop(&world);
}

/* Where it is read, on a connection of its own. */
static void a_query_that_is_isolated_is_subscribed_to(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, SCRIPT(SUBSCRIBABLE, {"LLEN", ":0\r\n"}), PAIRS("jobs"));
    test_feed_task(world.feed, 0)->task.isolate = true;
    subscribe(&world, 0);
    redis_peer_push(&world.peer, CHANGED("4\r\njobs"));
    test_feed_again(world.feed);
    test_feed_task(world.feed, 0)->task.notifier.id = 0;
    test_feed_stay(world.feed, 100);
    world_run(&world);
    assert_int_equal(world.notified, 1);
    assert_int_equal(world.lost, 0);
    world_stop(&world);
}

static void subscriptions_of_a_connection_that_the_server_closes_are_lost(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, SCRIPT(SUBSCRIBABLE, {"LLEN other", NULL, .times = 1}, {"LLEN", ":0\r\n"}),
                PAIRS("jobs"));
    subscribe(&world, 0);
    struct trigger *trigger = &world.triggers[world.count++];
    *trigger = trigger_of(&scaler_redis, PAIRS("address", world.peer.address, "listName", "other"));
    test_feed_add(world.feed, trigger->options.query, (struct notifier){0});
    world_run(&world);
    assert_ended(world.feed, 1, TASK_ANSWERED);
    assert_int_equal(world.lost, 1);
    assert_int_equal(world.notified, 0);
    world_stop(&world);
}

/* The subscriber's connection. */
static void subscriptions_that_the_server_closes_are_made_again_soon(void **state)
{
    enum { SOON_MS = 3000 };
    (void)state;
    struct world world;
    world_start(&world,
                SCRIPT({"CLIENT ID", ":7\r\n"},
                       {"SUBSCRIBE", SUBSCRIBED, .times = 1, .hangs_up = true},
                       {"SUBSCRIBE", SUBSCRIBED}, {"LLEN", ":0\r\n"}),
                PAIRS("jobs"));
    int64_t ends_ms = clock_now_ms() + SOON_MS;
    struct test_task *task = test_feed_task(world.feed, 0);
    task->task.notifier = (struct notifier){on_notify, &world, 1, on_lose};
    while (clock_now_ms() < ends_ms &&
           !(task->subscribed && redis_peer_connections(&world.peer) == 3)) {
        task->subscribed = false;
        test_feed_again(world.feed);
        world_run(&world);
        usleep(10 * 1000);
    }
    assert_true(task->subscribed);
    assert_int_equal(redis_peer_connections(&world.peer), 3);
    assert_int_equal(world.notified, 0);
    world_stop(&world);
}

static void an_ended_subscription_does_not_notify(void **state)
{
    (void)state;
    struct world world;
    world_start(&world,
                SCRIPT(SUBSCRIBABLE, {"LLEN other", ":0\r\n", .push = CHANGED("4\r\njobs")},
                       {"LLEN", ":0\r\n"}),
                PAIRS("jobs"));
    subscribe(&world, 0);
    test_feed_unsubscribe(world.feed, 1);
    struct trigger *trigger = &world.triggers[world.count++];
    *trigger = trigger_of(&scaler_redis, PAIRS("address", world.peer.address, "listName", "other"));
    test_feed_add(world.feed, trigger->options.query, (struct notifier){0});
    world_run(&world);
    assert_ended(world.feed, 1, TASK_ANSWERED);
    assert_int_equal(world.notified, 0);
    world_stop(&world);
}

/* As if so much time had passed. */
static void age_subscriber(struct world *world, int64_t ms)
{
    ((struct redis_client *)world->client)->subscriber.link->ping.sent_ms -= ms;
}

/* Measured once, as for a poll, with this notifier (0: none); the one before has been notified. */
static void poll_after_pause(struct world *world, uint64_t id)
{
    enum { PAUSE_MS = 15 * 1000 };
    struct task *task = &test_feed_task(world->feed, 0)->task;
    test_feed_unsubscribe(world->feed, task->notifier.id);
    task->notifier.id = id;
    age_subscriber(world, PAUSE_MS);
    test_feed_again(world->feed);
    world_run(world);
    assert_true(world->usable);
    assert_ended(world->feed, 0, TASK_ANSWERED);
    assert_true(test_feed_task(world->feed, 0)->subscribed == (id != 0));
}

/* Nobody reads the pong where the measurement has ended before it, and nobody is subscribed. */
static void a_subscriber_that_works_is_kept_over_pauses(void **state)
{
    enum { PONG_MS = 100 };
    (void)state;
    struct world world;
    world_start(&world,
                SCRIPT(SUBSCRIBABLE, {"PING", "+PONG\r\n", .times = 2},
                       {"PING", "*2\r\n$4\r\npong\r\n$0\r\n\r\n", .wait_ms = PONG_MS},
                       {"LLEN", ":0\r\n"}),
                PAIRS("jobs"));
    subscribe(&world, 0);
    poll_after_pause(&world, 2);
    poll_after_pause(&world, 3);
    poll_after_pause(&world, 0);
    poll_after_pause(&world, 0);
    poll_after_pause(&world, 4);
    assert_int_equal(world.lost, 0);
    assert_int_equal(redis_peer_connections(&world.peer), 2);
    world_stop(&world);
}

static void a_query_that_cannot_be_subscribed_to_is_measured(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, SCRIPT({"CLIENT ID", "-NOPERM no such right\r\n"}, {"LLEN", ":3\r\n"}),
                PAIRS("jobs"));
    struct test_task *task = test_feed_task(world.feed, 0);
    task->task.notifier = (struct notifier){on_notify, &world, 1};
    for (int round = 0; round < 1000 && !error_is_set(&task->subscribe_error); round++) {
        test_feed_again(world.feed);
        world_run(&world);
        assert_true(world.usable);
        assert_ended(world.feed, 0, TASK_ANSWERED);
        assert_true(task->reading.waiting == 3);
    }
    assert_non_null(strstr(error_text(&task->subscribe_error), "NOPERM no such right"));
    assert_false(task->subscribed);
    assert_int_equal(world.notified, 0);
    world_stop(&world);
}

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
        "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n",
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
    world_start(&world,
                SCRIPT({"ROLE", "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n", .times = 1},
                       {"ROLE", REPLICA("7\r\nconnect")}, {"LLEN", ":3\r\n"}),
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
                SCRIPT({"ROLE", "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n", .times = 1},
                       {"ROLE", "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n", .wait_ms = BUSY_MS},
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
static void of_a_master_the_role_is_read_once(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, SCRIPT({"ROLE", "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"}, {"LLEN", ":3\r\n"}),
                PAIRS("a"));
    for (int round = 0; round < 3; round++) {
        world_run(&world);
        assert_ended(world.feed, 0, TASK_ANSWERED);
        test_feed_again(world.feed);
    }
    assert_int_equal(redis_peer_used(&world.peer, 0), 1);
    world_stop(&world);
}

enum { DEEPEST = 7 };

/* hiredis before 1.0 refuses such a reply itself: the arrays are created as a newer one does. */
static void arrays_in_arrays_have_a_limit(void **state)
{
    (void)state;
    struct redis_peer peer;
    struct redis_server server;
    struct error error = {0};
    redis_peer_start(&peer, SCRIPT({"PING", "+PONG\r\n"}));
    redis_server_init(&server, &(struct redis_login){0}, NULL);
    redis_server_set_address(&server, "127.0.0.1", peer.port);
    struct redis_link *link = redis_link_open(&server, NULL, clock_now_ms() + LONG_MS,
                                              &(struct redis_link_owner){0}, &error);
    assert_non_null(link);

    redisReadTask levels[DEEPEST + 1] = {0};
    redisReplyObjectFunctions *functions = link->socket.context->reader->fn;
    void *outermost = NULL;
    for (size_t i = 0; i < DEEPEST + 1; i++) {
        levels[i].type = REDIS_REPLY_ARRAY;
        levels[i].privdata = &link->socket;
        levels[i].parent = i == 0 ? NULL : &levels[i - 1];
        levels[i].obj = functions->createArray(&levels[i], 1);
        outermost = i == 0 ? levels[i].obj : outermost;
        if (i < DEEPEST)
            assert_non_null(levels[i].obj);
    }
    assert_null(levels[DEEPEST].obj);

    functions->freeObject(outermost);
    redis_link_free(link);
    redis_server_done(&server);
    redis_peer_stop(&peer);
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
        cmocka_unit_test(a_reply_that_is_too_large_fails_its_query_alone),
        cmocka_unit_test(a_reply_that_is_too_large_costs_other_queries_nothing_again),
        cmocka_unit_test(a_key_that_was_slow_delays_no_other_again),
        cmocka_unit_test(of_two_queries_of_a_key_the_quick_one_is_not_isolated),
        cmocka_unit_test(a_key_that_was_slow_once_is_read_with_the_others_again),
        cmocka_unit_test(a_server_that_answers_and_hangs_up_is_not_connected_to_all_the_time),
        cmocka_unit_test(nor_is_it_for_an_isolated_query),
        cmocka_unit_test(a_server_that_is_gone_is_noticed_by_an_isolated_query),
        cmocka_unit_test(one_that_only_refuses_its_connection_is_still_of_use),
        cmocka_unit_test(a_notification_arrives_while_another_query_hangs),
        cmocka_unit_test(subscriptions_are_lost_when_the_connection_is_replaced),
        cmocka_unit_test(subscriptions_outlive_a_stall),
        cmocka_unit_test(a_stall_before_subscribing_leaves_the_server_subscribable),
        cmocka_unit_test(subscriptions_of_a_connection_that_is_gone_are_lost),
        cmocka_unit_test(a_ping_whose_reply_nobody_was_here_to_read_fails_no_query),
        cmocka_unit_test(a_query_that_is_isolated_is_subscribed_to),
        cmocka_unit_test(subscriptions_of_a_connection_that_the_server_closes_are_lost),
        cmocka_unit_test(subscriptions_that_the_server_closes_are_made_again_soon),
        cmocka_unit_test(an_ended_subscription_does_not_notify),
        cmocka_unit_test(a_subscriber_that_works_is_kept_over_pauses),
        cmocka_unit_test(a_query_that_cannot_be_subscribed_to_is_measured),
        cmocka_unit_test(a_replica_that_is_not_connected_to_its_master_is_refused),
        cmocka_unit_test(a_server_whose_role_is_not_known_is_measured),
        cmocka_unit_test(a_replica_that_loses_its_master_is_read_no_more),
        cmocka_unit_test(a_replica_that_loses_its_master_is_read_no_more_by_an_isolated_query),
        cmocka_unit_test(a_server_that_falls_silent_after_a_stall_is_a_lost_connection),
        cmocka_unit_test(a_role_that_is_not_replied_to_costs_a_query_one_connection),
        cmocka_unit_test(a_master_that_is_made_a_replica_is_noticed),
        cmocka_unit_test(a_busy_master_whose_role_is_read_again_is_waited_for),
        cmocka_unit_test(of_a_master_the_role_is_read_once),
        cmocka_unit_test(arrays_in_arrays_have_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
