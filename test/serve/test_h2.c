/*
 * What the nghttp2 transport promises beyond the contract, before a small service: what clients get
 * that speak no gRPC or go too far, and how connections end.
 */
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "serve/transport.h"
#include "support/certificate.h"
#include "support/h2_client.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

enum { MESSAGE_LIMIT = 64 * 1024, MOST_LIMITS = 64 };

struct fixture {
    struct server *server;
    struct service service;
    atomic_size_t live;
};

/* Echo answers its first message, Many all of them when the client has sent the last, Hold none. */
static void on_begin(void *context, struct call *call)
{
    struct fixture *fixture = context;
    fixture->live++;
    if (!text_equal(call->path, "/test/Unread"))
        call_read(call);
}

static void on_message(void *context, struct call *call, struct bytes message)
{
    (void)context;
    if (text_equal(call->path, "/test/Echo")) {
        call_send(call, message);
        call_finish(call, STATUS_OK, NULL);
    } else if (text_equal(call->path, "/test/Many")) {
        call->context = (char *)call->context + message.length;
        call_read(call);
    }
}

static void on_half_closed(void *context, struct call *call)
{
    (void)context;
    _cleanup_(memory_free) char *sum = text_format("%zu bytes", (size_t)call->context);
    call_finish(call, STATUS_OK, sum);
}

static void on_writable(void *context, struct call *call)
{
    (void)context;
    (void)call;
}

static void on_ended(void *context, struct call *call)
{
    (void)call;
    ((struct fixture *)context)->live--;
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

static void on_retire(void *context, struct call *call)
{
    (void)context;
    if (text_equal(call->path, "/test/Hold"))
        call_finish(call, STATUS_OK, NULL);
}

static void start(struct fixture *fixture, const struct server_options *more)
{
    struct error error = {0};
    struct server_options options = *more;
    options.listen = "127.0.0.1:0";
    options.max_message_bytes = MESSAGE_LIMIT;
    options.ping_interval_ms = 30000;
    *fixture = (struct fixture){.service = {.context = fixture,
                                            .begin = on_begin,
                                            .message = on_message,
                                            .half_closed = on_half_closed,
                                            .writable = on_writable,
                                            .ended = on_ended,
                                            .turn = on_turn,
                                            .drain = on_drain,
                                            .retire = on_retire}};
    assert_true(
        server_start(&transport_nghttp2, &options, &fixture->service, &fixture->server, &error));
}

static int set_up(void **state)
{
    struct fixture *fixture = memory_new(sizeof(*fixture));
    start(fixture, &(struct server_options){0});
    *state = fixture;
    return 0;
}

/* With other limits. */
static void restart(struct fixture *fixture, const struct server_options *options)
{
    server_free(fixture->server);
    start(fixture, options);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    server_free(fixture->server);
    assert_int_equal(fixture->live, 0);
    free(fixture);
    return 0;
}

static uint64_t hits(const struct fixture *fixture, const char *name)
{
    struct limit_hits limits[MOST_LIMITS];
    size_t count = server_limit_hits(fixture->server, limits, ARRAY_LENGTH(limits));
    for (size_t i = 0; i < count; i++)
        if (text_equal(limits[i].name, name))
            return limits[i].hits;
    fail_msg("there is no limit %s", name);
    return 0;
}

/* All that a server says to these bytes until it hangs up; the caller frees it. */
static char *talk(const struct fixture *fixture, const void *bytes, size_t length)
{
    struct text heard = {0};
    char buffer[4096];
    ssize_t got;
    int fd = h2_connect(fixture->server->port);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = 10},
               sizeof(struct timeval));
    assert_int_equal(send(fd, bytes, length, MSG_NOSIGNAL), length);
    while ((got = recv(fd, buffer, sizeof(buffer), 0)) > 0)
        text_add_bytes(&heard, buffer, (size_t)got);
    assert_int_equal(got, 0);
    close(fd);
    return text_take(&heard);
}

