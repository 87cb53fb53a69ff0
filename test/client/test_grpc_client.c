/* The client against both transports of the server, in plain text and with mTLS. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/rpc_status.h"
#include "base/text.h"
#include "client/grpc_client.h"
#include "serve/fixture.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATIENCE = 20000 };

static struct grpc_socket_tls client_files(void)
{
    return (struct grpc_socket_tls){.is_on = options.tls != NULL,
                                    .ca = certificate.path,
                                    .certificate = certificate.path,
                                    .key = certificate.key_path};
}

static bool connected(const struct fixture *fixture, const struct grpc_socket_tls *tls,
                      struct grpc_client **ret_client, struct error *error)
{
    _cleanup_(memory_free) char *address = text_format("127.0.0.1:%d", fixture->server->port);
    return grpc_client_connect(address, tls, clock_now_ms() + PATIENCE, ret_client, error);
}

static struct grpc_client *client_of(const struct fixture *fixture)
{
    _cleanup_(error_done) struct error error = {0};
    const struct grpc_socket_tls tls = client_files();
    struct grpc_client *client = NULL;
    if (!connected(fixture, &tls, &client, &error))
        fail_msg("%s", error_text(&error));
    return client;
}

static void finish_call(struct grpc_client *client, const struct grpc_client_call *call)
{
    int64_t deadline_ms = clock_now_ms() + PATIENCE;
    while (!grpc_client_call_is_done(call)) {
        grpc_client_wait(client, deadline_ms);
        assert_true(clock_now_ms() < deadline_ms);
    }
}

static void assert_next(struct grpc_client *client, struct grpc_client_call *call,
                        const char *expected)
{
    int64_t deadline_ms = clock_now_ms() + PATIENCE;
    uint8_t *message = NULL;
    size_t length = 0;
    while (!grpc_client_call_take(call, &message, &length)) {
        assert_true(clock_now_ms() < deadline_ms);
        assert_true(grpc_client_wait(client, deadline_ms));
    }
    assert_int_equal(length, strlen(expected));
    assert_memory_equal(message, expected, length);
    free(message);
}

static bool take_reply(struct grpc_client_call *call, const char *path, uint8_t **ret_reply,
                       size_t *ret_length, struct error *error)
{
    const char *method = strrchr(path, '/') == NULL ? path : strrchr(path, '/') + 1;
    if (grpc_client_call_status(call) != GRPC_CLIENT_OK)
        return error_unavailable(error, "%s: %s: %s", method,
                                 rpc_status_name(grpc_client_call_status(call)),
                                 grpc_client_call_text(call));
    return grpc_client_call_take(call, ret_reply, ret_length) ||
           error_unavailable(error, "%s: unexpected reply: no message", method);
}

/* A whole call, until it is done. The caller frees the reply. */
static bool unary(struct grpc_client *client, const char *path, const void *request, size_t length,
                  int64_t deadline_ms, uint8_t **ret_reply, size_t *ret_length, struct error *error)
{
    struct grpc_client_call *call =
        grpc_client_call_start(client, path, request, length, deadline_ms);
    while (!grpc_client_call_is_done(call))
        grpc_client_wait(client, CLOCK_NEVER);
    bool good = take_reply(call, path, ret_reply, ret_length, error);
    grpc_client_call_free(call);
    return good;
}

static void a_unary_call_is_answered(void **state)
{
    struct grpc_client *client = client_of(*state);
    _cleanup_(error_done) struct error error = {0};
    uint8_t *reply = NULL;
    size_t length = 0;
    assert_true(unary(client, "/test/Echo", "hello", 5, clock_now_ms() + PATIENCE, &reply, &length,
                      &error));
    assert_int_equal(length, 5);
    assert_memory_equal(reply, "hello", 5);
    free(reply);
    grpc_client_free(client);
}

