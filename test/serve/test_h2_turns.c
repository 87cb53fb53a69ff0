/* What a client of the nghttp2 transport keeps however late the server's turns come, and at their
 * end. The turns are the test's own, and so is the time that passes between them. */
#include "base/clock.h"
#include "base/memory.h"
#include "serve/h2/listener.h"
#include "serve/h2/server.h"
#include "support/h2_client.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <cmocka.h>

enum { CALLS = 200, TURNS = 10000, PING_MS = 30000, LARGE_BYTES = 4 << 20 };

struct fixture {
    struct call_handler service;
    struct h2_server *server; /* NULL: the test has freed it */
    struct h2_client client;
    struct h2_stream streams[CALLS];
    struct call *begun[CALLS];
    size_t begun_count;
    size_t ended_as[STATUS_UNAUTHENTICATED + 1];
};

static void on_begin(void *context, struct call *call)
{
    struct fixture *fixture = context;
    assert_true(fixture->begun_count < CALLS);
    fixture->begun[fixture->begun_count++] = call;
}

static void on_call(void *context, struct call *call)
{
    (void)context;
    (void)call;
}

static void on_ended(void *context, struct call *call, enum status status)
{
    (void)call;
    struct fixture *fixture = context;
    fixture->ended_as[status]++;
}

static int64_t on_turn(void *context, int64_t now_ms)
{
    (void)context;
    (void)now_ms;
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

static struct h2_connection *connection_of(const struct fixture *fixture)
{
    struct h2_connection *connection = TAILQ_FIRST(&fixture->server->connections);
    assert_non_null(connection);
    return connection;
}

static bool has_ended(const struct fixture *fixture)
{
    return fixture->server->connection_count == 0;
}

static int set_up(void **state)
{
    struct fixture *fixture = memory_new(sizeof(*fixture));
    struct error error = {0};
    const struct server_options options = {.max_message_bytes = 4096, .ping_interval_ms = PING_MS};
    fixture->service = (struct call_handler){.context = fixture,
                                             .begin = on_begin,
                                             .half_closed = on_call,
                                             .writable = on_call,
                                             .ended = on_ended,
                                             .turn = on_turn,
                                             .drain = on_drain};
    assert_true(h2_server_new(&options, &fixture->service, &fixture->server, &error));
    assert_true(h2_listener_open(fixture->server, "127.0.0.1:0", &error));
    h2_client_init(&fixture->client, fixture->server->server.port);
    const nghttp2_settings_entry window = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 30};
    nghttp2_submit_settings(fixture->client.session, NGHTTP2_FLAG_NONE, &window, 1);
    nghttp2_session_set_local_window_size(fixture->client.session, NGHTTP2_FLAG_NONE, 0, 1 << 30);
    for (size_t i = 0; i < TURNS && (fixture->server->connection_count == 0 ||
                                     !connection_of(fixture)->has_settings);
         i++) {
        turn(fixture);
        h2_client_run_ms(&fixture->client, 1);
    }
    for (size_t i = 0; i < 10; i++) { /* nothing is under way */
        turn(fixture);
        h2_client_run_ms(&fixture->client, 1);
    }
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    h2_client_done(&fixture->client);
    if (fixture->server != NULL)
        transport_nghttp2.free(&fixture->server->server);
    free(fixture);
    return 0;
}

static void open_calls(struct fixture *fixture, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fixture->streams[i] =
            (struct h2_stream){.body = (const uint8_t *)"", .stays_open = true, .is_counted = true};
        h2_client_open(&fixture->client, &fixture->streams[i], "/test/Stay", NULL);
    }
    for (size_t i = 0; i < TURNS && fixture->begun_count < count; i++) {
        h2_client_run_ms(&fixture->client, 1);
        turn(fixture);
    }
    assert_int_equal(fixture->begun_count, count);
}

/* So much time, in which the loop takes no turn; then one, which checks time limits. */
static void turn_after(struct fixture *fixture, int64_t ms)
{
    struct h2_connection *connection = connection_of(fixture);
    connection->opened_ms -= ms;
    connection->received_ms -= ms;
    connection->reads_since_ms -= ms;
    connection->wrote_ms -= ms;
    if (connection->pinged_ms > 0 && connection->pinged_ms != CLOCK_NEVER)
        connection->pinged_ms -= ms;
    fixture->server->sweep_ms = 0;
    turn(fixture);
}