static void an_http1_request_is_told_what_this_is(void **state)
{
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: backlog\r\n\r\n";
    _cleanup_(memory_free) char *answer = talk(*state, request, sizeof(request) - 1);
    assert_true(text_starts_with(answer, "HTTP/1.1 505 "));
    assert_non_null(strstr(answer, "Connection: close\r\n"));
    const char *body = strstr(answer, "\r\n\r\n");
    assert_non_null(body);
    assert_non_null(strstr(body, "HTTP/2"));
    const char *length = strstr(answer, "Content-Length: ");
    assert_non_null(length);
    assert_int_equal(atoi(length + strlen("Content-Length: ")), strlen(body + 4));
}

static void what_is_not_even_http_is_hung_up_on(void **state)
{
    static const uint8_t hello[] = {0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0}; /* TLS */
    _cleanup_(memory_free) char *answer = talk(*state, hello, sizeof(hello));
    assert_string_equal(answer, "");
}

static void assert_answered(struct h2_client *client, const char *const *headers, const char *http,
                            const char *grpc)
{
    struct h2_stream stream = {.body = (const uint8_t *)"\0\0\0\0\0", .body_length = 5};
    h2_client_open(client, &stream, "/test/Echo", headers);
    h2_client_finish(client, &stream);
    assert_string_equal(stream.http_status, http);
    assert_string_equal(stream.grpc_status, grpc);
}

static void requests_that_are_no_grpc_are_refused_by_their_http_status(void **state)
{
    struct fixture *fixture = *state;
    struct h2_client client;
    h2_client_init(&client, fixture->server->port);
    assert_answered(&client, NULL, "200", "0");
    assert_answered(&client, (const char *[]){":method", "PUT", NULL}, "405", "12");
    assert_answered(&client, (const char *[]){"content-type", "text/plain", NULL}, "415", "3");
    assert_answered(&client, (const char *[]){"grpc-timeout", "1", NULL}, "200", "3");
    assert_answered(&client, (const char *[]){"content-type", "application/grpc+proto", NULL},
                    "200", "0");
    assert_answered(&client, (const char *[]){"trace-bin", "AAECAw==", NULL}, "200", "0");
    h2_client_done(&client);
}

static void a_request_that_cannot_be_answered_with_trailers_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct h2_client client;
    struct h2_stream stream = {.body = (const uint8_t *)"", .lacks_te = true};
    h2_client_init(&client, fixture->server->port);
    h2_client_open(&client, &stream, "/test/Echo", NULL);
    h2_client_finish(&client, &stream);
    assert_string_equal(stream.http_status, "400");
    assert_string_equal(stream.grpc_status, "13");
    h2_client_done(&client);
}

static void an_unknown_encoding_is_answered_with_those_that_are_known(void **state)
{
    struct fixture *fixture = *state;
    struct h2_client client;
    struct h2_stream stream = {.body = (const uint8_t *)"\1\0\0\0\1x", .body_length = 6};
    h2_client_init(&client, fixture->server->port);
    h2_client_open(&client, &stream, "/test/Echo",
                   (const char *[]){"grpc-encoding", "snappy", NULL});
    h2_client_finish(&client, &stream);
    assert_string_equal(stream.grpc_status, "12");
    assert_string_equal(stream.accepted, "identity, deflate, gzip");
    h2_client_done(&client);
}

static void assert_body_is_refused(struct h2_client *client, const char *body, size_t length,
                                   const char *status)
{
    struct h2_stream stream = {.body = (const uint8_t *)body, .body_length = length};
    h2_client_open(client, &stream, "/test/Echo", NULL);
    h2_client_finish(client, &stream);
    assert_string_equal(stream.grpc_status, status);
    assert_true(stream.grpc_message[0] != '\0');
}

