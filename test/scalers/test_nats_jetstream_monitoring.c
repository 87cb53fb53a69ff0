/* Measuring by a monitoring port of NATS: one listing for all, and what its silence means. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/task_internal.h"
#include "scalers/ended.h"
#include "scalers/feed_limits.h"
#include "scalers/trigger.h"
#include "support/black_hole.h"
#include "support/fast_time.h"
#include "support/feed.h"
#include "support/listener.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

extern const struct scaler scaler_nats_jetstream;

enum { CONNECTIONS = 8, CONSUMERS = 3, TIMEOUT_MS = 600, ENOUGH_MS = 20000, NEVER = -1 };

/* A GET that is to be answered. */
struct call {
    int socket;
    bool is_waiting;
    bool is_listing;
    bool is_of_nodes;
    int64_t due_ms;
};

/* Replies to each GET with the same account, unless `listed` has other replies. */
struct port {
    char address[32];
    int listener;
    struct fast_time_peer time;
    struct call calls[CONNECTIONS];
    size_t connections;
    int status;
    int listing_ms;       /* until it is answered; NEVER */
    bool is_silent;       /* nor is anything else */
    bool stops_listening; /* at the next listing */
    size_t listings;
    size_t in_flight; /* of them */
    size_t max_in_flight;
    size_t pings;              /* GETs without consumers */
    const char *const *listed; /* to one listing after the other; the last is for all others */
    const char *nodes;         /* the reply to /varz; NULL: it hangs up */
};

#define CONSUMER(name, pending, unacknowledged)                                                    \
    "{\"name\":\"" name "\",\"num_pending\":" pending ",\"num_ack_pending\":" unacknowledged "}"
static const char account[] =
    "{\"account_details\":[{\"name\":\"shop\",\"id\":\"shop\",\"stream_detail\":[{\"name\":"
    "\"orders\",\"consumer_detail\":[" CONSUMER("a", "1", "10") "," CONSUMER("b", "2",
                                                                             "0") "]}]}]}";

#define LISTED(leader, pending, unacknowledged, others)                                            \
    LISTED_IN("\"cluster_size\":3", leader, pending, unacknowledged, others)
#define LISTED_IN(cluster, leader, pending, unacknowledged, others)                                \
    "{\"meta_cluster\":{" cluster "},\"account_details\":[{\"name\":\"shop\",\"id\":\"shop\","     \
    "\"stream_detail\":[{\"name\":\"orders\",\"consumer_detail\":[{\"name\":\"a\","                \
    "\"num_pending\":" pending ",\"num_ack_pending\":" unacknowledged                              \
    ",\"cluster\":{\"leader\":\"" leader "\",\"replicas\":[{\"name\":\"" others "\"}]}}]}]}]}"

static const char *listing_of(const struct port *port)
{
    const char *const *listed = port->listed;
    if (listed == NULL)
        return account;
    for (size_t i = 1; i < port->listings && listed[1] != NULL; i++)
        listed++;
    return *listed;
}

static void take_request(struct port *port, struct call *call, const char *request)
{
    call->is_listing = strstr(request, "consumers=true") != NULL;
    call->is_of_nodes = strstr(request, "GET /varz ") != NULL;
    int wait_ms = call->is_listing ? port->listing_ms : 0;
    (*(call->is_listing ? &port->listings : &port->pings))++;
    if (call->is_listing && port->stops_listening)
        shutdown(port->listener, SHUT_RDWR);
    if (port->is_silent || wait_ms == NEVER)
        return;
    port->in_flight += call->is_listing;
    if (port->in_flight > port->max_in_flight)
        port->max_in_flight = port->in_flight;
    call->is_waiting = true;
    call->due_ms = clock_now_ms() + wait_ms;
}

static void reply(struct port *port, struct call *call)
{
    call->is_waiting = false;
    port->in_flight -= call->is_listing;
    const char *body = call->is_listing    ? listing_of(port)
                       : call->is_of_nodes ? port->nodes
                                           : account;
    if (body == NULL) {
        shutdown(call->socket, SHUT_RDWR);
        return;
    }
    _cleanup_(memory_free) char *text =
        text_format("HTTP/1.1 %d x\r\nContent-Length: %zu\r\n\r\n%s",
                    call->is_listing ? port->status : 200, strlen(body), body);
    ssize_t sent = send(call->socket, text, strlen(text), MSG_NOSIGNAL);
    (void)sent; /* the client may have gone */
}

