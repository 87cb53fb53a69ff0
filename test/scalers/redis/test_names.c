/* Redis behind a name: it leads to another server by now, or has an address that is silent. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler.h"
#include "redis/link/link.h"
#include "redis/link/setup.h"
#include "scalers/ended.h"
#include "scalers/redis/peer.h"
#include "scalers/trigger.h"
#include "support/black_hole.h"
#include "support/feed.h"
#include "support/names.h"

#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

extern const struct scaler scaler_redis;
extern const struct scaler scaler_redis_cluster;
extern const struct scaler scaler_redis_sentinel;

enum { MAX_KEYS = 3, MAX_LINES = 8, TIMEOUT_MS = 800, LONG_MS = 20 * 1000, CONNECT_MS = 2000 };

/* ---- a name ---- */

#define NAME "redis.backlog.test"
#define FIRST "127.0.0.1"
#define SECOND "127.0.0.2"

static const char *const nowhere[] = {NULL};
static const char *const at_first[] = {FIRST, NULL};
static const char *const at_second[] = {SECOND, NULL};
static const char *const at_both[] = {SECOND, FIRST, NULL};

/* There is no way to the last one. */
#define UNREACHABLE "255.255.255.255"
static const char *const at_last_nowhere[] = {SECOND, UNREACHABLE, NULL};

/* ---- another server ---- */

/* The name leads to the first server when the client connects. There is a task for each key. */
struct world {
    struct redis_peer first, second;
    struct redis_line first_lines[MAX_LINES], second_lines[MAX_LINES]; /* end with an empty one */
    struct trigger triggers[MAX_KEYS];
    size_t count;
    struct test_feed *feed;
    void *client;
    struct error error;
    size_t notified;
};

/* Not on the stack of a test, nor are the scripts: where the test fails, the peers' threads read
 * them until world_stop(). */
static struct world world;

/* Its time is long: a query that hangs is found by what the server replies to others. A peer that
 * gets no CPU for a second is not to time out. */
static void add_task(const char *key)
{
    struct trigger *trigger = &world.triggers[world.count++];
    _cleanup_(memory_free) char *address = text_format(NAME ":%d", world.first.port);
    *trigger = trigger_of(&scaler_redis, PAIRS("address", address, "listName", key));
    assert_true(trigger->good);
    test_feed_add(world.feed, trigger->options.query, (struct notifier){0});
    test_feed_set_timeout(world.feed, LONG_MS);
}

static const struct redis_line *keep_script(struct redis_line *lines,
                                            const struct redis_line *script)
{
    size_t count = 0;
    while (script[count].command != NULL)
        count++;
    assert_true(count < MAX_LINES);
    memcpy(lines, script, count * sizeof(*lines));
    return lines;
}

static void world_start(const struct redis_line *first, const struct redis_line *second,
                        const char *const *keys)
{
    world = (struct world){0};
    redis_peer_start_at(&world.first, FIRST, 0, keep_script(world.first_lines, first));
    redis_peer_start_at(&world.second, SECOND, world.first.port,
                        keep_script(world.second_lines, second));
    world.feed = test_feed_new(&scaler_redis);
    while (keys[world.count] != NULL)
        add_task(keys[world.count]);
    names_set(NAME, at_first);
    assert_true(scaler_redis.connect(world.triggers[0].options.connection, clock_now_ms() + LONG_MS,
                                     &world.client, &world.error));
}

/* After each test, even where it has failed. */
static int world_stop(void **state)
{
    (void)state;
    if (world.client != NULL)
        scaler_redis.disconnect(world.client);
    test_feed_free(world.feed);
    redis_peer_stop(&world.first);
    redis_peer_stop(&world.second);
    for (size_t i = 0; i < world.count; i++)
        trigger_done(&world.triggers[i]);
    error_done(&world.error);
    return 0;
}

static void world_run(void)
{
    test_feed_again(world.feed);
    if (!test_feed_run(world.feed, world.client, LONG_MS, &world.error))
        fail_msg("%s", error_text(&world.error));
}

/* The former server still works, and has closed the connection on which all is measured. A query
 * that hangs at the new one has a second connection opened, and one of its own. */