static void bodies_that_are_no_messages_are_refused(void **state)
{
    struct fixture *fixture = *state;
    struct h2_client client;
    h2_client_init(&client, fixture->server->port);
    assert_body_is_refused(&client, "\0\0\0", 3, "13");
    assert_body_is_refused(&client, "\0\0\0\0\5abc", 8, "13");
    assert_body_is_refused(&client, "\2\0\0\0\0", 5, "13");
    assert_body_is_refused(&client, "\1\0\0\0\1x", 6, "13"); /* compressed, but nobody said how */
    assert_body_is_refused(&client, "\0\0\1\0\1", 5, "8");
    h2_client_done(&client);
}

static void a_message_in_a_thousand_frames_is_one_message(void **state)
{
    struct fixture *fixture = *state;
    struct h2_client client;
    uint8_t body[1005] = {0, 0, 0, 1000 >> 8, 1000 & 255};
    for (size_t i = 5; i < sizeof(body); i++)
        body[i] = (uint8_t)i;
    struct h2_stream stream = {.body = body, .body_length = sizeof(body), .most_frame_bytes = 1};
    h2_client_init(&client, fixture->server->port);
    h2_client_open(&client, &stream, "/test/Echo", NULL);
    h2_client_finish(&client, &stream);
    assert_string_equal(stream.grpc_status, "0");
    assert_int_equal(stream.received_length, sizeof(body));
    assert_memory_equal(stream.received, body, sizeof(body));
    h2_client_done(&client);
}

static void many_messages_come_in_order_and_flow_control_lets_all_of_them_through(void **state)
{
    enum { MESSAGES = 100000, EACH = 7 };
    struct fixture *fixture = *state;
    struct h2_client client;
    size_t length = (size_t)MESSAGES * (EACH + 5);
    _cleanup_(memory_free) uint8_t *body = memory_new(length);
    for (size_t i = 0; i < MESSAGES; i++)
        body[i * (EACH + 5) + 4] = EACH;
    struct h2_stream stream = {.body = body, .body_length = length};
    h2_client_init(&client, fixture->server->port);
    h2_client_open(&client, &stream, "/test/Many", NULL);
    h2_client_finish(&client, &stream);
    assert_string_equal(stream.grpc_status, "0");
    assert_string_equal(stream.grpc_message, "700000 bytes");
    h2_client_done(&client);
}

static void messages_that_nobody_asked_for_wait_and_hold_up_no_other_call(void **state)
{
    struct fixture *fixture = *state;
    struct h2_client client;
    _cleanup_(memory_free) uint8_t *body = memory_new(4 << 20);
    struct h2_stream unread[20] = {0};
    h2_client_init(&client, fixture->server->port);
    for (size_t i = 0; i < ARRAY_LENGTH(unread); i++) {
        unread[i] = (struct h2_stream){.body = body, .body_length = 4 << 20};
        h2_client_open(&client, &unread[i], "/test/Unread", NULL);
    }
    assert_answered(&client, NULL, "200", "0");
    h2_client_run_ms(&client, 200);
    for (size_t i = 0; i < ARRAY_LENGTH(unread); i++)
        assert_int_equal((4 << 20) - unread[i].body_length, 65535); /* a window, and no more */
    h2_client_done(&client);
}

static void an_answer_before_the_request_ended_frees_the_stream(void **state)
{
    struct fixture *fixture = *state;
    struct h2_client client;
    struct h2_stream stream = {
        .body = (const uint8_t *)"\0\0\0\0\0", .body_length = 5, .stays_open = true};
    h2_client_init(&client, fixture->server->port);
    h2_client_open(&client, &stream, "/test/Echo", NULL);
    h2_client_finish(&client, &stream);
    assert_string_equal(stream.grpc_status, "0");
    assert_int_equal(stream.code, NGHTTP2_NO_ERROR);
    h2_client_done(&client);
}

