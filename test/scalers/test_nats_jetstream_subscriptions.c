/* NATS JetStream: subscriptions to the subjects of a consumer, which notify of messages. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler.h"
#include "scalers/ended.h"
#include "scalers/nats_world.h"
#include "support/fast_time.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

/* It takes a few measurements: none waits for the subjects. */
static void measure_until(struct nats_world *world, bool (*is_done)(const struct test_task *task))
{
    enum { PAUSE_MS = 10 };
    struct test_task *task = test_feed_task(world->feed, 0);
    int64_t deadline_ms = clock_now_ms() + LONG_MS;
    while (!is_done(task) && clock_now_ms() < deadline_ms) {
        test_feed_again(world->feed);
        task->task.notifier = (struct notifier){nats_world_on_notify, world, 1};
        nats_world_run(world);
        assert_true(world->usable);
        assert_waiting(world->feed, 0, 0);
        fast_time_pass(PAUSE_MS);
    }
    assert_true(is_done(task));
}

static bool is_subscribed(const struct test_task *task)
{
    return task->subscribed;
}

static bool is_refused(const struct test_task *task)
{
    return error_is_set(&task->subscribe_error);
}

static void add_consumer(struct nats_world *world, const char *consumer)
{
    struct trigger *trigger = &world->triggers[world->count++];
    *trigger = trigger_of(&scaler_nats_jetstream, PAIRS("servers", world->peer.address, "stream",
                                                        "orders", "consumer", consumer));
    test_feed_add(world->feed, trigger->options.query, (struct notifier){0});
}

static void assert_notified_while_another_hangs(size_t message_bytes)
{
    struct nats_world world;
    nats_world_start(
        &world,
        SCRIPT(SUBJECTS, {OF("a"), CONSUMER}, {OF("hang"), INFO("0"), .times = 1},
               {OF("hang"), NULL, .message_on = "new", .message_bytes = message_bytes}),
        PAIRS("a"));
    measure_until(&world, is_subscribed);
    assert_int_equal(nats_world_notifications(&world), 0);
    add_consumer(&world, "hang");
    nats_world_run(&world);
    assert_waiting(world.feed, 1, 0);
    test_feed_again(world.feed);
    test_feed_task(world.feed, 0)->task.notifier.id = 0;
    nats_world_run(&world);
    assert_ended_with(world.feed, 1, TASK_TIMED_OUT, "");
    assert_int_equal(nats_world_notifications(&world), 1);
    nats_world_stop(&world);
}

static void a_notification_arrives_while_another_request_hangs(void **state)
{
    (void)state;
    assert_notified_while_another_hangs(1);
}

/* Of a server with a larger max_payload than usual. */
static void a_large_message_notifies(void **state)
{
    (void)state;
    assert_notified_while_another_hangs(2 << 20);
}

static void a_subject_that_may_not_be_subscribed_to_is_named(void **state)
{
    (void)state;
    struct nats_world world;
    nats_world_start(&world, SCRIPT(SUBJECTS, {OF("a"), CONSUMER}), PAIRS("a"));
    world.peer.denied = "new";
    measure_until(&world, is_refused);
    assert_non_null(strstr(error_text(&test_feed_task(world.feed, 0)->subscribe_error),
                           "must be allowed to subscribe to new"));
    nats_world_stop(&world);
}

static void a_limit_on_subscriptions_is_named(void **state)
{
    (void)state;
    struct nats_world world;
    nats_world_start(&world, SCRIPT(SUBJECTS, {OF("a"), CONSUMER}), PAIRS("a"));
    world.peer.refusal = "-ERR 'maximum subscriptions exceeded'\r\n";
    world.peer.denied = "new";
    measure_until(&world, is_refused);
    assert_non_null(strstr(error_text(&test_feed_task(world.feed, 0)->subscribe_error),
                           "maximum subscriptions exceeded"));
    nats_world_stop(&world);
}

