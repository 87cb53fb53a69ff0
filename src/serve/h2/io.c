/*
 * A connection's bytes: what it reads, from the first byte on, and when it writes.
 */

#include "serve/h2/io.h"
#include "base/clock.h"
#include "base/log.h"
#include "serve/h2/connection.h"
#include "serve/h2/output.h"
#include "serve/h2/session.h"
#include "serve/h2/socket.h"

#include <stdlib.h>
#include <string.h>

/* Beside DATA, of which a call has one. With more than that to be written the client is not read.
 */
enum { MAX_QUEUED_FRAMES = 4096 };

/* Of all connections, in a turn; each read goes on to its end. What is left waits for the next. */
enum { READ_US = 2000 };

/* ---- in ---- */

static void pass_on(struct h2_connection *connection, const uint8_t *data, size_t length)
{
    struct h2_server *server = connection->server;
    if (connection->phase == H2_TERMINATING)
        return; /* what is left to be sent does not depend on it */
    ssize_t taken = nghttp2_session_mem_recv(connection->session, data, length);
    if (connection->phase == H2_TERMINATING && taken == NGHTTP2_ERR_CALLBACK_FAILURE)
        taken = (ssize_t)length;
    if (taken == NGHTTP2_ERR_FLOODED)
        h2_limit_hit(&server->limits, H2_FRAMES_QUEUED, connection->peer->address, server->now_ms);
    if (taken == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS)
        h2_limit_hit(&server->limits, H2_HEADER_BYTES, connection->peer->address, server->now_ms);
    if (taken < 0) {
        log_debug("%s: %s", connection->peer->address, nghttp2_strerror((int)taken));
        h2_connection_free(connection);
        return;
    }
    h2_connection_touch(connection);
}

/* Not HTTP/2: a browser or curl gets an answer in HTTP/1.1. */
static void reject_http1(struct h2_connection *connection, const uint8_t *data, size_t length)
{
    static const char version[] = " HTTP/1.";
    static const char answer[] = "HTTP/1.1 505 HTTP Version Not Supported\r\n"
                                 "Content-Type: text/plain\r\n"
                                 "Content-Length: 62\r\n"
                                 "Connection: close\r\n"
                                 "\r\n"
                                 "This is a gRPC server: it speaks HTTP/2 with prior knowledge.\n";
    log_debug("%s sent no HTTP/2 preface", connection->peer->address);
    h2_socket_warn_no_tls(connection, data, length);
    if (memmem(data, length, version, strlen(version)) != NULL)
        h2_socket_send(connection, (const uint8_t *)answer, sizeof(answer) - 1);
    h2_connection_linger(connection);
}

/* The first bytes. A session takes 20 KiB, so that it is made only for clients of HTTP/2. */
static void receive_preface(struct h2_connection *connection, const uint8_t *data, size_t length)
{
    static const uint8_t preface[] = NGHTTP2_CLIENT_MAGIC;
    size_t missing = NGHTTP2_CLIENT_MAGIC_LEN - connection->preface_received;
    size_t compared = length < missing ? length : missing;
    if (memcmp(preface + connection->preface_received, data, compared) != 0) {
        reject_http1(connection, data, length);
        return;
    }
    connection->preface_received += compared;
    if (compared < missing)
        return;
    connection->session = h2_session_new(connection);
    h2_connection_enter(connection, H2_SERVING);
    nghttp2_session_mem_recv(connection->session, preface, NGHTTP2_CLIENT_MAGIC_LEN);
    pass_on(connection, data + compared, length - compared);
}

/* TLS handshakes of a turn; the rest in the next. */
enum { HANDSHAKES_US = 2000 };

/* One takes 0.3 ms with an elliptic curve, 0.6 ms with RSA, and milliseconds where a client shows
 * many certificates: only a few of hundreds are done in each turn. */
static void continue_handshake(struct h2_connection *connection)
{
    struct h2_server *server = connection->server;
    int64_t now_us = clock_now_us();
    if (server->handshakes_until_us == 0)
        server->handshakes_until_us = now_us + HANDSHAKES_US;
    if (now_us >= server->handshakes_until_us)
        return;
    switch (h2_socket_handshake(connection)) {
    case H2_HANDSHAKE_WANTS_READ:
        h2_socket_await(connection, true, false);
        break;
    case H2_HANDSHAKE_WANTS_WRITE:
        h2_socket_await(connection, false, true);
        break;
    case H2_HANDSHAKE_DONE:
        h2_connection_enter(connection, H2_AWAIT_PREFACE);
        h2_socket_await(connection, true, false);
        break;
    case H2_HANDSHAKE_FAILED:
        h2_connection_free(connection);
        break;
    }
}