static void too_many_resets_close_the_connection_and_are_counted(void **state)
{
    enum { MORE_THAN_EVER = 100000 };
    struct fixture *fixture = *state;
    struct h2_client client;
    struct h2_stream stream;
    h2_client_init(&client, fixture->server->port);
    for (size_t i = 0; i < MORE_THAN_EVER && client.goaways == 0; i++) {
        stream = (struct h2_stream){.body = (const uint8_t *)"", .stays_open = true};
        h2_client_open(&client, &stream, "/test/Unread", NULL);
        h2_client_flush(&client);
        nghttp2_submit_rst_stream(client.session, NGHTTP2_FLAG_NONE, stream.id, NGHTTP2_CANCEL);
        if (i % 1000 == 0)
            h2_client_run_ms(&client, 1);
    }
    h2_client_await_end(&client);
    assert_int_equal(client.goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
    assert_int_equal(hits(fixture, "resets"), 1);
    h2_client_done(&client);
}

static void headers_beyond_the_limit_are_refused_and_far_beyond_it_end_the_connection(void **state)
{
    struct fixture *fixture = *state;
    struct h2_client client;
    _cleanup_(memory_free) char *large = memory_new(80001);
    memset(large, 'x', 20000);
    h2_client_init(&client, fixture->server->port);
    assert_answered(&client, (const char *[]){"padding", large, NULL}, "200", "8");
    assert_int_equal(hits(fixture, "header-bytes"), 1);
    assert_answered(&client, NULL, "200", "0");

    memset(large, 'x', 40000);
    struct h2_stream stream = {.body = (const uint8_t *)""};
    h2_client_open(&client, &stream, "/test/Echo",
                   (const char *[]){"padding", large, "more", large, NULL});
    h2_client_await_end(&client);
    assert_int_equal(hits(fixture, "header-bytes"), 2);
    h2_client_done(&client);
}

static void the_operator_sets_a_limit_by_its_name(void **state)
{
    struct fixture *fixture = *state;
    struct h2_client client;
    const char *const limits[] = {"handshake-ms=60000", "path-bytes=9"};
    _Static_assert(sizeof("/test/Echo") - 1 > 9, "the path is longer");
    restart(fixture,
            &(struct server_options){.limits = limits, .limit_count = ARRAY_LENGTH(limits)});
    h2_client_init(&client, fixture->server->port);
    assert_answered(&client, NULL, "200", "12");
    assert_int_equal(hits(fixture, "path-bytes"), 1);
    h2_client_done(&client);
}

static void a_limit_that_is_none_is_refused(void **state)
{
    static const struct {
        const char *text;
        const char *words;
    } wrong[] = {
        {"reset=5", "--help lists them"},
        {"resets", "NAME=NUMBER"},
        {"", "NAME=NUMBER"},
        {"resets=0", "must be a whole number"},
        {"resets=many", "the limit resets is"},
        {"resets=9999999999", "must be a whole number"},
        {"connections=5", "--max-clients"},
        {"silence-ms=5", "--ping-interval"},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        _cleanup_(error_done) struct error error = {0};
        struct server *server = NULL;
        const struct server_options options = {.listen = "127.0.0.1:0",
                                               .max_message_bytes = MESSAGE_LIMIT,
                                               .ping_interval_ms = 30000,
                                               .limits = &wrong[i].text,
                                               .limit_count = 1};
        assert_false(
            server_start(&transport_nghttp2, &options, &fixture->service, &server, &error));
        assert_non_null(strstr(error_text(&error), wrong[i].words));
    }
}

static void silent_connections_make_place_for_one_that_speaks(void **state)
{
    enum { PLACES = 8 };
    struct fixture *fixture = *state;
    struct h2_client clients[PLACES];
    int silent[3 * PLACES];
    restart(fixture,
            &(struct server_options){.max_connections = PLACES, .max_peer_connections = 99});
    for (size_t i = 0; i < ARRAY_LENGTH(silent); i++)
        silent[i] = h2_connect(fixture->server->port);
    for (size_t i = 0; i < PLACES; i++) {
        h2_client_init(&clients[i], fixture->server->port);
        assert_answered(&clients[i], NULL, "200", "0");
    }
    assert_true(hits(fixture, "connections") >= ARRAY_LENGTH(silent));

    struct h2_client late; /* all places are taken by clients that speak */
    h2_client_init(&late, fixture->server->port);
    h2_client_run_ms(&late, 100);
    h2_client_await_end(&late);
    for (size_t i = 0; i < PLACES; i++) {
        assert_answered(&clients[i], NULL, "200", "0");
        h2_client_done(&clients[i]);
    }
    h2_client_done(&late);
    for (size_t i = 0; i < ARRAY_LENGTH(silent); i++)
        close(silent[i]);
}

static void without_descriptors_it_refuses_and_serves_again_when_some_are_free(void **state)
{
    struct fixture *fixture = *state;
    struct h2_client client;
    struct rlimit before;
    int taken[256] = {0};
    size_t count = 0;
    h2_client_init(&client, fixture->server->port);
    assert_answered(&client, NULL, "200", "0");
    int waiting = socket(AF_INET, SOCK_STREAM, 0);

    getrlimit(RLIMIT_NOFILE, &before);
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){128, before.rlim_max});
    while (count < ARRAY_LENGTH(taken) && (taken[count] = open("/dev/null", O_RDONLY)) >= 0)
        count++;
    assert_true(count > 0);
    close(taken[--count]);
    struct h2_client refused;
    h2_client_init(&refused, fixture->server->port); /* takes the last one */
    h2_client_await_end(&refused);
    assert_int_equal(hits(fixture, "descriptors"), 1);
    assert_answered(&client, NULL, "200", "0");

    while (count > 0)
        close(taken[--count]);
    setrlimit(RLIMIT_NOFILE, &before);
    h2_client_done(&refused);
    h2_client_done(&client);
    close(waiting);
    h2_client_init(&client, fixture->server->port);
    assert_answered(&client, NULL, "200", "0");
    h2_client_done(&client);
}