/* At once, as the server says so; a request that has no reply is awaited for 5 s. */
static void a_right_to_the_subjects_that_is_missing_is_named_soon(void **state)
{
    enum { SOON_MS = 3000 };
    static const struct nats_line denied[] = {
        {"$JS.API.STREAM.INFO.orders", .is_denied = true},
        {"$JS.API.STREAM.INFO.orders", .has_no_responders = true},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(denied); i++) {
        struct nats_world world;
        nats_world_start(&world, SCRIPT(denied[i], {OF("a"), INFO("0")}), PAIRS("a"));
        int64_t start_ms = clock_now_ms();
        measure_until(&world, is_refused);
        assert_in_range(clock_now_ms() - start_ms, 0, SOON_MS);
        assert_non_null(strstr(error_text(&test_feed_task(world.feed, 0)->subscribe_error),
                               "must be allowed to publish to $JS.API.STREAM.INFO.orders"));
        nats_world_stop(&world);
    }
}

/* That one may not be subscribed to does not end the others. */
static void a_subject_that_is_denied_leaves_the_others(void **state)
{
    (void)state;
    struct nats_world world;
    nats_world_start(&world,
                     SCRIPT(SUBJECTS, {OF("a"), CONSUMER},
                            {OF("nobody"), "{\"config\":{\"filter_subject\":\"other\"},"
                                           "\"num_pending\":0,\"num_ack_pending\":0}"}),
                     PAIRS("a"));
    world.peer.denied = "other";
    measure_until(&world, is_subscribed);
    nats_world_add_task(&world, "lagThreshold", "9");
    struct test_task *task = test_feed_task(world.feed, 1);
    int64_t deadline_ms = clock_now_ms() + LONG_MS;
    while (!is_refused(task) && clock_now_ms() < deadline_ms) {
        test_feed_again(world.feed);
        test_feed_task(world.feed, 0)->task.notifier.id = 0;
        task->task.notifier = (struct notifier){nats_world_on_notify, &world, 2};
        nats_world_run(&world);
        assert_true(world.usable);
    }
    assert_non_null(strstr(error_text(&task->subscribe_error), "to subscribe to other"));
    assert_false(world.was_first_notified);
    nats_world_stop(&world);
}

static bool has_subscription(struct nats_peer *peer, const char *subject)
{
    bool has = false;
    pthread_mutex_lock(&peer->lock);
    for (size_t i = 0; i < peer->subscriptions_count; i++)
        has = has || strcmp(peer->subscriptions[i].subject, subject) == 0;
    pthread_mutex_unlock(&peer->lock);
    return has;
}