/* Returns when there is more to do. */
static int64_t serve(struct port *port, struct call *call)
{
    char request[2048];
    ssize_t length = recv(call->socket, request, sizeof(request) - 1, MSG_DONTWAIT);
    if (length > 0) {
        request[length] = '\0';
        take_request(port, call, request);
    }
    if (call->is_waiting && clock_now_ms() >= call->due_ms)
        reply(port, call);
    if (!socket_is_settled(call->socket))
        return clock_now_ms();
    return call->is_waiting ? call->due_ms : CLOCK_NEVER;
}

static int64_t work(void *context)
{
    struct port *port = context;
    int64_t next_ms = CLOCK_NEVER;
    int socket;
    while ((socket = accept(port->listener, NULL, NULL)) >= 0) {
        if (port->connections == CONNECTIONS)
            abort();
        port->calls[port->connections++] = (struct call){.socket = socket};
    }
    for (size_t i = 0; i < port->connections; i++)
        next_ms = clock_earlier(next_ms, serve(port, &port->calls[i]));
    return next_ms;
}

static void port_start(struct port *port, const char *host, int number)
{
    *port = (struct port){.status = 200, .nodes = "{}", .time = {.work = work, .context = port}};
    port->listener = listener_open_at(host, number, CONNECTIONS, &number);
    fcntl(port->listener, F_SETFL, O_NONBLOCK);
    snprintf(port->address, sizeof(port->address), "%s:%d", host, number);
    fast_time_add(&port->time);
}

static void port_stop(struct port *port)
{
    fast_time_remove(&port->time);
    close(port->listener);
    for (size_t i = 0; i < port->connections; i++)
        close(port->calls[i].socket);
}

/* A client of such a port, and a task for each of three consumers, of which the last is missing. */
struct world {
    struct port port;
    struct trigger triggers[CONSUMERS];
    struct test_feed *feed;
    void *client;
    struct error error;
    bool usable;
};

static void world_connect(struct world *world)
{
    if (!scaler_nats_jetstream.connect(world->triggers[0].options.connection,
                                       clock_now_ms() + ENOUGH_MS, &world->client, &world->error))
        fail_msg("%s", error_text(&world->error));
}

/* `user` is that of the endpoint, with an @ at its end. */
static void world_start_with(struct world *world, const char *user)
{
    static const char *const consumers[CONSUMERS] = {"a", "b", "missing"};
    *world = (struct world){0};
    port_start(&world->port, "127.0.0.1", 0);
    _cleanup_(memory_free) char *endpoint = text_format("%s%s", user, world->port.address);
    world->feed = test_feed_new(&scaler_nats_jetstream);
    for (size_t i = 0; i < CONSUMERS; i++) {
        struct trigger *trigger = &world->triggers[i];
        *trigger = trigger_of(&scaler_nats_jetstream,
                              PAIRS("natsServerMonitoringEndpoint", endpoint, "account", "shop",
                                    "stream", "orders", "consumer", consumers[i]));
        assert_true(trigger->good);
        test_feed_add(world->feed, trigger->options.query, (struct notifier){0});
    }
    test_feed_set_timeout(world->feed, TIMEOUT_MS);
    world_connect(world);
}

static void world_start(struct world *world)
{
    world_start_with(world, "");
}

static void world_run(struct world *world)
{
    world->usable = test_feed_run(world->feed, world->client, ENOUGH_MS, &world->error);
}

static void world_stop(struct world *world)
{
    scaler_nats_jetstream.disconnect(world->client);
    test_feed_free(world->feed);
    port_stop(&world->port);
    for (size_t i = 0; i < CONSUMERS; i++)
        trigger_done(&world->triggers[i]);
    error_done(&world->error);
}

static void assert_answered(struct world *world)
{
    assert_true(world->usable);
    assert_waiting(world->feed, 0, 1);
    assert_true(test_feed_task(world->feed, 0)->reading.in_flight == 10);
    assert_waiting(world->feed, 1, 2);
    assert_true(test_feed_task(world->feed, 1)->reading.in_flight == 0);
    assert_ended_with(world->feed, 2, TASK_FAILED, "consumer \"missing\" of stream \"orders\"");
}