static bool is_told_twice(const void *what)
{
    return ((const struct h2_client *)what)->goaways == 2;
}

static bool is_told(const void *what)
{
    return ((const struct h2_client *)what)->goaways > 0;
}

static void *drain(void *argument)
{
    struct fixture *fixture = argument;
    assert_int_equal(server_drain(fixture->server, 10000), 0);
    return NULL;
}

static void a_call_that_arrives_before_the_last_goaway_is_served(void **state)
{
    struct fixture *fixture = *state;
    struct h2_client client;
    pthread_t thread;
    struct h2_stream held = {.body = (const uint8_t *)""};
    h2_client_init(&client, fixture->server->port);
    client.holds_pings = true;
    h2_client_open(&client, &held, "/test/Unread", NULL);
    h2_client_run_ms(&client, 50);
    pthread_create(&thread, NULL, drain, fixture);

    /* nghttp2 opens no stream after a GOAWAY, so this one is under way when it is read. */
    struct h2_stream late = {.body = (const uint8_t *)"\0\0\0\0\0", .body_length = 5};
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    h2_client_open(&client, &late, "/test/Echo", NULL);
    h2_client_finish(&client, &late);
    assert_string_equal(late.grpc_status, "0");

    assert_true(h2_client_run(&client, is_told_twice, &client));
    assert_int_equal(client.last_stream_id, late.id);
    assert_int_equal(client.goaway_code, NGHTTP2_NO_ERROR);
    nghttp2_submit_rst_stream(client.session, NGHTTP2_FLAG_NONE, held.id, NGHTTP2_CANCEL);
    h2_client_await_end(&client);
    pthread_join(thread, NULL);
    h2_client_done(&client);
}

static void a_connection_of_age_is_closed_in_order_and_its_streams_end_with_ok(void **state)
{
    struct fixture *fixture = *state;
    struct h2_client client;
    restart(fixture, &(struct server_options){.max_connection_age_ms = 300});
    struct h2_stream stream = {
        .body = (const uint8_t *)"\0\0\0\0\0", .body_length = 5, .stays_open = true};
    h2_client_init(&client, fixture->server->port);
    h2_client_open(&client, &stream, "/test/Hold", NULL);
    assert_true(h2_client_run(&client, is_told, &client));
    h2_client_await_end(&client);
    assert_true(stream.is_closed);
    assert_string_equal(stream.grpc_status, "0");
    assert_int_equal(client.goaway_code, NGHTTP2_NO_ERROR);
    h2_client_done(&client);
    h2_client_init(&client, fixture->server->port);
    assert_answered(&client, NULL, "200", "0");
    h2_client_done(&client);
}