/* A consumer's subject is that of its messages after a transform; they are published before it. */
static void the_subjects_of_a_consumer_are_subscribed_to_where_they_are_published(void **state)
{
    (void)state;
    static const struct {
        struct nats_line stream;
        const char *subject;
    } rows[] = {
        {STREAM("\"subjects\":[\"new.>\"]"), "new.a"},
        {STREAM("\"subjects\":[\"new.>\"],\"subject_transform\":{}"), "new.>"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct nats_world world;
        nats_world_start(
            &world,
            SCRIPT(rows[i].stream,
                   {OF("a"), "{\"config\":{\"filter_subject\":\"new.a\"},"
                             "\"num_pending\":0,\"num_ack_pending\":0" STANDALONE "}"}),
            PAIRS("a"));
        measure_until(&world, is_subscribed);
        assert_true(has_subscription(&world.peer, rows[i].subject));
        assert_false(has_subscription(&world.peer, rows[1 - i].subject));
        nats_world_stop(&world);
    }
}

/* Of them no message would be seen on the stream's own subjects. */
static void messages_of_other_streams_are_not_subscribed_to(void **state)
{
    (void)state;
    static const struct nats_line streams[] = {
        STREAM("\"mirror\":{\"name\":\"x\"}"),
        STREAM("\"subjects\":[\"new\"],\"sources\":[{\"name\":\"x\"}]"),
    };
    for (size_t i = 0; i < ARRAY_LENGTH(streams); i++) {
        struct nats_world world;
        nats_world_start(&world, SCRIPT(streams[i], {OF("a"), CONSUMER}), PAIRS("a"));
        measure_until(&world, is_refused);
        assert_non_null(strstr(error_text(&test_feed_task(world.feed, 0)->subscribe_error),
                               "come from other streams"));
        nats_world_stop(&world);
    }
}

/* So many subscriptions of the first consumer, at a time. */
static void subscribe_many(struct nats_world *world, uint64_t count)
{
    measure_until(world, is_subscribed);
    for (uint64_t id = 2; id <= count; id++)
        test_feed_add(world->feed, world->triggers[0].options.query,
                      (struct notifier){nats_world_on_notify, world, id});
    test_feed_again(world->feed);
    test_feed_task(world->feed, 0)->task.notifier.id = 0;
    nats_world_run(world);
    assert_true(world->usable);
}

/* The script may have a message for it. Nobody subscribes. */
static void measure_last(struct nats_world *world)
{
    size_t count = test_feed_count(world->feed);
    test_feed_again(world->feed);
    for (size_t i = 0; i < count; i++)
        test_feed_task(world->feed, i)->task.notifier.id = 0;
    add_consumer(world, "last");
    nats_world_run(world);
    assert_waiting(world->feed, count, 0);
}

static void await_notifications(struct nats_world *world, size_t count)
{
    int64_t deadline_ms = clock_now_ms() + LONG_MS;
    while (nats_world_notifications(world) < count && clock_now_ms() < deadline_ms)
        fast_time_pass(1);
    assert_int_equal(nats_world_notifications(world), count);
}

/* From time to time those that have ended are freed, and no others. */
static void many_subscriptions_are_notified_each(void **state)
{
    enum { MANY = 1100, ENOUGH_MS = 20000 };
    (void)state;
    struct nats_world world;
    nats_world_start(&world,
                     SCRIPT(SUBJECTS, {OF("a"), CONSUMER},
                            {OF("last"), INFO("0"), .message_on = "new", .times = 1}),
                     PAIRS("a"));
    test_feed_set_timeout(world.feed, ENOUGH_MS);
    subscribe_many(&world, MANY);
    for (size_t i = 1; i < MANY; i++)
        assert_true(test_feed_task(world.feed, i)->subscribed);

    measure_last(&world);
    await_notifications(&world, MANY);
    nats_world_stop(&world);
}

static size_t count_subscribed(const struct nats_world *world)
{
    size_t count = 0;
    for (size_t i = 0; i < test_feed_count(world->feed); i++)
        count += test_feed_task(world->feed, i)->subscribed;
    return count;
}

/* An agent that gets no memory ends, and with it all subscriptions of the connection. Those that
 * are over leave theirs to others. */
static void subscriptions_beyond_their_memory_are_refused(void **state)
{
    enum { SUBJECTS_OF_STREAM = 64, MANY = 150, EXPECTED = 118, ENDED = 20, ENOUGH_MS = 60000 };
    (void)state;
    struct nats_world world;
    struct text stream = {0};
    for (int i = 0; i < SUBJECTS_OF_STREAM; i++)
        text_addf(&stream, "%s\"jobs.%d\"", i == 0 ? "{\"config\":{\"subjects\":[" : ",", i);
    text_add(&stream, "]}}");
    nats_world_start(&world,
                     SCRIPT({"$JS.API.STREAM.INFO.orders", stream.bytes}, {OF("a"), CONSUMER},
                            {OF("last"), INFO("0"), .message_on = "jobs.0", .times = 1},
                            {OF("last"), INFO("0")}),
                     PAIRS("a"));
    test_feed_set_timeout(world.feed, ENOUGH_MS);
    subscribe_many(&world, MANY);
    for (size_t i = 0; i < MANY; i++)
        assert_waiting(world.feed, i, 0);
    size_t subscribed = count_subscribed(&world);
    assert_in_range(subscribed, EXPECTED * 9 / 10, EXPECTED * 11 / 10);
    struct test_task *last = test_feed_task(world.feed, MANY - 1);
    assert_false(last->subscribed);
    assert_non_null(strstr(error_text(&last->subscribe_error), "take at most 10 MiB"));

    for (uint64_t id = 1; id <= ENDED; id++)
        test_feed_unsubscribe(world.feed, id);
    test_feed_again(world.feed);
    for (size_t i = 0; i < MANY; i++)
        test_feed_task(world.feed, i)->task.notifier.id = i >= MANY - ENDED ? MANY + i : 0;
    nats_world_run(&world);
    for (size_t i = MANY - ENDED; i < MANY; i++)
        assert_true(test_feed_task(world.feed, i)->subscribed);

    measure_last(&world); /* all have their message, and are over: also one from before */
    await_notifications(&world, subscribed + 1);
    measure_until(&world, is_subscribed);
    nats_world_stop(&world);
    text_done(&stream);
}

/* The requests that wait for it go over the first connection then. */
static void a_connection_of_subscriptions_that_is_silent_fails_no_request(void **state)
{
    (void)state;
    struct nats_world world;
    nats_world_start(&world,
                     SCRIPT(SUBJECTS, {OF("a"), CONSUMER, .times = 1},
                            {OF("a"), NULL, .is_deaf = true, .connection = 2}, {OF("a"), CONSUMER}),
                     PAIRS("a"));
    struct test_task *task = test_feed_task(world.feed, 0);
    int64_t deadline_ms = clock_now_ms() + LONG_MS;
    while (task->returned == 0 && clock_now_ms() < deadline_ms) {
        test_feed_again(world.feed);
        task->task.notifier = (struct notifier){nats_world_on_notify, &world, 1};
        nats_world_run(&world);
        assert_true(world.usable);
        assert_waiting(world.feed, 0, 0);
    }
    assert_int_equal(task->returned, 1);

    test_feed_again(world.feed); /* and those after them, for a while */
    nats_world_run(&world);
    assert_waiting(world.feed, 0, 0);
    assert_int_equal(task->returned, 1);
    nats_world_stop(&world);
}

/* The measuring ends while the other connection is still being made. */
static void measuring_does_not_wait_for_the_connection_of_subscriptions(void **state)
{
    (void)state;
    char byte;
    struct nats_world world;
    nats_world_start(&world, SCRIPT(SUBJECTS, {OF("a"), CONSUMER}), PAIRS("a"));
    world.peer.greeted = 1;
    for (int i = 0; i < 3; i++) {
        test_feed_again(world.feed);
        test_feed_task(world.feed, 0)->task.notifier =
            (struct notifier){nats_world_on_notify, &world, 1};
        nats_world_run(&world);
        assert_true(world.usable);
        assert_waiting(world.feed, 0, 0);
    }
    while (world.peer.connections < 2)
        fast_time_pass(1);
    assert_int_equal(world.peer.connections, 2);
    assert_int_equal(recv(world.peer.sockets[1], &byte, 1, MSG_PEEK | MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN); /* the client has not given up */
    shutdown(world.peer.sockets[1], SHUT_RDWR);
    nats_world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_right_to_the_subjects_that_is_missing_is_named_soon),
        cmocka_unit_test(a_subject_that_is_denied_leaves_the_others),
        cmocka_unit_test(a_notification_arrives_while_another_request_hangs),
        cmocka_unit_test(a_large_message_notifies),
        cmocka_unit_test(measuring_does_not_wait_for_the_connection_of_subscriptions),
        cmocka_unit_test(a_subject_that_may_not_be_subscribed_to_is_named),
        cmocka_unit_test(a_limit_on_subscriptions_is_named),
        cmocka_unit_test(the_subjects_of_a_consumer_are_subscribed_to_where_they_are_published),
        cmocka_unit_test(messages_of_other_streams_are_not_subscribed_to),
        cmocka_unit_test(many_subscriptions_are_notified_each),
        cmocka_unit_test(subscriptions_beyond_their_memory_are_refused),
        cmocka_unit_test(a_connection_of_subscriptions_that_is_silent_fails_no_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
