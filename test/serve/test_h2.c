/*
 * What the nghttp2 transport promises beyond the contract, before a small service: what clients get
 * that speak no gRPC, and how connections end.
 */
#include "base/memory.h"
#include "base/text.h"
#include "serve/h2_fixture.h"
#include "support/certificate.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <zlib.h>

static void an_http1_request_is_answered_with_an_explanation(void **state)
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

static void bytes_that_are_not_http2_end_the_connection(void **state)
{
    static const uint8_t hello[] = {0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0}; /* TLS */
    _cleanup_(memory_free) char *answer = talk(*state, hello, sizeof(hello));
    assert_string_equal(answer, "");
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

/* This client gives no call up by itself, so that the deadline is the server's to keep. */
static void a_call_whose_deadline_passes_ends_as_overdue(void **state)
{
    struct fixture *fixture = *state;
    struct h2_client client;
    struct h2_stream stream = {.body = (const uint8_t *)"\0\0\0\0\0", .body_length = 5};
    h2_client_init(&client, fixture->server->port);
    h2_client_open(&client, &stream, "/test/Hold", (const char *[]){"grpc-timeout", "50m", NULL});
    h2_client_finish(&client, &stream);
    assert_string_equal(stream.grpc_status, "4");
    h2_client_done(&client);
    assert_int_equal(fixture->ended_as[STATUS_DEADLINE_EXCEEDED], 1);
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
    struct h2_stream stream = {.body = body, .body_length = sizeof(body), .max_frame_bytes = 1};
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

static bool is_answered(const void *what)
{
    const struct h2_stream *stream = what;
    return stream->is_closed || stream->received_length >= stream->answer_length;
}

/* So many bytes that whole messages fill the window of a stream: the last one is not cut. */
enum { WINDOW_BYTES = 65535, PER_WINDOW = 257, EACH_BYTES = WINDOW_BYTES / PER_WINDOW };

/* As reflection is used. */
static void messages_one_after_the_other_never_exhaust_the_window(void **state)
{
    enum { MESSAGES = 3 * PER_WINDOW };
    static const uint8_t message[EACH_BYTES] = {[4] = EACH_BYTES - 5};
    const struct fixture *fixture = *state;
    struct h2_client client;
    struct h2_stream stream = {.body = (const uint8_t *)"", .stays_open = true, .is_counted = true};
    h2_client_init(&client, fixture->server->port);
    h2_client_open(&client, &stream, "/test/Talk", NULL);
    h2_client_flush(&client);
    for (size_t i = 0; i < MESSAGES; i++) {
        stream.answer_length += sizeof(message);
        h2_client_send(&client, &stream, message, sizeof(message));
        assert_true(h2_client_run(&client, is_answered, &stream));
        assert_int_equal(stream.received_length, stream.answer_length);
    }
    stream.stays_open = false;
    h2_client_send(&client, &stream, message, 0);
    h2_client_finish(&client, &stream);
    assert_string_equal(stream.grpc_status, "0");
    h2_client_done(&client);
}

/* They are held, a window of them at most; each is delivered when the answer before has left. */
static void messages_that_do_not_wait_for_their_answers_never_exhaust_the_window(void **state)
{
    enum { MESSAGES = 20 * PER_WINDOW, ALL_BYTES = MESSAGES * EACH_BYTES };
    const struct fixture *fixture = *state;
    struct h2_client client;
    _cleanup_(memory_free) uint8_t *body = memory_new(ALL_BYTES);
    for (size_t i = 0; i < MESSAGES; i++)
        body[i * EACH_BYTES + 4] = EACH_BYTES - 5;
    struct h2_stream stream = {
        .body = body, .body_length = ALL_BYTES, .max_frame_bytes = EACH_BYTES, .is_counted = true};
    h2_client_init(&client, fixture->server->port);
    h2_client_open(&client, &stream, "/test/Talk", NULL);
    h2_client_finish(&client, &stream);
    assert_string_equal(stream.grpc_status, "0");
    assert_int_equal(stream.received_length, ALL_BYTES);
    assert_int_equal(hits(fixture, "held-bytes"), 0);
    h2_client_done(&client);
}

static void messages_that_are_not_read_wait_and_hold_up_no_other_call(void **state)
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

static bool is_sent_twice(const void *what)
{
    return ((const struct h2_client *)what)->goaways == 2;
}

static bool is_sent(const void *what)
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

    assert_true(h2_client_run(&client, is_sent_twice, &client));
    assert_int_equal(client.last_stream_id, late.id);
    assert_int_equal(client.goaway_code, NGHTTP2_NO_ERROR);
    nghttp2_submit_rst_stream(client.session, NGHTTP2_FLAG_NONE, held.id, NGHTTP2_CANCEL);
    h2_client_await_end(&client);
    pthread_join(thread, NULL);
    h2_client_done(&client);
}

/* As the gRPC C core writes: pings' answers come first. */
static void a_call_behind_the_answer_to_the_last_ping_is_served(void **state)
{
    enum { PATIENCE_MS = 10000 };
    static const uint8_t ping_data[8] = "goaway";
    struct fixture *fixture = *state;
    struct h2_client client;
    pthread_t thread;
    struct h2_stream held = {.body = (const uint8_t *)""};
    struct h2_stream late = {.body = (const uint8_t *)"\0\0\0\0\0", .body_length = 5};
    h2_client_init(&client, fixture->server->port);
    client.holds_pings = true;
    h2_client_open(&client, &held, "/test/Unread", NULL);
    h2_client_run_ms(&client, 50); /* the next frames are GOAWAY and its ping */
    pthread_create(&thread, NULL, drain, fixture);
    assert_int_equal(poll(&(struct pollfd){.fd = client.fd, .events = POLLIN}, 1, PATIENCE_MS), 1);

    h2_client_cork(&client, true);
    nghttp2_submit_ping(client.session, NGHTTP2_FLAG_ACK, ping_data);
    h2_client_open(&client, &late, "/test/Echo", NULL);
    h2_client_flush(&client);
    h2_client_cork(&client, false);
    h2_client_finish(&client, &late);
    assert_string_equal(late.grpc_status, "0");
    assert_true(h2_client_run(&client, is_sent_twice, &client));
    assert_int_equal(client.last_stream_id, late.id);
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
    assert_true(h2_client_run(&client, is_sent, &client));
    h2_client_await_end(&client);
    assert_true(stream.is_closed);
    assert_string_equal(stream.grpc_status, "0");
    assert_int_equal(client.goaway_code, NGHTTP2_NO_ERROR);
    h2_client_done(&client);
    h2_client_init(&client, fixture->server->port);
    assert_answered(&client, NULL, "200", "0");
    h2_client_done(&client);
}

/* It came after GOAWAY was sent, and before the client acknowledged it. */
static void a_stream_that_is_late_for_its_connections_age_ends_with_ok(void **state)
{
    enum { PATIENCE_MS = 10000 };
    struct fixture *fixture = *state;
    struct h2_client client;
    restart(fixture, &(struct server_options){.max_connection_age_ms = 2000});
    h2_client_init(&client, fixture->server->port);
    client.holds_pings = true;
    assert_answered(&client, NULL, "200", "0");
    h2_client_run_ms(&client, 50); /* the next frame is GOAWAY */

    struct pollfd readable = {.fd = client.fd, .events = POLLIN};
    struct h2_stream late = {
        .body = (const uint8_t *)"\0\0\0\0\0", .body_length = 5, .stays_open = true};
    assert_int_equal(poll(&readable, 1, PATIENCE_MS), 1);
    h2_client_open(&client, &late, "/test/Hold", NULL);
    h2_client_finish(&client, &late);
    assert_string_equal(late.grpc_status, "0");
    h2_client_await_end(&client);
    h2_client_done(&client);
}

/*
 * Requests that deflate made small, and whose answers do not fit into the socket: Linux keeps 4 MiB
 * of what is sent (tcp_wmem), and what we leave it of what is received. They are less than what an
 * address may have the server hold (8 MiB): none is refused, however little the kernel takes.
 */
static void assert_gets_all_it_reads_late(struct h2_client *client)
{
    enum { STREAMS = 120, BYTES = 60000 };
    static const char *const deflated[] = {"grpc-encoding", "deflate", NULL};
    _cleanup_(memory_free) uint8_t *zeros = memory_new(BYTES);
    _cleanup_(memory_free) struct h2_stream *streams = memory_array(STREAMS, sizeof(*streams));
    uint8_t body[1024] = {1};
    uLongf length = sizeof(body) - 5;
    assert_int_equal(compress(body + 5, &length, zeros, BYTES), Z_OK);
    body[3] = (uint8_t)(length >> 8);
    body[4] = (uint8_t)length;

    assert_return_code(setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &(int){32 << 10}, sizeof(int)),
                       errno);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_http1_request_is_answered_with_an_explanation),
        TEST(bytes_that_are_not_http2_end_the_connection),
        TEST(requests_that_are_no_grpc_are_refused_by_their_http_status),
        TEST(a_call_whose_deadline_passes_ends_as_overdue),
        TEST(a_request_that_cannot_be_answered_with_trailers_is_refused),
        TEST(an_unknown_encoding_is_answered_with_those_that_are_known),
        TEST(bodies_that_are_no_messages_are_refused),
        TEST(a_message_in_a_thousand_frames_is_one_message),
        TEST(many_messages_come_in_order_and_flow_control_lets_all_of_them_through),
        TEST(messages_one_after_the_other_never_exhaust_the_window),
        TEST(messages_that_do_not_wait_for_their_answers_never_exhaust_the_window),
        TEST(messages_that_are_not_read_wait_and_hold_up_no_other_call),
        TEST(an_answer_before_the_request_ended_frees_the_stream),
        TEST(a_call_that_arrives_before_the_last_goaway_is_served),
        TEST(a_call_behind_the_answer_to_the_last_ping_is_served),
        TEST(a_connection_of_age_is_closed_in_order_and_its_streams_end_with_ok),
        TEST(a_stream_that_is_late_for_its_connections_age_ends_with_ok),
        TEST(a_client_that_reads_late_gets_all_of_it),
        TEST(a_client_that_reads_late_gets_all_of_it_over_tls),
    };
    signal(SIGPIPE, SIG_IGN); /* as the program does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
