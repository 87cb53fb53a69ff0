/* How the nghttp2 transport ends many calls at once, as when a client hangs up or their time is
 * over: a part of them in each turn. The turns are the test's own. */
#include "base/clock.h"
#include "base/memory.h"
#include "serve/h2/call/limits.h"
#include "serve/h2/connection.h"
#include "serve/h2/listener.h"
#include "serve/h2/server.h"
#include "support/h2_client.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

enum { MAX_ENDS = 1000, CALLS = 2 * MAX_ENDS + MAX_ENDS / 2, TURNS = 10000 };

struct fixture {
    struct call_handler service;
    struct h2_server *server;
    struct h2_client client;
    struct h2_stream streams[CALLS];
    struct call *begun[CALLS];
    size_t begun_count;
    enum status ends_as;
    size_t ended;
    size_t finished_late; /* calls that the service finishes when another one ends */
};

static void on_begin(void *context, struct call *call)
{
    struct fixture *fixture = context;
    assert_true(fixture->begun_count < CALLS);
    fixture->begun[fixture->begun_count++] = call;
    call_read(call);
}

static void on_message(void *context, struct call *call, struct bytes message)
{
    (void)context;
    (void)call;
    (void)message;
}

static void on_half_closed(void *context, struct call *call)
{
    (void)context;
    call_finish(call, STATUS_OK, NULL);
}

static void on_writable(void *context, struct call *call)
{
    (void)context;
    (void)call;
}

static void on_ended(void *context, struct call *call, enum status status)
{
    struct fixture *fixture = context;
    assert_int_equal(status, fixture->ends_as);
    fixture->ended++;
    for (size_t i = 0; i < fixture->begun_count; i++)
        if (fixture->begun[i] == call)
            fixture->begun[i] = NULL;
}

/* A service does not know that the client is gone before ended(): it answers as ever. */
static int64_t on_turn(void *context, int64_t now_ms)
{
    (void)now_ms;
    struct fixture *fixture = context;
    bool has_hung_up = fixture->ends_as == STATUS_CANCELLED && fixture->ended > 0;
    for (size_t i = 0; i < fixture->begun_count && has_hung_up; i++)
        if (fixture->begun[i] != NULL) {
            call_read(fixture->begun[i]);
            call_send(fixture->begun[i], (struct bytes){(const uint8_t *)"late", 4});
            call_finish(fixture->begun[i], STATUS_OK, "late");
            fixture->finished_late++;
        }
    return CLOCK_NEVER;
}

static void on_drain(void *context)
{
    (void)context;
}

static void turn(struct fixture *fixture)
{
    h2_server_turn(fixture->server, EVLOOP_NONBLOCK);
}

/* One connection with all the calls. */
static int set_up(void **state)
{
    struct fixture *fixture = memory_new(sizeof(*fixture));
    struct error error = {0};
    fixture->ends_as = STATUS_CANCELLED;
    const struct server_options options = {.max_message_bytes = 4096, .ping_interval_ms = 30000};
    fixture->service = (struct call_handler){.context = fixture,
                                             .begin = on_begin,
                                             .message = on_message,
                                             .half_closed = on_half_closed,
                                             .writable = on_writable,
                                             .ended = on_ended,
                                             .turn = on_turn,
                                             .drain = on_drain};
    assert_true(h2_server_new(&options, &fixture->service, &fixture->server, &error));
    assert_true(h2_listener_open(fixture->server, "127.0.0.1:0", &error));
    h2_client_init(&fixture->client, fixture->server->server.port);
    for (size_t i = 0; i < CALLS; i++) {
        fixture->streams[i] = (struct h2_stream){.body = (const uint8_t *)"", .stays_open = true};
        h2_client_open(&fixture->client, &fixture->streams[i], "/test/Stay", NULL);
    }
    for (size_t i = 0; i < TURNS && fixture->begun_count < CALLS; i++) {
        turn(fixture);
        h2_client_run_ms(&fixture->client, 1);
    }
    assert_int_equal(fixture->begun_count, CALLS);
    assert_int_equal(fixture->server->call_count, CALLS);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    transport_nghttp2.free(&fixture->server->server);
    assert_int_equal(fixture->ended, CALLS);
    free(fixture);
    return 0;
}

static void await_close(struct fixture *fixture)
{
    h2_client_done(&fixture->client);
    for (size_t i = 0; i < TURNS && fixture->server->connection_count > 0; i++) {
        assert_int_equal(fixture->ended, 0);
        turn(fixture);
    }
    assert_int_equal(fixture->server->connection_count, 0);
}

