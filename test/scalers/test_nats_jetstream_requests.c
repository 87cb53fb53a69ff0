/* NATS JetStream: several requests at a time, of which one hangs, is late or refused. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler.h"
#include "nats_jetstream/client/configs.h"
#include "nats_jetstream/client/connection.h"
#include "nats_jetstream/client/subscriber.h"
#include "nats_jetstream/limits.h"
#include "scalers/ended.h"
#include "scalers/nats_peer.h"
#include "scalers/trigger.h"
#include "support/feed.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

extern const struct scaler scaler_nats_jetstream;

enum { MAX_CONSUMERS = 8, TIMEOUT_MS = 400, LONG_MS = 20 * 1000 };

/* A client of a server with a script, and a task for each of these consumers of the stream
 * "orders". */
struct world {
    struct nats_peer peer;
    struct trigger triggers[MAX_CONSUMERS];
    size_t count;
    struct test_feed *feed;
    void *client;
    struct error error;
    bool usable;
    pthread_mutex_t lock;
    size_t notified;
    bool was_first_notified; /* that with the id 1 */
};

static void on_notify(void *context, uint64_t id)
{
    struct world *world = context;
    assert_true(id > 0);
    pthread_mutex_lock(&world->lock);
    world->notified++;
    world->was_first_notified = world->was_first_notified || id == 1;
    pthread_mutex_unlock(&world->lock);
}

static size_t notifications(struct world *world)
{
    pthread_mutex_lock(&world->lock);
    size_t notified = world->notified;
    pthread_mutex_unlock(&world->lock);
    return notified;
}

static void world_start(struct world *world, const struct nats_line *script,
                        const char *const *consumers)
{
    *world = (struct world){.lock = PTHREAD_MUTEX_INITIALIZER};
    nats_peer_start(&world->peer, script);
    world->feed = test_feed_new(&scaler_nats_jetstream);
    for (; consumers[world->count] != NULL; world->count++) {
        struct trigger *trigger = &world->triggers[world->count];
        *trigger = trigger_of(&scaler_nats_jetstream,
                              PAIRS("servers", world->peer.address, "stream", "orders", "consumer",
                                    consumers[world->count]));
        assert_true(trigger->good);
        test_feed_add(world->feed, trigger->options.query, (struct notifier){0});
    }
    test_feed_set_timeout(world->feed, TIMEOUT_MS);
    if (!scaler_nats_jetstream.connect(world->triggers[0].options.connection,
                                       clock_now_ms() + LONG_MS, &world->client, &world->error))
        fail_msg("%s", error_text(&world->error));
}

static void world_run(struct world *world)
{
    world->usable = test_feed_run(world->feed, world->client, LONG_MS, &world->error);
}

static void world_stop(struct world *world)
{
    scaler_nats_jetstream.disconnect(world->client);
    test_feed_free(world->feed);
    nats_peer_stop(&world->peer);
    for (size_t i = 0; i < world->count; i++)
        trigger_done(&world->triggers[i]);
    error_done(&world->error);
}

#define SCRIPT(...) ((const struct nats_line[]){__VA_ARGS__, {.subject = NULL}})
#define LEADER ",\"cluster\":{\"leader\":\"nats-1\"}"
#define INFO(pending) "{\"num_pending\":" pending ",\"num_ack_pending\":0" LEADER "}"
#define DEFAULTS                                                                                   \
    "{\"config\":{},\"delivered\":{\"consumer_seq\":0,\"stream_seq\":0},"                          \
    "\"ack_floor\":{\"consumer_seq\":0,\"stream_seq\":0},\"num_ack_pending\":0,"                   \
    "\"num_redelivered\":0,\"num_waiting\":0,\"num_pending\":0}"
#define OF(consumer) "$JS.API.CONSUMER.INFO.orders." consumer

static void a_request_that_is_not_replied_to_times_out_alone(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, SCRIPT({OF("a"), INFO("1")}, {OF("b"), INFO("2")}),
                PAIRS("hang", "a", "b"));
    world_run(&world);
    assert_true(world.usable);
    assert_ended_with(world.feed, 0, TASK_TIMED_OUT, "");
    assert_int_equal(test_feed_task(world.feed, 0)->order, 3);
    assert_waiting(world.feed, 1, 1);
    assert_waiting(world.feed, 2, 2);
    world_stop(&world);
}

static void no_responders_and_a_missing_right_end_their_own_request_at_once(void **state)
{
    (void)state;
    struct world world;
    world_start(&world,
                SCRIPT({OF("nobody"), .has_no_responders = true}, {OF("denied"), .is_denied = true},
                       {OF("too"), .is_denied = true}, {OF("a"), INFO("1")}),
                PAIRS("hang", "nobody", "denied", "too", "a"));
    world_run(&world);
    assert_true(world.usable);
    assert_ended_with(world.feed, 0, TASK_TIMED_OUT, "");
    assert_int_equal(test_feed_task(world.feed, 0)->order, 5);
    assert_ended_with(world.feed, 1, TASK_FAILED, "no JetStream answers");
    assert_ended_with(world.feed, 2, TASK_FAILED, "$JS.API.CONSUMER.INFO.orders.denied");
    assert_ended_with(world.feed, 3, TASK_FAILED, "$JS.API.CONSUMER.INFO.orders.too");
    assert_waiting(world.feed, 4, 1);
    world_stop(&world);
}

#define HALF "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define HUNDRED                                                                                    \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
    "xxxxxxxx"

/* nats.c cuts the server's words. */
static void a_missing_right_to_a_long_name_ends_its_request_at_once(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, SCRIPT({HUNDRED, .is_denied = true}), PAIRS(HUNDRED HUNDRED HALF));
    world_run(&world);
    assert_true(world.usable);
    assert_ended_with(world.feed, 0, TASK_FAILED, "Permissions Violation");
    world_stop(&world);
}

