/* Redis: queries that are subscribed to, on connections that stall, are replaced, or gone. */
#include "base/clock.h"
#include "redis/client.h"
#include "scalers/ended.h"
#include "scalers/redis/links_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

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

    world_add(&world, "listName", "hang");
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
    world_add(&world, "listName", "hang");
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
        world_add(&world, "listName", "late");
        world_add(&world, "listName", "behind");
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
    enum {
        MIN_CONNECTIONS = 3, /* with the shared one and the subscriber's */
        UNUSED_MS = 2000,    /* without subscriptions it is closed by then */
        STAY_MS = 100,
    };
    (void)state;
    struct world world;
    world_start(&world, SCRIPT(SUBSCRIBABLE, {"LLEN", ":0\r\n"}), PAIRS("jobs"));
    test_feed_task(world.feed, 0)->task.isolate = true;
    subscribe(&world, 0);
    assert_true(redis_peer_connections(&world.peer) >= MIN_CONNECTIONS);
    ((struct redis_client *)world.client)->links.isolated->replied_ms -= UNUSED_MS;
    test_feed_stay(world.feed, STAY_MS);
    world_run(&world);
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

static void subscriptions_of_a_connection_that_the_server_closes_are_lost(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, SCRIPT(SUBSCRIBABLE, {"LLEN other", NULL, .times = 1}, {"LLEN", ":0\r\n"}),
                PAIRS("jobs"));
    subscribe(&world, 0);
    world_add(&world, "listName", "other");
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
        fast_time_pass(10);
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
    world_add(&world, "listName", "other");
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

/* It is found by the second ping; nobody says that the connection is gone. */
static void subscriptions_of_a_subscriber_that_replies_to_no_ping_are_lost(void **state)
{
    enum { PAUSE_MS = 15 * 1000, STAY_MS = 100 };
    (void)state;
    struct world world;
    world_start(
        &world,
        SCRIPT(SUBSCRIBABLE, {"PING", "+PONG\r\n", .times = 2}, {"PING", ""}, {"LLEN", ":0\r\n"}),
        PAIRS("jobs"));
    subscribe(&world, 0);
    test_feed_task(world.feed, 0)->task.notifier.id = 0;
    for (size_t lost = 0; lost <= 1; lost++) {
        age_subscriber(&world, PAUSE_MS);
        test_feed_stay(world.feed, STAY_MS);
        world_run(&world);
        assert_true(world.usable);
        assert_int_equal(world.lost, lost);
    }
    assert_int_equal(world.notified, 0);
    world_stop(&world);
}

/* Its next job falls due in years. */
static void a_queue_does_not_notify_before_a_job_falls_due(void **state)
{
    enum { STAY_MS = 100 };
    static const char parts[] = "*7\r\n*2\r\n$10\r\n1000000000\r\n$1\r\n0\r\n"
                                ":1\r\n:2\r\n:3\r\n:4\r\n:0\r\n"
                                "*2\r\n$1\r\n7\r\n$16\r\n7782400000000000\r\n";
    (void)state;
    struct world world;
    world_start(&world, SCRIPT(SUBSCRIBABLE, {"LLEN jobs", ":0\r\n"}, {"EXEC", parts}),
                PAIRS("jobs"));
    struct trigger *videos = &world.triggers[world.count++];
    *videos = trigger_of(&scaler_redis, PAIRS("address", world.peer.address, "library", "bullmq",
                                              "queueName", "videos"));
    test_feed_add(world.feed, videos->options.query, (struct notifier){0});
    subscribe(&world, 1);
    test_feed_stay(world.feed, STAY_MS);
    world_run(&world);
    assert_int_equal(world.notified, 0);
    assert_int_equal(world.lost, 0);
    world_stop(&world);
}

/* Nothing that a proxy may not know is sent where it is measured. */
static void a_query_that_cannot_be_subscribed_to_is_measured(void **state)
{
    enum { CACHING_LINE = 1 };
    (void)state;
    struct world world;
    world_start(&world,
                SCRIPT({"CLIENT ID", "-NOPERM no such right\r\n"}, {"CLIENT CACHING", NULL},
                       {"LLEN", ":3\r\n"}),
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
    assert_int_equal(redis_peer_used(&world.peer, CACHING_LINE), 0);
    assert_false(task->subscribed);
    assert_int_equal(world.notified, 0);
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
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
        cmocka_unit_test(subscriptions_of_a_subscriber_that_replies_to_no_ping_are_lost),
        cmocka_unit_test(a_queue_does_not_notify_before_a_job_falls_due),
        cmocka_unit_test(a_query_that_cannot_be_subscribed_to_is_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