static void a_client_that_hangs_up_has_its_calls_ended_a_part_in_each_turn(void **state)
{
    struct fixture *fixture = *state;
    await_close(fixture);
    assert_int_equal(fixture->ended, MAX_ENDS); /* and its place is free already */
    assert_int_equal(fixture->server->peers->connections, 0);
    assert_int_equal(fixture->server->timer_ms, fixture->server->now_ms); /* no sleep before */
    turn(fixture);
    assert_int_equal(fixture->ended, 2 * MAX_ENDS);
    assert_int_equal(fixture->server->call_count, CALLS - 2 * MAX_ENDS);
    turn(fixture);
    assert_int_equal(fixture->ended, CALLS);
    assert_int_equal(fixture->server->call_count, 0);
    assert_int_equal(fixture->server->held_bytes, 0);
    assert_null(fixture->server->peers);
    assert_true(fixture->finished_late > 0);
}

/* The client reads what the server said, and keeps its end open. */
static void a_connection_that_lingers_has_its_calls_ended_a_part_in_each_turn(void **state)
{
    struct fixture *fixture = *state;
    h2_connection_terminate(TAILQ_FIRST(&fixture->server->connections), H2_RESETS);
    turn(fixture);
    assert_int_equal(TAILQ_FIRST(&fixture->server->connections)->phase, H2_LINGERING);
    assert_in_range(fixture->ended, 1, MAX_ENDS);
    for (size_t before = 0; fixture->ended < CALLS;) {
        before = fixture->ended;
        turn(fixture);
        assert_in_range(fixture->ended - before, 1, MAX_ENDS);
    }
    assert_int_equal(fixture->server->connection_count, 1);
    h2_client_await_end(&fixture->client);
    h2_client_done(&fixture->client);
    for (size_t i = 0; i < TURNS && fixture->server->connection_count > 0; i++)
        turn(fixture);
    assert_null(fixture->server->peers);
}

static void the_end_of_the_server_ends_what_is_left(void **state)
{
    struct fixture *fixture = *state;
    await_close(fixture); /* tear_down() frees the server, and counts the calls */
}

static void a_drain_counts_no_call_whose_client_has_hung_up(void **state)
{
    struct fixture *fixture = *state;
    await_close(fixture);
    atomic_store(&fixture->server->drain_by_ms, clock_now_ms());
    turn(fixture);
    assert_int_equal(fixture->ended, CALLS);
    assert_int_equal(fixture->server->cancelled, 0);
}

static size_t unfinished_calls(const struct h2_server *server)
{
    size_t count = 0;
    const struct h2_call *call;
    LIST_FOREACH(call, &TAILQ_FIRST(&server->connections)->calls, of_connection)
        count += !call->finished;
    return count;
}

static void end_late(struct fixture *fixture)
{
    struct h2_server *server = fixture->server;
    size_t turns = 0;
    fixture->ends_as = STATUS_DEADLINE_EXCEEDED;
    for (size_t before = CALLS; fixture->ended < CALLS && turns < TURNS; turns++) {
        turn(fixture);
        size_t left = unfinished_calls(server);
        assert_in_range(before - left, 0, MAX_ENDS);
        before = left;
        if (!TAILQ_EMPTY(&server->late)) /* no sleep before the next one */
            assert_int_equal(server->timer_ms, server->now_ms);
        h2_client_run_ms(&fixture->client, 1);
    }
    assert_in_range(turns, CALLS / MAX_ENDS, TURNS - 1);
    assert_int_equal(server->call_count, 0);
    assert_int_equal(server->connection_count, 1);
    h2_client_done(&fixture->client);
}

static void calls_whose_deadlines_have_passed_are_ended_a_part_in_each_turn(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < CALLS; i++)
        h2_call_set_deadline((struct h2_call *)fixture->begun[i], 0);
    end_late(fixture);
}

static void calls_whose_messages_do_not_come_are_ended_a_part_in_each_turn(void **state)
{
    struct fixture *fixture = *state;
    int64_t *max_ms = &fixture->server->limits.max[H2_CALL_MS];
    const int64_t usual_ms = *max_ms;
    *max_ms = 0;
    for (size_t i = 0; i < CALLS; i++)
        h2_call_await_client((struct h2_call *)fixture->begun[i]);
    *max_ms = usual_ms; /* for the answers to be read */
    end_late(fixture);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_client_that_hangs_up_has_its_calls_ended_a_part_in_each_turn),
        TEST(a_connection_that_lingers_has_its_calls_ended_a_part_in_each_turn),
        TEST(the_end_of_the_server_ends_what_is_left),
        TEST(a_drain_counts_no_call_whose_client_has_hung_up),
        TEST(calls_whose_deadlines_have_passed_are_ended_a_part_in_each_turn),
        TEST(calls_whose_messages_do_not_come_are_ended_a_part_in_each_turn),
    };
    signal(SIGPIPE, SIG_IGN); /* as the program does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