/* More than a frame, and than HTTP/2's first window. */
static void a_large_message_arrives_whole(void **state)
{
    enum { LENGTH = 60 * 1024 };
    struct grpc_client *client = client_of(*state);
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(memory_free) uint8_t *request = memory_new(LENGTH);
    for (int i = 0; i < LENGTH; i++)
        request[i] = (uint8_t)(i * 7);
    for (int i = 0; i < 20; i++) {
        uint8_t *reply = NULL;
        size_t length = 0;
        if (!unary(client, "/test/Echo", request, LENGTH, clock_now_ms() + PATIENCE, &reply,
                   &length, &error))
            fail_msg("%s", error_text(&error));
        assert_int_equal(length, LENGTH);
        assert_memory_equal(reply, request, LENGTH);
        free(reply);
    }
    grpc_client_free(client);
}

static void an_error_has_its_status_and_text(void **state)
{
    struct grpc_client *client = client_of(*state);
    _cleanup_(error_done) struct error error = {0};
    uint8_t *reply = NULL;
    size_t length = 0;
    assert_false(
        unary(client, "/test/Snow", "", 0, clock_now_ms() + PATIENCE, &reply, &length, &error));
    assert_true(text_starts_with(error_text(&error),
                                 "Snow: INVALID_ARGUMENT: abc\xe2\x98\x83\xe2\x98\x83"));
    error_done(&error);
    error = (struct error){0};
    assert_false(
        unary(client, "/nobody/Knows", "", 0, clock_now_ms() + PATIENCE, &reply, &length, &error));
    assert_string_equal(error_text(&error), "Knows: UNIMPLEMENTED: unknown method");
    grpc_client_free(client);
}

static void a_stream_has_many_messages(void **state)
{
    struct grpc_client *client = client_of(*state);
    struct grpc_client_call *call =
        grpc_client_call_start(client, "/test/Count", "500", 3, clock_now_ms() + PATIENCE);
    for (int i = 500; i > 0; i--) {
        char expected[32];
        snprintf(expected, sizeof(expected), "%d", i);
        assert_next(client, call, expected);
    }
    finish_call(client, call);
    assert_int_equal(grpc_client_call_status(call), GRPC_CLIENT_OK);
    grpc_client_call_free(call);
    grpc_client_free(client);
}

static void calls_run_side_by_side(void **state)
{
    enum { CALLS = 50 };
    struct grpc_client *client = client_of(*state);
    struct grpc_client_call *calls[CALLS];
    for (int i = 0; i < CALLS; i++) {
        char request[32];
        snprintf(request, sizeof(request), "call %d", i);
        calls[i] = grpc_client_call_start(client, "/test/Echo", request, strlen(request),
                                          clock_now_ms() + PATIENCE);
    }
    for (int i = CALLS - 1; i >= 0; i--) {
        char expected[32];
        snprintf(expected, sizeof(expected), "call %d", i);
        assert_next(client, calls[i], expected);
        finish_call(client, calls[i]);
        grpc_client_call_free(calls[i]);
    }
    grpc_client_free(client);
}

/* The descriptor becomes readable when the server pushes. */
static void a_push_wakes_a_poll_loop(void **state)
{
    struct fixture *fixture = *state;
    struct grpc_client *client = client_of(fixture);
    struct grpc_client_call *call =
        grpc_client_call_start(client, "/test/Hold", "", 0, CLOCK_NEVER);
    assert_int_equal(grpc_client_due_ms(client), CLOCK_NEVER);
    while (atomic_load(&fixture->begun) == 0)
        grpc_client_wait(client, clock_now_ms() + 10);
    atomic_store(&fixture->push, true);
    server_wake(fixture->server);
    uint8_t *message = NULL;
    size_t length = 0;
    while (!grpc_client_call_take(call, &message, &length)) {
        struct pollfd poll_fd = {.fd = grpc_client_fd(client),
                                 .events = grpc_client_events(client)};
        assert_int_equal(poll(&poll_fd, 1, PATIENCE), 1);
        assert_true(grpc_client_process(client));
    }
    assert_int_equal(length, strlen("pushed"));
    free(message);
    grpc_client_call_free(call); /* cancelled */
    grpc_client_process(client);
    await_count(&fixture->ended, 1);
    grpc_client_free(client);
}