static void one_listing_is_for_all_that_wait(void **state)
{
    (void)state;
    struct world world;
    world_start(&world);
    world_run(&world);
    assert_answered(&world);
    assert_int_equal(world.port.listings, 1);
    for (size_t i = 0; i < CONSUMERS; i++)
        assert_int_equal(test_feed_task(world.feed, i)->started, 1);
    test_feed_again(world.feed);
    world_run(&world);
    assert_answered(&world);
    assert_int_equal(world.port.listings, 2);
    world_stop(&world);
}

static void a_port_that_refuses_the_listing_fails_its_tasks(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *words;
    } rows[] = {{503, "answered with status 503"},
                {401, "authentication failed"},
                {404, "answered with status 404"}};
    struct world world;
    world_start(&world);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        world.port.status = rows[i].status;
        test_feed_again(world.feed);
        world_run(&world);
        assert_true(world.usable);
        for (size_t j = 0; j < CONSUMERS; j++)
            assert_ended_with(world.feed, j, TASK_FAILED, rows[i].words);
    }
    world.port.status = 200;
    test_feed_again(world.feed);
    world_run(&world);
    assert_answered(&world);
    world_stop(&world);
}

/* Half of its time is over: the port answers a smaller GET, so it is not lost. */
static void a_listing_that_takes_too_long_times_out(void **state)
{
    (void)state;
    struct world world;
    world_start(&world);
    for (size_t times = 1; times <= 2; times++) {
        size_t pings = world.port.pings;
        world.port.listing_ms = NEVER;
        test_feed_again(world.feed);
        world_run(&world);
        assert_true(world.usable);
        assert_all_ended(world.feed, 0, CONSUMERS, TASK_TIMED_OUT);
        assert_int_equal(world.port.pings, pings + 1);
    }
    world.port.listing_ms = 0;
    test_feed_again(world.feed);
    world_run(&world);
    assert_answered(&world);
    world_stop(&world);
}

static void a_port_that_answers_nothing_is_lost(void **state)
{
    (void)state;
    struct world world;
    world_start(&world);
    world.port.is_silent = true;
    world_run(&world);
    assert_false(world.usable);
    assert_true(error_is_set(&world.error));
    for (size_t i = 0; i < CONSUMERS; i++)
        assert_false(test_feed_task(world.feed, i)->ended);
    world_stop(&world);
}

/* The node is gone while the listing is in flight: nothing more arrives, and nothing listens. */
static void a_port_that_refuses_the_ping_is_lost(void **state)
{
    enum { LISTING_MS = 3000 };
    (void)state;
    struct world world;
    world_start(&world);
    world.port.listing_ms = NEVER;
    world.port.stops_listening = true;
    test_feed_set_timeout(world.feed, LISTING_MS);
    int64_t start_ms = clock_now_ms();
    world_run(&world);
    assert_in_range(clock_now_ms() - start_ms, LISTING_MS / 2, LISTING_MS * 9 / 10);
    assert_false(world.usable);
    assert_non_null(strstr(error_text(&world.error), "request to NATS monitoring at"));
    for (size_t i = 0; i < CONSUMERS; i++)
        assert_false(test_feed_task(world.feed, i)->ended);
    world_stop(&world);
}

static void a_task_of_less_time_times_out_before_the_listing(void **state)
{
    enum { LISTING_MS = 1000, LESS_MS = 300 };
    (void)state;
    struct world world;
    world_start(&world);
    world.port.listing_ms = LISTING_MS;
    test_feed_set_timeout(world.feed, ENOUGH_MS);
    test_feed_task(world.feed, 0)->task.timeout_ms = LESS_MS;
    world_run(&world);
    assert_true(world.usable);
    assert_ended_with(world.feed, 0, TASK_TIMED_OUT, "no answer within 300 ms");
    assert_int_equal(test_feed_task(world.feed, 0)->order, 1);
    assert_waiting(world.feed, 1, 2);
    world_stop(&world);
}