static void the_former_server_of_a_name_is_not_read_again(void **state)
{
    (void)state;
    world_start(
        SCRIPT({"LLEN", ":1\r\n", .times = 2}, {"LLEN", NULL, .connection = 1}, {"LLEN", ":1\r\n"}),
        SCRIPT({"LLEN", ":2\r\n", .times = 2}, {"LLEN hang", "", .connection = 1},
               {"LLEN", ":2\r\n"}),
        PAIRS("hang", "jobs"));
    world_run();
    assert_waiting(world.feed, 1, 1);

    names_set(NAME, at_second);
    world_run();
    assert_waiting(world.feed, 0, 2);
    assert_waiting(world.feed, 1, 2);

    world_run();
    assert_waiting(world.feed, 0, 2);
    assert_waiting(world.feed, 1, 2);
    assert_int_equal(redis_peer_connections(&world.first), 1);
}

/* Its connection of its own is still open when that of the others was closed. */
static void nor_is_it_by_an_isolated_query(void **state)
{
    (void)state;
    world_start(
        SCRIPT({"LLEN jobs", ":1\r\n", .times = 1}, {"LLEN jobs", NULL}, {"LLEN", ":1\r\n"}),
        SCRIPT({"LLEN", ":2\r\n"}), PAIRS("jobs", "isolated"));
    test_feed_task(world.feed, 1)->task.isolate = true;
    world_run();
    assert_waiting(world.feed, 1, 1);

    names_set(NAME, at_second);
    world_run();
    assert_waiting(world.feed, 0, 2);

    world_run();
    assert_waiting(world.feed, 0, 2);
    assert_waiting(world.feed, 1, 2);
}

/* After a stall a second connection is kept for the next one. The former server has closed the
 * first one; what hangs at the new server is isolated there, and the task behind it is read there,
 * too. */
static void nor_is_it_after_a_stall(void **state)
{
    (void)state;
    world_start(SCRIPT({"LLEN hang", "", .times = 1}, {"LLEN jobs", ":1\r\n", .hangs_up = true},
                       {"LLEN", ":1\r\n"}),
                SCRIPT({"LLEN new", "", .times = 1}, {"LLEN", ":2\r\n"}), PAIRS("hang", "jobs"));
    world_run();
    assert_waiting(world.feed, 1, 1);

    add_task("new"); /* a feed gives it first: it was given least often */
    names_set(NAME, at_second);
    world_run();
    assert_waiting(world.feed, 1, 2);
    assert_waiting(world.feed, 2, 2);
}

static void on_notify(void *context, uint64_t id)
{
    (void)context;
    assert_true(id > 0);
    world.notified++;
}

static void on_lose(void *context, uint64_t id)
{
    (void)context;
    assert_true(id > 0);
}

/* It takes a few measurements: none waits for the subscriber's connection. */
static void subscribe(void)
{
    struct test_task *task = test_feed_task(world.feed, 0);
    task->task.notifier = (struct notifier){on_notify, NULL, 1, on_lose};
    do
        world_run();
    while (!task->subscribed && !error_is_set(&task->subscribe_error));
    assert_true(task->subscribed);
}

/* Messages of the former one say nothing of what is read, and the new one does not know the
 * connection to which it is to send its own. */
static void changes_are_reported_by_the_new_server(void **state)
{
    (void)state;
    world_start(SCRIPT(SUBSCRIBABLE, {"LLEN other", NULL}, {"LLEN", ":0\r\n"}),
                SCRIPT(SUBSCRIBABLE, {"LLEN change", ":0\r\n", .push = CHANGED("4\r\njobs")},
                       {"LLEN", ":0\r\n"}),
                PAIRS("jobs"));
    subscribe();
    assert_int_equal(redis_peer_used(&world.first, 0), 1);

    add_task("other");
    names_set(NAME, at_second);
    subscribe();
    assert_int_equal(redis_peer_used(&world.second, 0), 1);

    add_task("change");
    test_feed_task(world.feed, 0)->task.notifier.id = 0;
    while (world.notified == 0)
        world_run();
}

/* ---- several addresses ---- */

/* The first address of the name is silent, and the peer is at the second. */
static void silent_start(struct black_hole *hole, struct redis_peer *peer,
                         const struct redis_line *script)
{
    redis_peer_start_at(peer, FIRST, 0, script);
    black_hole_open(hole, SECOND, peer->port);
    names_set(NAME, at_both);
}

static void silent_stop(struct black_hole *hole, struct redis_peer *peer)
{
    black_hole_close(hole);
    redis_peer_stop(peer);
}