static void a_pause_of_the_loop_loses_no_client_that_answers_its_ping(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 3; i++) {
        turn_after(fixture, 10 * (int64_t)PING_MS);
        assert_false(has_ended(fixture));
        h2_client_run_ms(&fixture->client, 20); /* the ping, and its answer */
        turn_after(fixture, 0);
        assert_int_equal(connection_of(fixture)->pinged_ms, H2_NO_PING);
    }
    assert_int_equal(atomic_load(&fixture->server->limits.hits[H2_SILENCE_MS]), 0);
}

/* The answer came while the loop stood still. */
static void an_answer_that_waits_to_be_read_is_no_silence(void **state)
{
    struct fixture *fixture = *state;
    turn_after(fixture, PING_MS);
    h2_client_run_ms(&fixture->client, 20);
    turn_after(fixture, 10 * (int64_t)PING_MS);
    assert_false(has_ended(fixture));
}

static void a_client_that_answers_no_ping_is_gone(void **state)
{
    struct fixture *fixture = *state;
    turn_after(fixture, PING_MS - 1000);
    assert_int_equal(connection_of(fixture)->pinged_ms, H2_NO_PING);
    turn_after(fixture, 1000);
    turn_after(fixture, PING_MS - 1000);
    assert_false(has_ended(fixture));
    turn_after(fixture, 1001);
    assert_true(has_ended(fixture));
    assert_int_equal(atomic_load(&fixture->server->limits.hits[H2_SILENCE_MS]), 1);
}

/* And answers nothing. */
static void take_some(const struct fixture *fixture)
{
    uint8_t buffer[16384];
    (void)!recv(fixture->client.fd, buffer, sizeof(buffer), MSG_DONTWAIT);
}

/* Nothing is read of it meanwhile. */
static void the_time_in_which_a_client_reads_late_is_no_silence(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(memory_free) uint8_t *zeros = memory_new(LARGE_BYTES);
    setsockopt(fixture->client.fd, SOL_SOCKET, SO_RCVBUF, &(int){32 << 10}, sizeof(int));
    open_calls(fixture, 1);
    call_send(fixture->begun[0], (struct bytes){zeros, LARGE_BYTES});
    turn(fixture);
    for (int i = 0; i < 8; i++) {
        assert_true(connection_of(fixture)->unsent_length > 0);
        for (int j = 0; j < 8; j++)
            take_some(fixture);
        turn_after(fixture, PING_MS / 2);
    }
    for (size_t i = 0; i < TURNS && connection_of(fixture)->unsent_length > 0; i++) {
        take_some(fixture);
        turn(fixture);
    }
    assert_int_equal(connection_of(fixture)->unsent_length, 0);
    turn_after(fixture, PING_MS - 1000);
    assert_false(has_ended(fixture));
    turn_after(fixture, 1001);
    assert_true(has_ended(fixture));
}

static void answers_that_are_ready_leave_before_the_end(void **state)
{
    struct fixture *fixture = *state;
    open_calls(fixture, CALLS);
    for (size_t i = 0; i < CALLS - 1; i++)
        call_finish(fixture->begun[i], STATUS_OK, NULL);
    transport_nghttp2.free(&TAKE(fixture->server)->server);
    assert_int_equal(fixture->ended_as[STATUS_OK], CALLS - 1);
    assert_int_equal(fixture->ended_as[STATUS_CANCELLED], 1);
    h2_client_await_end(&fixture->client);
    for (size_t i = 0; i < CALLS - 1; i++)
        assert_string_equal(fixture->streams[i].grpc_status, "0");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_pause_of_the_loop_loses_no_client_that_answers_its_ping),
        TEST(an_answer_that_waits_to_be_read_is_no_silence),
        TEST(a_client_that_answers_no_ping_is_gone),
        TEST(the_time_in_which_a_client_reads_late_is_no_silence),
        TEST(answers_that_are_ready_leave_before_the_end),
    };
    signal(SIGPIPE, SIG_IGN); /* as the program does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