static void can_write(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    struct h2_connection *connection = argument;
    connection->tls_must_write = false;
    if (connection->phase == H2_TLS_HANDSHAKE)
        continue_handshake(connection);
    else if (connection->session == NULL)
        h2_socket_await(connection, true, false);
    else
        h2_connection_touch(connection);
}

static void receive(struct h2_connection *connection)
{
    struct h2_server *server = connection->server;
    ssize_t length = h2_socket_receive(connection, server->input, H2_INPUT_BYTES);
    if (length < 0) {
        h2_connection_free(connection);
        return;
    }
    if (length == 0 || connection->phase == H2_LINGERING)
        return;
    connection->received_ms = server->now_ms;
    connection->pinged_ms = H2_NO_PING;
    if (connection->session == NULL)
        receive_preface(connection, server->input, (size_t)length);
    else
        pass_on(connection, server->input, (size_t)length);
}

static void can_read(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    struct h2_connection *connection = argument;
    struct h2_peer *peer = connection->peer;
    if (connection->is_ready)
        return;
    if (TAILQ_EMPTY(&peer->readable))
        TAILQ_INSERT_TAIL(&connection->server->readable, peer, of_readable);
    TAILQ_INSERT_TAIL(&peer->readable, connection, ready);
    connection->is_ready = true;
}

/* The next one's of the address that waits longest. */
static struct h2_connection *take_readable(struct h2_server *server)
{
    struct h2_peer *peer = TAILQ_FIRST(&server->readable);
    if (peer == NULL)
        return NULL;
    struct h2_connection *connection = TAILQ_FIRST(&peer->readable);
    h2_connection_unready(connection);
    if (!TAILQ_EMPTY(&peer->readable)) {
        TAILQ_REMOVE(&server->readable, peer, of_readable);
        TAILQ_INSERT_TAIL(&server->readable, peer, of_readable);
    }
    return connection;
}

void h2_io_read(struct h2_server *server)
{
    struct h2_connection *connection;
    int64_t until_us = clock_now_us() + READ_US;
    while (clock_now_us() < until_us && (connection = take_readable(server)) != NULL) {
        server->now_ms = clock_now_ms();
        if (event_pending(&connection->readable, EV_READ, NULL) == 0)
            continue; /* meanwhile it has more to write than its client reads */
        if (connection->is_touched && connection->touched_before < server->flushes)
            continue; /* the last turn had no time to write what it has */
        if (connection->phase == H2_TLS_HANDSHAKE)
            continue_handshake(connection);
        else
            receive(connection);
    }
}

void h2_io_accept(struct h2_server *server, int fd, const char *address)
{
    struct h2_connection *connection = h2_connection_new(server, fd, address);
    h2_connection_enter(connection,
                        h2_socket_wrap(connection) ? H2_TLS_HANDSHAKE : H2_AWAIT_PREFACE);
    event_assign(&connection->readable, server->base, fd, EV_READ | EV_PERSIST, can_read,
                 connection);
    event_assign(&connection->writable, server->base, fd, EV_WRITE | EV_PERSIST, can_write,
                 connection);
    event_add(&connection->readable, NULL);
}

/* ---- out ---- */

/* A client that does not read its responses is not read from: every request makes more to write.
 * Nor is one whose requests wait for their turn. */
static void choose_events(struct h2_connection *connection)
{
    nghttp2_session *session = connection->session;
    bool is_blocked = connection->unsent_length > 0 || connection->tls_must_write;
    bool is_behind = nghttp2_session_get_outbound_queue_size(session) > MAX_QUEUED_FRAMES ||
                     connection->unread_calls > 0;
    h2_socket_await(connection, !is_blocked && !is_behind,
                    is_blocked || nghttp2_session_want_write(session) != 0);
}

void h2_io_flush(struct h2_connection *connection)
{
    struct h2_server *server = connection->server;
    h2_connection_leave(connection);
    bool is_sound = connection->session == NULL || h2_output_write(connection);
    TAILQ_REMOVE(&server->touched, connection, touched);
    connection->is_touched = false;
    if (!is_sound) {
        h2_connection_free(connection);
        return;
    }
    nghttp2_session *session = connection->session;
    if (session == NULL)
        return;
    bool is_over = connection->unsent_length == 0 && nghttp2_session_want_read(session) == 0 &&
                   nghttp2_session_want_write(session) == 0;
    if (is_over)
        h2_connection_linger(connection);
    else
        choose_events(connection);
}