/* A task for each of so many consumers more, each of a stream of its own. */
static struct nats_query *add_many(struct world *world, size_t count)
{
    struct nats_query *queries = memory_array(count, sizeof(*queries));
    for (size_t i = 0; i < count; i++) {
        queries[i] = (struct nats_query){.stream = text_format("a-stream-that-is-%zu", i),
                                         .consumer = "workers"};
        test_feed_add(world->feed, &queries[i], (struct notifier){0});
    }
    return queries;
}

static void free_many(struct nats_query *queries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free((char *)queries[i].stream);
    free(queries);
}

/* As where the right is missing for the whole server. */
static void each_of_many_refusals_ends_its_own_request(void **state)
{
    enum { MANY = 10000 };
    (void)state;
    struct world world;
    world_start(&world, SCRIPT({"", .is_denied = true}), PAIRS("first"));
    test_feed_set_timeout(world.feed, LONG_MS);
    struct nats_query *queries = add_many(&world, MANY);
    world_run(&world);
    assert_true(world.usable);
    for (size_t i = 0; i <= MANY; i++)
        assert_ended_with(world.feed, i, TASK_FAILED, "Permissions Violation");
    world_stop(&world);
    free_many(queries, MANY);
}

/* At 10,000 that wait, a server drops those of all clients. */
static void requests_in_flight_are_few(void **state)
{
    enum { MANY = 2500, SHORT_MS = 1500 };
    (void)state;
    static const struct {
        struct nats_line lines[2];
        size_t line;
        int max;
    } rows[] = {
        {{{"", NULL}}, 0, NATS_MAX_TASKS},
        {{{".workers", DEFAULTS}, {"", NULL}}, 1, NATS_MAX_CONFIGS},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct world world;
        world_start(&world, SCRIPT(rows[i].lines[0], rows[i].lines[1]), PAIRS("workers"));
        test_feed_set_timeout(world.feed, LONG_MS);
        struct nats_query *queries = add_many(&world, MANY);
        world.usable = test_feed_run(world.feed, world.client, SHORT_MS, &world.error);
        pthread_mutex_lock(&world.peer.lock);
        assert_in_range(world.peer.used[rows[i].line], rows[i].max / 2, rows[i].max);
        pthread_mutex_unlock(&world.peer.lock);
        world_stop(&world);
        free_many(queries, MANY);
    }
}

static void more_requests_than_may_be_in_flight_are_all_replied_to(void **state)
{
    enum { MANY = 2500 };
    (void)state;
    struct world world;
    world_start(&world, SCRIPT({".workers", DEFAULTS}, {"", "{\"config\":{\"num_replicas\":1}}"}),
                PAIRS("workers"));
    test_feed_set_timeout(world.feed, LONG_MS);
    struct nats_query *queries = add_many(&world, MANY);
    world_run(&world);
    assert_true(world.usable);
    for (size_t i = 0; i <= MANY; i++)
        assert_waiting(world.feed, i, 0);
    world_stop(&world);
    free_many(queries, MANY);
}

/* Of a consumer without a leader, while others wait for its place. */
static void a_request_that_hangs_gives_up_its_place(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, SCRIPT({OF("hang"), NULL, .times = 1}, {OF("hang"), INFO("1")}),
                PAIRS("hang"));
    test_feed_set_timeout(world.feed, LONG_MS);
    test_feed_cancel(world.feed, 0);
    world_run(&world);
    assert_true(world.usable);
    assert_int_equal(test_feed_task(world.feed, 0)->returned, 1);
    assert_waiting(world.feed, 0, 1);
    world_stop(&world);
}

/* Of the consumer "nobody", with one more key. */
static void add_task(struct world *world, const char *key, const char *value)
{
    struct trigger *trigger = &world->triggers[world->count++];
    *trigger =
        trigger_of(&scaler_nats_jetstream, PAIRS("servers", world->peer.address, "stream", "orders",
                                                 "consumer", "nobody", key, value));
    assert_true(trigger->good);
    test_feed_add(world->feed, trigger->options.query, (struct notifier){0});
}

static void without_responders_the_key_that_may_be_wrong_is_named(void **state)
{
    (void)state;
    struct world world;
    world_start(&world,
                SCRIPT({OF("nobody"), .has_no_responders = true},
                       {"$JS.eu.API.CONSUMER.INFO.orders.nobody", .has_no_responders = true},
                       {"other.API.CONSUMER.INFO.orders.nobody", .has_no_responders = true}),
                PAIRS("nobody"));
    add_task(&world, "domain", "eu");
    add_task(&world, "apiPrefix", "other.API");
    world_run(&world);
    assert_true(world.usable);
    assert_ended_with(world.feed, 0, TASK_FAILED, "is in a domain (set domain)");
    assert_ended_with(world.feed, 1, TASK_FAILED, "check domain \"eu\"");
    assert_ended_with(world.feed, 2, TASK_FAILED, "check apiPrefix \"other.API\"");
    world_stop(&world);
}

/* nats.c reports on a thread of its own what it has read behind the error that closes. */
static void errors_behind_that_which_closes_the_connection_are_ignored(void **state)
{
    enum { ERRORS = 400, ROUNDS = 20 };
    (void)state;
    struct text raw = {0};
    text_add(&raw, "-ERR 'closing'\r\n");
    for (int i = 0; i < ERRORS; i++)
        text_add(&raw, "-ERR 'Permissions Violation for Publish to \"a\"'\r\n");
    for (int i = 0; i < ROUNDS; i++) {
        struct world world;
        world_start(&world, SCRIPT({OF("a"), .raw = raw.bytes}), PAIRS("a"));
        world_run(&world);
        assert_false(world.usable);
        world_stop(&world);
    }
    text_done(&raw);
}