/* In the time that a client has. */
static void assert_connects(const struct scaler *scaler, const char *const *values)
{
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(trigger_done) struct trigger trigger = trigger_of(scaler, values);
    assert_true(trigger.good);
    void *client = NULL;
    if (!scaler->connect(trigger.options.connection, clock_now_ms() + CONNECT_MS, &client, &error))
        fail_msg("%s", error_text(&error));
    scaler->disconnect(client);
}

static void a_silent_address_does_not_hide_the_next(void **state)
{
    (void)state;
    struct black_hole hole;
    struct redis_peer peer;
    silent_start(&hole, &peer, SCRIPT({"PING", "+PONG\r\n"}));
    _cleanup_(memory_free) char *address = text_format(NAME ":%d", peer.port);
    assert_connects(&scaler_redis, PAIRS("address", address, "listName", "jobs"));
    silent_stop(&hole, &peer);
}

static void nor_does_it_when_a_connection_is_made_again(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct black_hole hole;
    struct redis_peer peer;
    silent_start(&hole, &peer, SCRIPT({"LLEN", NULL, .times = 1}, {"LLEN", ":3\r\n"}));
    _cleanup_(memory_free) char *address = text_format(NAME ":%d", peer.port);
    _cleanup_(trigger_done) struct trigger trigger =
        trigger_of(&scaler_redis, PAIRS("address", address, "listName", "jobs"));
    void *client = NULL;
    names_set(NAME, at_first);
    assert_true(scaler_redis.connect(trigger.options.connection, clock_now_ms() + LONG_MS, &client,
                                     &error));
    names_set(NAME, at_both);
    struct test_feed *feed = test_feed_new(&scaler_redis);
    test_feed_add(feed, trigger.options.query, (struct notifier){0});
    if (!test_feed_run(feed, client, LONG_MS, &error))
        fail_msg("%s", error_text(&error));
    assert_waiting(feed, 0, 3);
    test_feed_free(feed);
    scaler_redis.disconnect(client);
    silent_stop(&hole, &peer);
}

static void nor_does_one_of_a_sentinel(void **state)
{
    (void)state;
    struct black_hole hole;
    struct redis_peer sentinel;
    struct redis_peer master;
    redis_peer_start(&master, SCRIPT({"ROLE", MASTER}));
    _cleanup_(memory_free) char *port = text_format("%d", master.port);
    _cleanup_(memory_free) char *answer =
        text_format("*2\r\n$9\r\n127.0.0.1\r\n$%zu\r\n%s\r\n", strlen(port), port);
    silent_start(&hole, &sentinel,
                 SCRIPT({"SENTINEL MASTER", "*2\r\n$12\r\nconfig-epoch\r\n$1\r\n1\r\n"},
                        {"SENTINEL GET-MASTER-ADDR-BY-NAME", answer}));
    _cleanup_(memory_free) char *address = text_format(NAME ":%d", sentinel.port);
    assert_connects(&scaler_redis_sentinel,
                    PAIRS("addresses", address, "sentinelMaster", "shop", "listName", "jobs"));
    silent_stop(&hole, &sentinel);
    redis_peer_stop(&master);
}

static void nor_does_one_of_a_cluster(void **state)
{
    (void)state;
    struct black_hole hole;
    struct redis_peer node;
    silent_start(&hole, &node,
                 SCRIPT({"CLUSTER SLOTS", "*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n"
                                          ":6379\r\n$1\r\nx\r\n"}));
    _cleanup_(memory_free) char *address = text_format(NAME ":%d", node.port);
    assert_connects(&scaler_redis_cluster, PAIRS("addresses", address, "listName", "jobs"));
    silent_stop(&hole, &node);
}