static void a_deadline_ends_a_call_and_cancels_it_at_the_server(void **state)
{
    struct fixture *fixture = *state;
    struct grpc_client *client = client_of(fixture);
    struct grpc_client_call *call =
        grpc_client_call_start(client, "/test/Hold", "", 0, clock_now_ms() + 50);
    finish_call(client, call);
    assert_int_equal(grpc_client_call_status(call), 4);
    grpc_client_call_free(call);
    grpc_client_process(client);

    call = grpc_client_call_start(client, "/test/Deadline", "", 0, clock_now_ms() + PATIENCE);
    uint8_t *message = NULL;
    size_t length = 0;
    finish_call(client, call);
    assert_true(grpc_client_call_take(call, &message, &length));
    _cleanup_(memory_free) char *left = text_copy_bytes((const char *)message, length);
    assert_in_range(atoi(left), 1, PATIENCE);
    free(message);
    grpc_client_call_free(call);
    grpc_client_free(client);
}

static void a_lost_connection_fails_every_call(void **state)
{
    struct fixture *fixture = *state;
    struct grpc_client *client = client_of(fixture);
    struct grpc_client_call *call =
        grpc_client_call_start(client, "/test/Unread", "", 0, CLOCK_NEVER);
    while (atomic_load(&fixture->begun) == 0)
        grpc_client_wait(client, clock_now_ms() + 10);
    server_drain(fixture->server, 0);
    finish_call(client, call);
    assert_int_not_equal(grpc_client_call_status(call), GRPC_CLIENT_OK);
    grpc_client_call_free(call);
    while (grpc_client_wait(client, clock_now_ms() + PATIENCE))
        ;
    call = grpc_client_call_start(client, "/test/Echo", "", 0, CLOCK_NEVER);
    assert_true(grpc_client_call_is_done(call));
    assert_string_equal(rpc_status_name(grpc_client_call_status(call)), "UNAVAILABLE");
    grpc_client_call_free(call);
    grpc_client_free(client);
}

static void a_server_without_a_valid_certificate_is_refused(void **state)
{
    struct fixture *fixture = *state;
    _cleanup_(error_done) struct error error = {0};
    struct grpc_socket_tls tls = client_files();
    struct grpc_client *client = NULL;
    if (!tls.is_on)
        return;
    tls.ca = NULL;
    assert_false(connected(fixture, &tls, &client, &error));
    assert_non_null(strstr(error_text(&error), "TLS handshake failed: self"));

    tls = client_files();
    tls.server_name = "elsewhere.example";
    assert_false(connected(fixture, &tls, &client, &error));
    assert_non_null(strstr(error_text(&error), "TLS handshake failed: hostname mismatch"));

    tls.skips_verification = true;
    assert_true(connected(fixture, &tls, &client, &error));
    grpc_client_free(client);
    error_done(&error);
}

static void a_wrong_address_is_an_error_that_names_it(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"nowhere", "must be HOST:PORT"},
        {":9090", "must be HOST:PORT"},
        {"host:", "must be HOST:PORT"},
        {"::1:9090", "or [fd00::1]:9090"},
        {"127.0.0.1:1", "127.0.0.1:1: connection failed: Connection refused"},
        {"[::1]:x", "[::1]:x: name lookup failed"},
    };
    const struct grpc_socket_tls plain = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        _cleanup_(error_done) struct error error = {0};
        struct grpc_client *client = NULL;
        assert_false(
            grpc_client_connect(table[i][0], &plain, clock_now_ms() + PATIENCE, &client, &error));
        if (strstr(error_text(&error), table[i][1]) == NULL)
            fail_msg("\"%s\" is not in \"%s\"", table[i][1], error_text(&error));
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_unary_call_is_answered),
        TEST(a_large_message_arrives_whole),
        TEST(an_error_has_its_status_and_text),
        TEST(a_stream_has_many_messages),
        TEST(calls_run_side_by_side),
        TEST(a_push_wakes_a_poll_loop),
        TEST(a_deadline_ends_a_call_and_cancels_it_at_the_server),
        TEST(a_lost_connection_fails_every_call),
        TEST(a_server_without_a_valid_certificate_is_refused),
        cmocka_unit_test(a_wrong_address_is_an_error_that_names_it),
    };
    if (!choose_transport(argc, argv))
        return 2;
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, make_certificate, remove_certificate);
}