static void assert_refused_without_tls(const char *servers, const char *tls)
{
    void *client = NULL;
    _cleanup_(trigger_done) struct trigger trigger =
        trigger_of(&scaler_nats_jetstream,
                   PAIRS("servers", servers, "stream", "orders", "consumer", "a", "tls", tls));
    assert_true(trigger.good);
    assert_false(scaler_nats_jetstream.connect(trigger.options.connection, clock_now_ms() + LONG_MS,
                                               &client, &trigger.error));
    assert_non_null(strstr(error_text(&trigger.error), "Secure Connection not available"));
}

static void a_server_without_tls_is_refused_where_tls_is_required(void **state)
{
    (void)state;
    struct nats_peer peer = {0};
    nats_peer_start(&peer, SCRIPT({OF("a"), INFO("1")}));
    const char *address = peer.address;
    _cleanup_(memory_free) char *url = text_format("tls://%s", address);
    assert_refused_without_tls(address, "enable");
    assert_refused_without_tls(url, "disable");
    nats_peer_stop(&peer);
}

static void a_late_reply_is_not_taken_for_that_of_another_request(void **state)
{
    (void)state;
    struct world world;
    world_start(
        &world,
        SCRIPT({OF("late"), INFO("7"), .is_late = true, .times = 1}, {OF("late"), INFO("8")}),
        PAIRS("late"));
    world_run(&world);
    assert_true(world.usable);
    assert_ended_with(world.feed, 0, TASK_TIMED_OUT, "");
    test_feed_again(world.feed);
    world_run(&world);
    assert_waiting(world.feed, 0, 8);
    world_stop(&world);
}

static void a_server_that_does_not_reply_is_a_lost_connection(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, SCRIPT({OF("a"), NULL, .is_deaf = true}), PAIRS("a", "b"));
    int64_t start_ms = clock_now_ms();
    world_run(&world);
    assert_false(world.usable);
    assert_non_null(strstr(error_text(&world.error), "no answer in time"));
    assert_non_null(strstr(error_text(&world.error), world.peer.address));
    assert_in_range(clock_now_ms() - start_ms, TIMEOUT_MS, 10 * TIMEOUT_MS);
    world_stop(&world);
}

#define STREAM(config) {"$JS.API.STREAM.INFO.orders", "{\"config\":{" config "}}"}
#define SUBJECTS STREAM("\"subjects\":[\"new\"]")
#define CONSUMER "{\"config\":{},\"num_pending\":0,\"num_ack_pending\":0" LEADER "}"

#define ALONE "{\"num_pending\":3,\"num_ack_pending\":0}"
#define LEADERLESS "{\"num_pending\":0,\"num_ack_pending\":0,\"cluster\":{\"name\":\"nats\"}}"

#define LED_BY(leader, pending)                                                                    \
    "{\"num_pending\":" pending ",\"num_ack_pending\":0,\"cluster\":{\"leader\":\"" leader "\"}}"

/* Elected, it answers with the 0 of a follower until it has counted. */
static void the_zero_of_a_new_leader_is_requested_again(void **state)
{
    enum { NEW_LEADER_MS = 500, SHORT_MS = 300 };
    (void)state;
    struct world world;
    world_start(&world,
                SCRIPT({OF("a"), LED_BY("nats-1", "5"), .times = 1},
                       {OF("a"), LED_BY("nats-2", "0"), .times = 1},
                       {OF("a"), LED_BY("nats-2", "6"), .times = 1},
                       {OF("a"), LED_BY("nats-1", "0")}, {OF("b"), INFO("1")}),
                PAIRS("a", "b"));
    test_feed_set_timeout(world.feed, LONG_MS);
    world_run(&world);
    assert_waiting(world.feed, 0, 5);
    int64_t start_ms = clock_now_ms();
    test_feed_again(world.feed);
    world_run(&world);
    assert_waiting(world.feed, 0, 6);
    assert_in_range(clock_now_ms() - start_ms, NEW_LEADER_MS, LONG_MS);
    assert_int_equal(test_feed_task(world.feed, 1)->order, 1);

    test_feed_set_timeout(world.feed, SHORT_MS);
    test_feed_again(world.feed);
    world_run(&world);
    assert_true(world.usable);
    assert_ended_with(world.feed, 0, TASK_TIMED_OUT, "has a new leader");
    test_feed_again(world.feed);
    world_run(&world);
    assert_waiting(world.feed, 0, 0);
    world_stop(&world);
}

static void any_other_zero_counts_at_once(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second;
        double waiting;
    } rows[] = {
        {LED_BY("nats-1", "5"), LED_BY("nats-1", "0"), 0}, /* all were taken */
        {LED_BY("nats-1", "0"), LED_BY("nats-2", "0"), 0}, /* there were none */
        {LED_BY("nats-1", "5"), LED_BY("nats-2", "4"), 4},
        {"{\"num_pending\":5,\"num_ack_pending\":0}", "{\"num_pending\":0,\"num_ack_pending\":1}",
         0}, /* in no cluster */
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct world world;
        world_start(&world, SCRIPT({OF("a"), rows[i].first, .times = 1}, {OF("a"), rows[i].second}),
                    PAIRS("a"));
        test_feed_set_timeout(world.feed, LONG_MS);
        world_run(&world);
        test_feed_again(world.feed);
        world_run(&world);
        assert_waiting(world.feed, 0, rows[i].waiting);
        assert_int_equal(world.peer.used[1], 1);
        world_stop(&world);
    }
}