/* Requests that deflate made small, and whose answers do not fit into the socket by far. */
static void assert_gets_all_it_reads_late(struct h2_client *client)
{
    enum { STREAMS = 300, BYTES = 60000 };
    static const char *const deflated[] = {"grpc-encoding", "deflate", NULL};
    _cleanup_(memory_free) uint8_t *zeros = memory_new(BYTES);
    _cleanup_(memory_free) struct h2_stream *streams = memory_array(STREAMS, sizeof(*streams));
    uint8_t body[1024] = {1};
    uLongf length = sizeof(body) - 5;
    assert_int_equal(compress(body + 5, &length, zeros, BYTES), Z_OK);
    body[3] = (uint8_t)(length >> 8);
    body[4] = (uint8_t)length;

    nghttp2_session_set_local_window_size(client->session, NGHTTP2_FLAG_NONE, 0, 1 << 30);
    for (size_t i = 0; i < STREAMS; i++) {
        streams[i] =
            (struct h2_stream){.body = body, .body_length = length + 5, .is_counted = true};
        h2_client_open(client, &streams[i], "/test/Echo", deflated);
    }
    h2_client_flush(client);
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL); /* the server must wait for us */
    for (size_t i = 0; i < STREAMS; i++) {
        h2_client_finish(client, &streams[i]);
        assert_string_equal(streams[i].grpc_status, "0");
        assert_int_equal(streams[i].received_length, BYTES + 5);
    }
    h2_client_done(client);
}

static void a_client_that_reads_late_gets_all_of_it(void **state)
{
    const struct fixture *fixture = *state;
    struct h2_client client;
    h2_client_init(&client, fixture->server->port);
    assert_gets_all_it_reads_late(&client);
}

static void a_client_that_reads_late_gets_all_of_it_over_tls(void **state)
{
    struct fixture *fixture = *state;
    struct h2_client client;
    struct certificate certificate;
    certificate_make(&certificate);
    restart(fixture,
            &(struct server_options){.tls = &(struct tls_files){.certificate = certificate.path,
                                                                .key = certificate.key_path}});
    h2_client_init_tls(&client, fixture->server->port);
    assert_gets_all_it_reads_late(&client);
    certificate_remove(&certificate);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_http1_request_is_told_what_this_is),
        TEST(what_is_not_even_http_is_hung_up_on),
        TEST(requests_that_are_no_grpc_are_refused_by_their_http_status),
        TEST(a_request_that_cannot_be_answered_with_trailers_is_refused),
        TEST(an_unknown_encoding_is_answered_with_those_that_are_known),
        TEST(bodies_that_are_no_messages_are_refused),
        TEST(a_message_in_a_thousand_frames_is_one_message),
        TEST(many_messages_come_in_order_and_flow_control_lets_all_of_them_through),
        TEST(messages_that_nobody_asked_for_wait_and_hold_up_no_other_call),
        TEST(an_answer_before_the_request_ended_frees_the_stream),
        TEST(too_many_resets_close_the_connection_and_are_counted),
        TEST(headers_beyond_the_limit_are_refused_and_far_beyond_it_end_the_connection),
        TEST(the_operator_sets_a_limit_by_its_name),
        TEST(a_limit_that_is_none_is_refused),
        TEST(silent_connections_make_place_for_one_that_speaks),
        TEST(without_descriptors_it_refuses_and_serves_again_when_some_are_free),
        TEST(a_call_that_arrives_before_the_last_goaway_is_served),
        TEST(a_connection_of_age_is_closed_in_order_and_its_streams_end_with_ok),
        TEST(a_client_that_reads_late_gets_all_of_it),
        TEST(a_client_that_reads_late_gets_all_of_it_over_tls),
    };
    signal(SIGPIPE, SIG_IGN); /* as the program does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