/* It keeps them between measurements, and another process may have to be told. */
static void the_feed_gets_its_limits_once(void **state)
{
    (void)state;
    struct world world;
    world_start(&world);
    struct feed_limits limits;
    feed_limits_note(&limits, world.feed);
    for (int i = 0; i < 3; i++) {
        test_feed_again(world.feed);
        world_run(&world);
        assert_answered(&world);
    }
    assert_int_equal(limits.set_count, 1);
    assert_true(limits.max_isolated == SIZE_MAX); /* one listing is for all that timed out, too */
    world_stop(&world);
}

static struct world *current;
static const struct feed_hooks *original;

/* The last one comes when the port has the request for a listing of the others. */
static struct task *take_last_later(struct feed *feed)
{
    bool is_next = test_feed_task(current->feed, CONSUMERS - 2)->given > 0;
    return is_next && current->port.listings == 0 ? NULL : original->take(feed);
}

static int64_t next_soon(struct feed *feed)
{
    (void)feed;
    return clock_now_ms() + 10;
}

static void a_task_that_comes_later_has_a_listing_beside_the_first(void **state)
{
    enum { LISTING_MS = 1000 };
    (void)state;
    struct world world;
    world_start(&world);
    world.port.listing_ms = LISTING_MS;
    test_feed_set_timeout(world.feed, ENOUGH_MS);
    struct feed *feed = test_feed_task(world.feed, 0)->task.feed;
    current = &world;
    original = feed->hooks;
    struct feed_hooks hooks = *original;
    hooks.take = take_last_later;
    hooks.next_ms = next_soon;
    feed->hooks = &hooks;
    world_run(&world);
    assert_answered(&world);
    assert_int_equal(world.port.listings, 2);
    assert_int_equal(world.port.max_in_flight, 2);
    world_stop(&world);
}

#define ADVERTISED(...) "{\"connect_urls\":[" __VA_ARGS__ "],\"cluster\":{\"urls\":[\"x.y:6222\"]}}"