/* NATS delivers the first reply only, so none of the leader's follows. */
static void a_node_without_its_replica_is_not_believed(void **state)
{
    (void)state;
    struct world world;
    world_start(&world,
                SCRIPT(STREAM("\"num_replicas\":3"), {OF("a"), INFO("7")}, {OF("b"), DEFAULTS},
                       {OF("c"), INFO("0")}, {OF("d"), LEADERLESS}),
                PAIRS("a", "b", "c", "d"));
    world_run(&world);
    assert_true(world.usable);
    assert_waiting(world.feed, 0, 7);
    assert_ended_with(world.feed, 1, TASK_FAILED, "has not opened its replica");
    assert_waiting(world.feed, 2, 0);
    assert_ended_with(world.feed, 3, TASK_FAILED, "has no leader now");
    world_stop(&world);
}

static void a_new_consumer_of_a_stream_with_one_replica_has_no_messages(void **state)
{
    (void)state;
    struct world world;
    world_start(&world,
                SCRIPT(STREAM("\"num_replicas\":1"), {OF("a"), DEFAULTS}, {OF("b"), DEFAULTS}),
                PAIRS("a", "b"));
    for (int i = 0; i < 3; i++) {
        test_feed_again(world.feed);
        world_run(&world);
        assert_waiting(world.feed, 0, 0);
        assert_waiting(world.feed, 1, 0);
    }
    assert_int_equal(world.peer.used[0], 1);
    world_stop(&world);
}