/* Of one that refuses after a while the time is not awaited. */
static void a_refusal_has_the_next_address_tried_at_once(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct black_hole hole;
    struct redis_peer peer;
    struct redis_server server;
    silent_start(&hole, &peer, SCRIPT({"PING", "+PONG\r\n"}));
    redis_server_init(&server, &(struct redis_login){0}, NULL);
    redis_server_set_address(&server, NAME, peer.port);
    int64_t start_ms = clock_now_ms();
    struct redis_link *link =
        redis_link_open(&server, NULL, start_ms + LONG_MS,
                        &(struct redis_link_owner){.on_connected = redis_setup_send}, &error);
    assert_non_null(link);
    bool is_refused = false;
    while (link->state != REDIS_LINK_READY) {
        struct pollfd socket = redis_link_poll(link);
        assert_int_equal(poll(&socket, 1, LONG_MS), 1);
        assert_true(redis_link_step(link, socket.revents, &error));
        if (link->socket.state == REDIS_SOCKET_CONNECTING && !is_refused) {
            assert_string_equal(link->socket.address, SECOND);
            black_hole_close(&hole);
            is_refused = true;
        }
    }
    assert_true(is_refused);
    assert_string_equal(link->socket.address, FIRST);
    assert_true(clock_now_ms() - start_ms < LONG_MS / 2);
    redis_link_free(link);
    redis_server_done(&server);
    redis_peer_stop(&peer);
}

static void a_name_without_an_address_is_an_error_that_says_so(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(trigger_done) struct trigger trigger =
        trigger_of(&scaler_redis, PAIRS("address", (NAME ":6379"), "listName", "jobs"));
    void *client = NULL;
    names_set(NAME, nowhere);
    assert_false(scaler_redis.connect(trigger.options.connection, clock_now_ms() + LONG_MS, &client,
                                      &error));
    assert_string_equal(error_text(&error),
                        "cannot connect to Redis at " NAME ":6379: Name or service not known");
}

static void assert_not_connected(const char *address, int64_t within_ms, struct error *error)
{
    void *client = NULL;
    _cleanup_(trigger_done) struct trigger trigger =
        trigger_of(&scaler_redis, PAIRS("address", address, "listName", "jobs"));
    assert_false(scaler_redis.connect(trigger.options.connection, clock_now_ms() + within_ms,
                                      &client, error));
}

/* It fails before there is a connection to wait for. */
static void an_address_without_a_way_to_it_is_not_connected_to(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    assert_not_connected(UNREACHABLE ":6379", LONG_MS, &error);
    assert_non_null(strstr(error_text(&error), "cannot connect to Redis at " UNREACHABLE ":6379:"));
}

static void the_last_address_of_a_name_says_why_it_cannot_be_connected_to(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct black_hole hole;
    black_hole_open(&hole, SECOND, 0);
    names_set(NAME, at_last_nowhere);
    _cleanup_(memory_free) char *address = text_format(NAME ":%d", hole.port);
    assert_not_connected(address, TIMEOUT_MS, &error);
    assert_non_null(strstr(error_text(&error), "cannot connect to Redis at " NAME ":"));
    assert_null(strstr(error_text(&error), "no answer in time"));
    black_hole_close(&hole);
}

static void all_that_are_silent_end_the_attempt_in_time(void **state)
{
    (void)state;
    _cleanup_(error_done) struct error error = {0};
    struct black_hole holes[2];
    black_hole_open(&holes[0], FIRST, 0);
    black_hole_open(&holes[1], SECOND, holes[0].port);
    names_set(NAME, at_both);
    _cleanup_(memory_free) char *address = text_format(NAME ":%d", holes[0].port);
    assert_not_connected(address, TIMEOUT_MS, &error);
    assert_non_null(strstr(error_text(&error), "cannot connect to Redis at " NAME ":"));
    assert_non_null(strstr(error_text(&error), "no answer in time"));
    black_hole_close(&holes[0]);
    black_hole_close(&holes[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_former_server_of_a_name_is_not_read_again, world_stop),
        cmocka_unit_test_teardown(nor_is_it_by_an_isolated_query, world_stop),
        cmocka_unit_test_teardown(nor_is_it_after_a_stall, world_stop),
        cmocka_unit_test_teardown(changes_are_reported_by_the_new_server, world_stop),
        cmocka_unit_test(a_silent_address_does_not_hide_the_next),
        cmocka_unit_test(nor_does_it_when_a_connection_is_made_again),
        cmocka_unit_test(nor_does_one_of_a_sentinel),
        cmocka_unit_test(nor_does_one_of_a_cluster),
        cmocka_unit_test(a_refusal_has_the_next_address_tried_at_once),
        cmocka_unit_test(a_name_without_an_address_is_an_error_that_says_so),
        cmocka_unit_test(an_address_without_a_way_to_it_is_not_connected_to),
        cmocka_unit_test(the_last_address_of_a_name_says_why_it_cannot_be_connected_to),
        cmocka_unit_test(all_that_are_silent_end_the_attempt_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