static void a_consumer_is_counted_by_the_node_that_leads_it(void **state)
{
    (void)state;
    static const char *const here[] = {LISTED("nats-2", "5", "0", "nats-2"), NULL};
    static const char *const there[] = {LISTED("nats-2", "7", "0", "nats-1"), NULL};
    static const struct {
        const char *nodes;
        bool has_silent_node; /* 127.0.0.3; else nobody listens there */
        enum task_outcome of_others;
        const char *words;
    } rows[] = {
        {ADVERTISED("\"127.0.0.1:4222\",\"127.0.0.2:4222\""), false, TASK_FAILED, "at 127.0.0.2:"},
        {ADVERTISED("\"127.0.0.3:4222\",\"127.0.0.2:4222\""), false, TASK_FAILED, "at 127.0.0.2:"},
        {ADVERTISED("\"127.0.0.2:4222\",\"127.0.0.3:4222\""), false, TASK_FAILED,
         "request to NATS monitoring at 127.0.0.3:"},
        {ADVERTISED("\"127.0.0.3:4222\",\"127.0.0.2:4222\""), true, TASK_FAILED, "at 127.0.0.2:"},
        {ADVERTISED("\"127.0.0.2:4222\",\"127.0.0.3:4222\""), true, TASK_TIMED_OUT, "no answer"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct world world;
        struct port node;
        struct black_hole silent;
        world_start(&world);
        int number = atoi(strchr(world.port.address, ':') + 1);
        port_start(&node, "127.0.0.2", number);
        if (rows[i].has_silent_node)
            black_hole_open(&silent, "127.0.0.3", number);
        world.port.listed = here;
        world.port.nodes = rows[i].nodes;
        node.listed = there;
        for (int times = 0; times < 2; times++) {
            bool is_silent_last = rows[i].has_silent_node && times == 1; /* as it was silent */
            test_feed_again(world.feed);
            world_run(&world);
            assert_true(world.usable);
            assert_waiting(world.feed, 0, 7);
            if (is_silent_last)
                assert_ended_with(world.feed, 1, TASK_TIMED_OUT, "no answer");
            else
                assert_ended_with(world.feed, 1, rows[i].of_others, rows[i].words);
        }
        assert_int_equal(node.listings, 2);
        world_stop(&world);
        port_stop(&node);
        if (rows[i].has_silent_node)
            black_hole_close(&silent);
    }
}

/* It has a consumer of the same name, or none. The next one leads it. */
static void a_server_of_another_cluster_or_of_none_is_not_believed(void **state)
{
    (void)state;
    static const char *const here[] = {LISTED("nats-2", "5", "0", "nats-2"), NULL};
    static const char *const there[] = {LISTED("nats-2", "7", "0", "nats-1"), NULL};
    static const char *const others[][2] = {
        {account},
        {"{\"account_details\":[]}"},
        {LISTED_IN("\"name\":\"other\",\"cluster_size\":3", "nats-2", "9", "0", "nats-1")},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
        struct world world;
        struct port other;
        struct port node;
        world_start(&world);
        int number = atoi(strchr(world.port.address, ':') + 1);
        port_start(&other, "127.0.0.2", number);
        port_start(&node, "127.0.0.3", number);
        world.port.listed = here;
        world.port.nodes = ADVERTISED("\"127.0.0.2:4222\",\"127.0.0.3:4222\"");
        other.listed = others[i];
        node.listed = there;
        world_run(&world);
        assert_true(world.usable);
        assert_waiting(world.feed, 0, 7);

        world.port.nodes = ADVERTISED("\"127.0.0.2:4222\"");
        test_feed_again(world.feed);
        world_run(&world);
        assert_true(world.usable);
        assert_ended_with(world.feed, 0, TASK_FAILED, "is not in the cluster of");
        world_stop(&world);
        port_stop(&other);
        port_stop(&node);
    }
}

static void without_other_nodes_a_consumer_that_is_led_elsewhere_is_an_error(void **state)
{
    (void)state;
    static const char *const here[] = {LISTED("nats-2", "5", "0", "nats-2"), NULL};
    static const char *const nodes[] = {"{}", "none", ADVERTISED("\"127.0.0.1:4222\""),
                                        "{\"cluster\":{\"urls\":[\"nats-1.x:6222\"]}}"};
    struct world world;
    world_start(&world);
    world.port.listed = here;
    for (size_t i = 0; i < ARRAY_LENGTH(nodes); i++) {
        world.port.nodes = nodes[i];
        test_feed_again(world.feed);
        world_run(&world);
        assert_true(world.usable);
        assert_ended_with(world.feed, 0, TASK_FAILED, "does not lead consumer");
    }
    world.port.nodes = NULL;
    test_feed_again(world.feed);
    world_run(&world);
    assert_true(world.usable);
    assert_ended_with(world.feed, 0, TASK_FAILED, "request to NATS monitoring at");
    world_stop(&world);
}

/* They would get the password of the port. */
static void with_a_user_no_other_node_is_asked(void **state)
{
    (void)state;
    static const char *const here[] = {LISTED("nats-2", "5", "0", "nats-2"), NULL};
    struct world world;
    world_start_with(&world, "user:secret@");
    world.port.listed = here;
    world.port.nodes = ADVERTISED("\"127.0.0.2:4222\"");
    size_t pings = world.port.pings;
    world_run(&world);
    assert_true(world.usable);
    assert_ended_with(world.feed, 0, TASK_FAILED, "does not lead consumer");
    assert_int_equal(world.port.pings, pings);
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_listing_is_for_all_that_wait),
        cmocka_unit_test(the_feed_gets_its_limits_once),
        cmocka_unit_test(a_port_that_refuses_the_listing_fails_its_tasks),
        cmocka_unit_test(a_listing_that_takes_too_long_times_out),
        cmocka_unit_test(a_port_that_answers_nothing_is_lost),
        cmocka_unit_test(a_port_that_refuses_the_ping_is_lost),
        cmocka_unit_test(a_task_of_less_time_times_out_before_the_listing),
        cmocka_unit_test(a_task_that_comes_later_has_a_listing_beside_the_first),
        cmocka_unit_test(a_consumer_is_counted_by_the_node_that_leads_it),
        cmocka_unit_test(a_server_of_another_cluster_or_of_none_is_not_believed),
        cmocka_unit_test(with_a_user_no_other_node_is_asked),
        cmocka_unit_test(without_other_nodes_a_consumer_that_is_led_elsewhere_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