static void a_stream_that_does_not_report_its_replicas_is_named(void **state)
{
    (void)state;
    static const struct {
        struct nats_line stream;
        enum task_outcome outcome;
        const char *words;
    } rows[] = {
        {{"$JS.API.STREAM.INFO.orders", .is_denied = true},
         TASK_FAILED,
         "publish to $JS.API.STREAM.INFO.orders"},
        {{"$JS.API.STREAM.INFO.orders", .has_no_responders = true},
         TASK_FAILED,
         "publish to $JS.API.STREAM.INFO.orders"},
        {STREAM(""), TASK_FAILED, "no usable reply to $JS.API.STREAM.INFO.orders"},
        {{"$JS.API.STREAM.INFO.orders", NULL},
         TASK_TIMED_OUT,
         "no usable reply to $JS.API.STREAM.INFO.orders"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct world world;
        world_start(
            &world,
            SCRIPT(rows[i].stream, {OF("a"), DEFAULTS}, {OF("b"), ALONE}, {OF("c"), DEFAULTS}),
            PAIRS("a", "b", "c"));
        world_run(&world);
        assert_true(world.usable);
        assert_ended_with(world.feed, 0, rows[i].outcome, rows[i].words);
        assert_waiting(world.feed, 1, 3);
        assert_ended_with(world.feed, 2, rows[i].outcome, rows[i].words);
        test_feed_again(world.feed);
        world_run(&world);
        assert_int_equal(world.peer.used[0], 1);
        world_stop(&world);
    }
}

/* It takes a few measurements: none waits for the subjects. */
static void measure_until(struct world *world, bool (*is_done)(const struct test_task *task))
{
    struct test_task *task = test_feed_task(world->feed, 0);
    int64_t deadline_ms = clock_now_ms() + 20000;
    while (!is_done(task) && clock_now_ms() < deadline_ms) {
        test_feed_again(world->feed);
        task->task.notifier = (struct notifier){on_notify, world, 1};
        world_run(world);
        assert_true(world->usable);
        assert_waiting(world->feed, 0, 0);
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

static void assert_notified_while_another_hangs(size_t message_bytes)
{
    struct world world;
    world_start(&world,
                SCRIPT(SUBJECTS, {OF("a"), CONSUMER}, {OF("hang"), INFO("0"), .times = 1},
                       {OF("hang"), NULL, .message_on = "new", .message_bytes = message_bytes}),
                PAIRS("a"));
    measure_until(&world, is_subscribed);
    assert_int_equal(notifications(&world), 0);
    struct trigger *trigger = &world.triggers[world.count++];
    *trigger = trigger_of(&scaler_nats_jetstream, PAIRS("servers", world.peer.address, "stream",
                                                        "orders", "consumer", "hang"));
    test_feed_add(world.feed, trigger->options.query, (struct notifier){0});
    world_run(&world);
    assert_waiting(world.feed, 1, 0);
    test_feed_again(world.feed);
    test_feed_task(world.feed, 0)->task.notifier.id = 0;
    world_run(&world);
    assert_ended_with(world.feed, 1, TASK_TIMED_OUT, "");
    assert_int_equal(notifications(&world), 1);
    world_stop(&world);
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
    struct world world;
    world_start(&world, SCRIPT(SUBJECTS, {OF("a"), CONSUMER}), PAIRS("a"));
    world.peer.denied = "new";
    measure_until(&world, is_refused);
    assert_non_null(strstr(error_text(&test_feed_task(world.feed, 0)->subscribe_error),
                           "must be allowed to subscribe to new"));
    world_stop(&world);
}

static void a_limit_on_subscriptions_is_named(void **state)
{
    (void)state;
    struct world world;
    world_start(&world, SCRIPT(SUBJECTS, {OF("a"), CONSUMER}), PAIRS("a"));
    world.peer.refusal = "-ERR 'maximum subscriptions exceeded'\r\n";
    world.peer.denied = "new";
    measure_until(&world, is_refused);
    assert_non_null(strstr(error_text(&test_feed_task(world.feed, 0)->subscribe_error),
                           "maximum subscriptions exceeded"));
    world_stop(&world);
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
        struct world world;
        world_start(&world, SCRIPT(denied[i], {OF("a"), INFO("0")}), PAIRS("a"));
        int64_t start_ms = clock_now_ms();
        measure_until(&world, is_refused);
        assert_in_range(clock_now_ms() - start_ms, 0, SOON_MS);
        assert_non_null(strstr(error_text(&test_feed_task(world.feed, 0)->subscribe_error),
                               "must be allowed to publish to $JS.API.STREAM.INFO.orders"));
        world_stop(&world);
    }
}

/* That one may not be subscribed to does not end the others. */
static void a_subject_that_is_denied_leaves_the_others(void **state)
{
    (void)state;
    struct world world;
    world_start(&world,
                SCRIPT(SUBJECTS, {OF("a"), CONSUMER},
                       {OF("nobody"), "{\"config\":{\"filter_subject\":\"other\"},"
                                      "\"num_pending\":0,\"num_ack_pending\":0}"}),
                PAIRS("a"));
    world.peer.denied = "other";
    measure_until(&world, is_subscribed);
    add_task(&world, "lagThreshold", "9");
    struct test_task *task = test_feed_task(world.feed, 1);
    int64_t deadline_ms = clock_now_ms() + LONG_MS;
    while (!is_refused(task) && clock_now_ms() < deadline_ms) {
        test_feed_again(world.feed);
        test_feed_task(world.feed, 0)->task.notifier.id = 0;
        task->task.notifier = (struct notifier){on_notify, &world, 2};
        world_run(&world);
        assert_true(world.usable);
    }
    assert_non_null(strstr(error_text(&task->subscribe_error), "to subscribe to other"));
    assert_false(world.was_first_notified);
    world_stop(&world);
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
        struct world world;
        world_start(
            &world,
            SCRIPT(rows[i].stream, {OF("a"), "{\"config\":{\"filter_subject\":\"new.a\"},"
                                             "\"num_pending\":0,\"num_ack_pending\":0" LEADER "}"}),
            PAIRS("a"));
        measure_until(&world, is_subscribed);
        assert_true(has_subscription(&world.peer, rows[i].subject));
        assert_false(has_subscription(&world.peer, rows[1 - i].subject));
        world_stop(&world);
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
        struct world world;
        world_start(&world, SCRIPT(streams[i], {OF("a"), CONSUMER}), PAIRS("a"));
        measure_until(&world, is_refused);
        assert_non_null(strstr(error_text(&test_feed_task(world.feed, 0)->subscribe_error),
                               "come from other streams"));
        world_stop(&world);
    }
}

/* From time to time those that have ended are freed, and no others. */
static void many_subscriptions_are_notified_each(void **state)
{
    enum { MANY = 1100, ENOUGH_MS = 20000 };
    (void)state;
    struct world world;
    world_start(&world,
                SCRIPT(SUBJECTS, {OF("a"), CONSUMER},
                       {OF("last"), INFO("0"), .message_on = "new", .times = 1}),
                PAIRS("a"));
    test_feed_set_timeout(world.feed, ENOUGH_MS);
    measure_until(&world, is_subscribed);
    const void *query = world.triggers[0].options.query;
    for (uint64_t id = 2; id <= MANY; id++)
        test_feed_add(world.feed, query, (struct notifier){on_notify, &world, id});
    test_feed_again(world.feed);
    test_feed_task(world.feed, 0)->task.notifier.id = 0;
    world_run(&world);
    for (size_t i = 1; i < MANY; i++)
        assert_true(test_feed_task(world.feed, i)->subscribed);

    struct trigger *trigger = &world.triggers[world.count++];
    *trigger = trigger_of(&scaler_nats_jetstream, PAIRS("servers", world.peer.address, "stream",
                                                        "orders", "consumer", "last"));
    test_feed_again(world.feed);
    for (size_t i = 0; i < MANY; i++)
        test_feed_task(world.feed, i)->task.notifier.id = 0;
    test_feed_add(world.feed, trigger->options.query, (struct notifier){0});
    world_run(&world);
    assert_waiting(world.feed, MANY, 0);
    int64_t deadline_ms = clock_now_ms() + ENOUGH_MS;
    while (notifications(&world) < MANY && clock_now_ms() < deadline_ms)
        usleep(1000);
    assert_int_equal(notifications(&world), MANY);
    world_stop(&world);
}

static size_t count_subscribed(const struct world *world)
{
    size_t count = 0;
    for (size_t i = 0; i < test_feed_count(world->feed); i++)
        count += test_feed_task(world->feed, i)->subscribed;
    return count;
}

/* An agent that gets no memory ends, and with it all subscriptions of the connection. */
static void subscriptions_beyond_their_memory_are_refused(void **state)
{
    enum { SUBJECTS_OF_STREAM = 64, MANY = 150, EXPECTED = 118, ENDED = 20, ENOUGH_MS = 60000 };
    (void)state;
    struct world world;
    struct text stream = {0};
    for (int i = 0; i < SUBJECTS_OF_STREAM; i++)
        text_addf(&stream, "%s\"jobs.%d\"", i == 0 ? "{\"config\":{\"subjects\":[" : ",", i);
    text_add(&stream, "]}}");
    world_start(&world, SCRIPT({"$JS.API.STREAM.INFO.orders", stream.bytes}, {OF("a"), CONSUMER}),
                PAIRS("a"));
    test_feed_set_timeout(world.feed, ENOUGH_MS);
    measure_until(&world, is_subscribed);
    const void *query = world.triggers[0].options.query;
    for (uint64_t id = 2; id <= MANY; id++)
        test_feed_add(world.feed, query, (struct notifier){on_notify, &world, id});
    test_feed_again(world.feed);
    test_feed_task(world.feed, 0)->task.notifier.id = 0;
    test_feed_stay(world.feed, 1);
    world_run(&world);
    assert_true(world.usable);
    for (size_t i = 0; i < MANY; i++)
        assert_waiting(world.feed, i, 0);
    assert_in_range(count_subscribed(&world), EXPECTED * 9 / 10, EXPECTED * 11 / 10);
    struct test_task *last = test_feed_task(world.feed, MANY - 1);
    assert_false(last->subscribed);
    assert_non_null(strstr(error_text(&last->subscribe_error), "take at most 10 MiB"));

    for (uint64_t id = 1; id <= ENDED; id++)
        test_feed_unsubscribe(world.feed, id);
    test_feed_again(world.feed);
    for (size_t i = 0; i < MANY; i++)
        test_feed_task(world.feed, i)->task.notifier.id = i >= MANY - ENDED ? MANY + i : 0;
    world_run(&world);
    for (size_t i = MANY - ENDED; i < MANY; i++)
        assert_true(test_feed_task(world.feed, i)->subscribed);
    world_stop(&world);
    text_done(&stream);
}

/* The requests that wait for it go over the first connection then. */
static void a_connection_of_subscriptions_that_is_silent_fails_no_request(void **state)
{
    (void)state;
    struct world world;
    world_start(&world,
                SCRIPT(SUBJECTS, {OF("a"), CONSUMER, .times = 1},
                       {OF("a"), NULL, .is_deaf = true, .connection = 2}, {OF("a"), CONSUMER}),
                PAIRS("a"));
    struct test_task *task = test_feed_task(world.feed, 0);
    int64_t deadline_ms = clock_now_ms() + LONG_MS;
    while (task->returned == 0 && clock_now_ms() < deadline_ms) {
        test_feed_again(world.feed);
        task->task.notifier = (struct notifier){on_notify, &world, 1};
        world_run(&world);
        assert_true(world.usable);
        assert_waiting(world.feed, 0, 0);
    }
    assert_int_equal(task->returned, 1);

    test_feed_again(world.feed); /* and those after them, for a while */
    world_run(&world);
    assert_waiting(world.feed, 0, 0);
    assert_int_equal(task->returned, 1);
    world_stop(&world);
}

/* The measuring ends while the other connection is still being made. */
static void measuring_does_not_wait_for_the_connection_of_subscriptions(void **state)
{
    (void)state;
    char byte;
    struct world world;
    world_start(&world, SCRIPT(SUBJECTS, {OF("a"), CONSUMER}), PAIRS("a"));
    world.peer.greeted = 1;
    for (int i = 0; i < 3; i++) {
        test_feed_again(world.feed);
        test_feed_task(world.feed, 0)->task.notifier = (struct notifier){on_notify, &world, 1};
        world_run(&world);
        assert_true(world.usable);
        assert_waiting(world.feed, 0, 0);
    }
    while (world.peer.connections < 2)
        usleep(1000);
    assert_int_equal(world.peer.connections, 2);
    assert_int_equal(recv(world.peer.sockets[1], &byte, 1, MSG_PEEK | MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN); /* the client has not given up */
    shutdown(world.peer.sockets[1], SHUT_RDWR);
    world_stop(&world);
}

/* As a hostile server delivers them; those of a real one begin with the inbox. */
static void a_message_on_another_subject_is_no_reply(void **state)
{
    static const struct {
        const char *subject;
        uint64_t number;
    } rows[] = {{"_INBOX.abcdefgh.7", 7}, {"_INBOX.abcdefgh.7x", 0}, {"_INBOX.abcdefgh", 0},
                {"_INBOX.abcdefgh7", 0},  {"_INBOX.abcdefgx.7", 0},  {"x", 0}};
    (void)state;
    struct nats_client_connection connection = {.inbox = (natsInbox *)"_INBOX.abcdefgh"};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        natsMsg *message = NULL;
        assert_int_equal(natsMsg_Create(&message, rows[i].subject, NULL, NULL, 0), NATS_OK);
        assert_int_equal(nats_client_connection_number(&connection, message), rows[i].number);
        natsMsg_Destroy(message);
    }
}

static enum nats_configs_state find_subjects(struct nats_configs *configs, int consumer,
                                             int64_t now_ms, struct error *error)
{
    const struct nats_subject_list *list;
    _cleanup_(memory_free) char *name = text_format("consumer-%d", consumer);
    const struct nats_query query = {.stream = "orders", .consumer = name};
    error_done(error);
    return nats_configs_find_or_request_subjects(configs, &query, now_ms, &list, error);
}

static void reply_with_subjects(struct nats_configs *configs, uint64_t number, size_t length)
{
    enum { MAX_SUBJECTS = 64 };
    struct text reply = {0};
    natsMsg *message = NULL;
    for (int i = 0; i < MAX_SUBJECTS; i++)
        text_addf(&reply, "%s\"%0*d\"", i == 0 ? "{\"config\":{\"subjects\":[" : ",", (int)length,
                  i);
    text_add(&reply, "]}}");
    assert_int_equal(natsMsg_Create(&message, "x", NULL, reply.bytes, (int)reply.length), NATS_OK);
    assert_true(nats_configs_take(configs, number, message));
    natsMsg_Destroy(message);
    text_done(&reply);
}

static void reply_to_subjects(struct nats_configs *configs, uint64_t number, const char *reply)
{
    natsMsg *message = NULL;
    assert_int_equal(natsMsg_Create(&message, "x", NULL, reply, (int)strlen(reply)), NATS_OK);
    assert_true(nats_configs_take(configs, number, message));
    natsMsg_Destroy(message);
}

#define API_ERROR(code) "{\"error\":{\"code\":503,\"err_code\":" code "}}"

/* Consumers come and go, and a tenant may give each as many subjects as it likes. */
static void subjects_that_are_known_take_a_bounded_memory(void **state)
{
    enum { SHORT = 10, LONG = 1000, MANY = 30000, AGED_MS = 61 * 1000 };
    static const struct {
        size_t length;
        int min, max;
    } rows[] = {{0, 20000, MANY - 1}, {SHORT, 500, 4000}, {LONG, 20, 100}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct nats_client_connection connection = {.inbox = (natsInbox *)"_INBOX.abcdefgh"};
        struct nats_configs *configs = nats_configs_new(&connection);
        struct error error = {0};
        int count = 0;
        find_subjects(configs, 0, 0, &error);
        reply_with_subjects(configs, 1, 1); /* the stream's */
        while (count < MANY && find_subjects(configs, count, 0, &error) == NATS_CONFIGS_REQUESTED) {
            uint64_t number = connection.last_number;
            if (rows[i].length > 0)
                reply_with_subjects(configs, number, rows[i].length);
            else
                reply_to_subjects(configs, number, API_ERROR("10008"));
            if (find_subjects(configs, count, 0, &error) == NATS_CONFIGS_IMPOSSIBLE)
                break;
            count++;
        }
        assert_in_range(count, rows[i].min, rows[i].max);
        assert_non_null(strstr(error_text(&error), rows[i].length > 0 ? "memory" : "5 MiB"));
        if (rows[i].length == 0)
            assert_int_equal(find_subjects(configs, MANY, 0, &error), NATS_CONFIGS_IMPOSSIBLE);
        find_subjects(configs, MANY, AGED_MS, &error); /* the stream's are requested again */
        assert_int_equal(find_subjects(configs, MANY, AGED_MS, &error), NATS_CONFIGS_REQUESTED);
        nats_configs_free(configs);
        error_done(&error);
    }
}

/* While a leader is elected, the members of its group answer with an error. */
static void an_election_leaves_the_subjects_known(void **state)
{
    enum { AGED_MS = 61 * 1000, LATER_MS = 2000, SECOND_MS = 1000 };
    (void)state;
    struct nats_client_connection connection = {.inbox = (natsInbox *)"_INBOX.abcdefgh"};
    struct nats_configs *configs = nats_configs_new(&connection);
    struct error error = {0};
    int64_t now_ms = 0;

    assert_int_equal(find_subjects(configs, 1, now_ms, &error), NATS_CONFIGS_REQUESTED);
    reply_with_subjects(configs, 1, 1); /* the stream's */
    reply_to_subjects(configs, 2, API_ERROR("10008"));
    assert_int_equal(find_subjects(configs, 1, now_ms, &error), NATS_CONFIGS_REQUESTED);
    assert_int_equal(connection.last_number, 2);
    now_ms += LATER_MS;
    assert_int_equal(find_subjects(configs, 1, now_ms, &error), NATS_CONFIGS_REQUESTED);
    assert_int_equal(connection.last_number, 3);
    reply_to_subjects(configs, 3, "{\"config\":{}}");
    assert_int_equal(find_subjects(configs, 1, now_ms, &error), NATS_CONFIGS_KNOWN);

    now_ms += AGED_MS;
    assert_int_equal(find_subjects(configs, 1, now_ms, &error), NATS_CONFIGS_KNOWN);
    assert_int_equal(connection.last_number, 5);
    for (uint64_t number = 4; number <= 5; number++)
        reply_to_subjects(configs, number, API_ERROR("10008"));
    assert_int_equal(find_subjects(configs, 1, now_ms + SECOND_MS, &error), NATS_CONFIGS_KNOWN);
    assert_int_equal(connection.last_number, 5);
    assert_int_equal(find_subjects(configs, 1, now_ms + LATER_MS, &error), NATS_CONFIGS_KNOWN);
    assert_int_equal(connection.last_number, 7);

    reply_to_subjects(configs, 7, API_ERROR("10014"));
    assert_int_equal(find_subjects(configs, 1, now_ms + LATER_MS, &error), NATS_CONFIGS_IMPOSSIBLE);
    assert_non_null(strstr(error_text(&error), "does not exist"));
    assert_int_equal(connection.last_number, 7);
    nats_configs_free(configs);
    error_done(&error);
}

static void whether_a_stream_has_one_replica_is_requested_again(void **state)
{
    enum { MINUTE_MS = 60 * 1000, RETRY_MS = 10 * 1000 };
    (void)state;
    struct nats_client_connection connection = {.inbox = (natsInbox *)"_INBOX.abcdefgh"};
    struct nats_configs *configs = nats_configs_new(&connection);
    const struct nats_query query = {.stream = "orders", .consumer = "workers"};
    static const struct {
        int64_t wait_ms;
        enum nats_configs_state before;
        const char *reply;
        enum nats_configs_state after;
    } rows[] = {
        {0, NATS_CONFIGS_REQUESTED, "{\"config\":{\"num_replicas\":1}}", NATS_CONFIGS_KNOWN},
        {MINUTE_MS, NATS_CONFIGS_KNOWN, NULL, NATS_CONFIGS_KNOWN},
        {1, NATS_CONFIGS_REQUESTED, "{\"config\":{\"num_replicas\":3}}", NATS_CONFIGS_IMPOSSIBLE},
        {MINUTE_MS + 1, NATS_CONFIGS_REQUESTED, "{}", NATS_CONFIGS_IMPOSSIBLE},
        {RETRY_MS, NATS_CONFIGS_IMPOSSIBLE, NULL, NATS_CONFIGS_IMPOSSIBLE},
        {1, NATS_CONFIGS_REQUESTED, "{\"config\":{\"num_replicas\":1}}", NATS_CONFIGS_KNOWN},
    };
    int64_t now_ms = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct error error = {0};
        now_ms += rows[i].wait_ms;
        assert_int_equal(
            nats_configs_find_or_request_single_replica(configs, &query, now_ms, &error),
            rows[i].before);
        if (rows[i].reply != NULL)
            reply_to_subjects(configs, connection.last_number, rows[i].reply);
        error_done(&error);
        assert_int_equal(
            nats_configs_find_or_request_single_replica(configs, &query, now_ms, &error),
            rows[i].after);
        error_done(&error);
    }
    nats_configs_free(configs);
}

static void a_refusal_of_what_nobody_subscribed_to_is_not_kept(void **state)
{
    (void)state;
    struct nats_subscriber subscriber = {0};
    static const char *const words[] = {
        "Permissions Violation for Subscription to \"orders.>\"",
        "Permissions Violation for Publish to \"$JS.API.INFO\"",
        "Permissions Violation for Subscription to \"orders",
        "Permissions Violation",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        struct nats_refusal refusal = nats_refusal_parse(words[i]);
        nats_subscriber_deny(&subscriber, &refusal);
        assert_null(subscriber.subjects);
        nats_refusal_done(&refusal);
    }
}

static double cpu_seconds(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* As of a user who may subscribe to inboxes only. It takes no longer than to subscribe did. */
static void each_of_many_refused_subjects_is_found_at_once(void **state)
{
    enum { MANY = 5000 };
    (void)state;
    struct world world;
    world_start(&world, SCRIPT({"", NULL}), PAIRS("a"));
    struct nats_client_connection *connection = nats_client_connection_open(
        world.triggers[0].options.connection, clock_now_ms() + LONG_MS, &world.error);
    assert_non_null(connection);
    struct nats_configs *configs = nats_configs_new(connection);
    struct nats_subscriber subscriber = {.configs = configs, .connection = connection};
    struct error error = {0};
    double start = cpu_seconds();
    for (int i = 0; i < MANY; i++) {
        _cleanup_(memory_free) char *name = text_format("consumer-%d", i);
        _cleanup_(memory_free) char *reply =
            text_format("{\"config\":{\"filter_subject\":\"jobs.%d\"}}", i);
        const struct nats_query query = {.stream = "orders", .consumer = name};
        struct task task = {.query = &query,
                            .notifier = {on_notify, &world, (uint64_t)i + 1, NULL}};
        find_subjects(configs, i, clock_now_ms(), &error);
        if (i == 0)
            reply_to_subjects(configs, 1, "{\"config\":{\"subjects\":[\"jobs.>\"]}}");
        reply_to_subjects(configs, connection->last_number, reply);
        assert_true(nats_subscriber_subscribe(&subscriber, &task));
    }
    double subscribed = cpu_seconds();
    for (int i = MANY - 1; i >= 0; i--) {
        _cleanup_(memory_free) char *words =
            text_format("Permissions Violation for Subscription to \"jobs.%d\"", i);
        struct nats_refusal refusal = nats_refusal_parse(words);
        nats_subscriber_deny(&subscriber, &refusal);
        nats_refusal_done(&refusal);
    }
    double refused = cpu_seconds();
    assert_null(subscriber.queries);
    assert_in_range(notifications(&world), MANY, 2 * MANY);
    assert_true(refused - subscribed < 2 * (subscribed - start));
    nats_subscriber_done(&subscriber);
    nats_configs_free(configs);
    error_done(&error);
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_that_is_not_replied_to_times_out_alone),
        cmocka_unit_test(no_responders_and_a_missing_right_end_their_own_request_at_once),
        cmocka_unit_test(a_missing_right_to_a_long_name_ends_its_request_at_once),
        cmocka_unit_test(each_of_many_refusals_ends_its_own_request),
        cmocka_unit_test(requests_in_flight_are_few),
        cmocka_unit_test(more_requests_than_may_be_in_flight_are_all_replied_to),
        cmocka_unit_test(a_request_that_hangs_gives_up_its_place),
        cmocka_unit_test(without_responders_the_key_that_may_be_wrong_is_named),
        cmocka_unit_test(errors_behind_that_which_closes_the_connection_are_ignored),
        cmocka_unit_test(a_server_without_tls_is_refused_where_tls_is_required),
        cmocka_unit_test(a_right_to_the_subjects_that_is_missing_is_named_soon),
        cmocka_unit_test(a_subject_that_is_denied_leaves_the_others),
        cmocka_unit_test(a_late_reply_is_not_taken_for_that_of_another_request),
        cmocka_unit_test(a_server_that_does_not_reply_is_a_lost_connection),
        cmocka_unit_test(the_zero_of_a_new_leader_is_requested_again),
        cmocka_unit_test(any_other_zero_counts_at_once),
        cmocka_unit_test(a_node_without_its_replica_is_not_believed),
        cmocka_unit_test(a_new_consumer_of_a_stream_with_one_replica_has_no_messages),
        cmocka_unit_test(a_stream_that_does_not_report_its_replicas_is_named),
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
        cmocka_unit_test(a_message_on_another_subject_is_no_reply),
        cmocka_unit_test(subjects_that_are_known_take_a_bounded_memory),
        cmocka_unit_test(an_election_leaves_the_subjects_known),
        cmocka_unit_test(whether_a_stream_has_one_replica_is_requested_again),
        cmocka_unit_test(a_refusal_of_what_nobody_subscribed_to_is_not_kept),
        cmocka_unit_test(each_of_many_refused_subjects_is_found_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
