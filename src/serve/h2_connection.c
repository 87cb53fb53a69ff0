/*
 * A connection: its socket, and its life from the first byte to the last.
 *
 * The place for TLS is between receive_bytes()/send_bytes() and all the rest: with it, these two pass
 * through the filter of this connection, and what lies above them does not change.
 */
#include "serve/h2.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* For the answer to the last ping before the end, and for a client to close after the end. */
enum { ROUND_TRIP_MS = 1000, LINGER_MS = 1000 };
/* A connection that has more to write gives way to others after this many times. */
enum { MOST_WRITES_A_TURN = 8 };
/* Beside DATA, of which a call has one. With more than that to be written the client is not read. */
enum { MOST_FRAMES_BEHIND = 4096 };

static void enter(struct h2_connection *connection, enum h2_phase phase)
{
    connection->phase = phase;
    connection->phase_ms = connection->server->now_ms;
}

void h2_connection_touch(struct h2_connection *connection)
{
    if (connection->is_touched)
        return;
    connection->is_touched = true;
    TAILQ_INSERT_TAIL(&connection->server->touched, connection, touched);
}

static void end_session(struct h2_connection *connection)
{
    struct h2_call *call;
    while ((call = LIST_FIRST(&connection->calls)) != NULL)
        h2_call_end(call);
    h2_request_done(&connection->request);
    nghttp2_session_del(TAKE(connection->session));
    free(TAKE(connection->unsent));
    connection->unsent_length = 0;
}

void h2_connection_free(struct h2_connection *connection)
{
    struct h2_server *server = connection->server;
    end_session(connection);
    if (connection->is_touched)
        TAILQ_REMOVE(&server->touched, connection, touched);
    TAILQ_REMOVE(&server->connections, connection, all);
    server->connection_count--;
    event_del(&connection->readable);
    event_del(&connection->writable);
    close(connection->fd);
    free(connection);
}

/* ---- the bytes ---- */

static ssize_t receive_bytes(struct h2_connection *connection)
{
    return recv(connection->fd, connection->server->input, H2_INPUT_BYTES, 0);
}

/* Returns how many were taken, 0 where none can be now, -1 where none ever will. */
static ssize_t send_bytes(struct h2_connection *connection, const uint8_t *data, size_t length)
{
    ssize_t sent = send(connection->fd, data, length, MSG_NOSIGNAL);
    if (sent >= 0)
        return sent;
    return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

/* ---- out ---- */

/* The client gets all that was said only if nothing of its own arrives at a closed socket. */
static void linger(struct h2_connection *connection)
{
    end_session(connection);
    enter(connection, H2_LINGERING);
    shutdown(connection->fd, SHUT_WR);
    event_del(&connection->writable);
    event_add(&connection->readable, NULL);
}

/* False: the connection is broken. */
static bool send_unsent(struct h2_connection *connection)
{
    if (connection->unsent_length == 0)
        return true;
    size_t left = connection->unsent_length - connection->unsent_offset;
    ssize_t sent = send_bytes(connection, connection->unsent + connection->unsent_offset, left);
    if (sent < 0)
        return false;
    if (sent > 0)
        connection->wrote_ms = connection->server->now_ms;
    connection->unsent_offset += (size_t)sent;
    if ((size_t)sent < left)
        return true;
    free(TAKE(connection->unsent));
    connection->unsent_length = 0;
    return true;
}

static void keep_unsent(struct h2_connection *connection, const uint8_t *data, size_t length)
{
    connection->unsent = memory_new(length);
    memcpy(connection->unsent, data, length);
    connection->unsent_length = length;
    connection->unsent_offset = 0;
    connection->wrote_ms = connection->server->now_ms;
}

/* Collects what nghttp2 has to say; 0: nothing, now. */
static size_t fill_output(struct h2_connection *connection)
{
    uint8_t *output = connection->server->output;
    size_t filled = 0;
    while (filled < H2_OUTPUT_BYTES) {
        const uint8_t *data;
        ssize_t length = nghttp2_session_mem_send(connection->session, &data);
        if (length <= 0)
            break; /* an error here is a lack of memory; the next read finds it again */
        memcpy(output + filled, data, (size_t)length);
        filled += (size_t)length;
    }
    return filled;
}

/* False: the connection is broken. */
static bool write_all(struct h2_connection *connection)
{
    if (!send_unsent(connection))
        return false;
    for (int i = 0; i < MOST_WRITES_A_TURN && connection->unsent_length == 0; i++) {
        size_t filled = fill_output(connection);
        if (filled == 0)
            return true;
        ssize_t sent = send_bytes(connection, connection->server->output, filled);
        if (sent < 0)
            return false;
        if ((size_t)sent < filled)
            keep_unsent(connection, connection->server->output + sent, filled - (size_t)sent);
    }
    return true;
}

static void set_event(struct event *event, bool is_wanted)
{
    if (is_wanted)
        event_add(event, NULL);
    else
        event_del(event);
}

/* A client that does not read what it asked for is not read: what it says leads to more of it. */
static void choose_events(struct h2_connection *connection)
{
    nghttp2_session *session = connection->session;
    bool is_blocked = connection->unsent_length > 0;
    bool is_behind = nghttp2_session_get_outbound_queue_size(session) > MOST_FRAMES_BEHIND;
    set_event(&connection->writable, is_blocked || nghttp2_session_want_write(session) != 0);
    set_event(&connection->readable, !is_blocked && !is_behind);
}

/* Stays touched while it writes, so that what its own hooks order now waits for the next turn. */
void h2_connection_flush(struct h2_connection *connection)
{
    struct h2_server *server = connection->server;
    bool is_sound = connection->session == NULL || write_all(connection);
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
        linger(connection);
    else
        choose_events(connection);
}

static void can_write(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    h2_connection_touch(argument);
}

/* ---- in ---- */

static void feed(struct h2_connection *connection, const uint8_t *data, size_t length)
{
    struct h2_server *server = connection->server;
    ssize_t taken = nghttp2_session_mem_recv(connection->session, data, length);
    if (taken == NGHTTP2_ERR_FLOODED)
        h2_limit_hit(&server->limits, H2_FRAMES_QUEUED, connection->peer, server->now_ms);
    if (taken == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS)
        h2_limit_hit(&server->limits, H2_HEADER_BYTES, connection->peer, server->now_ms);
    if (taken < 0) {
        log_debug("%s: %s", connection->peer, nghttp2_strerror((int)taken));
        h2_connection_free(connection);
        return;
    }
    h2_connection_touch(connection);
}

/* No HTTP/2. A browser or a curl deserves a word, in its own language. */
static void turn_away(struct h2_connection *connection, const uint8_t *data, size_t length)
{
    static const char version[] = " HTTP/1.";
    static const char answer[] = "HTTP/1.1 505 HTTP Version Not Supported\r\n"
                                 "Content-Type: text/plain\r\n"
                                 "Content-Length: 62\r\n"
                                 "Connection: close\r\n"
                                 "\r\n"
                                 "This is a gRPC server: it speaks HTTP/2 with prior knowledge.\n";
    log_debug("%s does not speak HTTP/2", connection->peer);
    if (memmem(data, length, version, strlen(version)) != NULL)
        send_bytes(connection, (const uint8_t *)answer, sizeof(answer) - 1);
    linger(connection);
}

/* The first bytes. A session takes 20 KiB, so that it is made only for who speaks HTTP/2. */
static void greet(struct h2_connection *connection, const uint8_t *data, size_t length)
{
    static const uint8_t preface[] = NGHTTP2_CLIENT_MAGIC;
    size_t missing = NGHTTP2_CLIENT_MAGIC_LEN - connection->greeted;
    size_t compared = length < missing ? length : missing;
    if (memcmp(preface + connection->greeted, data, compared) != 0) {
        turn_away(connection, data, length);
        return;
    }
    connection->greeted += compared;
    if (compared < missing)
        return;
    connection->session = h2_session_new(connection);
    enter(connection, H2_SERVING);
    nghttp2_session_mem_recv(connection->session, preface, NGHTTP2_CLIENT_MAGIC_LEN);
    feed(connection, data + compared, length - compared);
}

static void can_read(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    struct h2_connection *connection = argument;
    struct h2_server *server = connection->server;
    ssize_t length = receive_bytes(connection);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (length <= 0) {
        h2_connection_free(connection);
        return;
    }
    server->now_ms = clock_now_ms();
    connection->heard_ms = server->now_ms;
    if (connection->phase == H2_LINGERING)
        return;
    if (connection->session == NULL)
        greet(connection, server->input, (size_t)length);
    else
        feed(connection, server->input, (size_t)length);
}

/* ---- its beginning, its time limits, its end ---- */

/* Apart by up to a tenth, or all that came together would leave together. */
static int64_t retire_ms(const struct h2_server *server)
{
    if (server->max_age_ms == CLOCK_NEVER)
        return CLOCK_NEVER;
    uint32_t tenth =
        (uint32_t)(server->max_age_ms / 10 < UINT32_MAX ? server->max_age_ms / 10 : UINT32_MAX);
    return server->now_ms + server->max_age_ms - tenth / 2 + clock_jitter(tenth + 1);
}

void h2_connection_new(struct h2_server *server, int fd, const char *peer)
{
    struct h2_connection *connection = memory_new(sizeof(*connection));
    int64_t now_ms = server->now_ms;
    connection->server = server;
    connection->fd = fd;
    connection->opened_ms = now_ms;
    connection->heard_ms = now_ms;
    connection->wrote_ms = now_ms;
    connection->busy_ms = now_ms;
    connection->retire_ms = retire_ms(server);
    strncpy(connection->peer, peer, sizeof(connection->peer) - 1);
    LIST_INIT(&connection->calls);
    enter(connection, H2_GREETING);
    event_assign(&connection->readable, server->base, fd, EV_READ | EV_PERSIST, can_read,
                 connection);
    event_assign(&connection->writable, server->base, fd, EV_WRITE | EV_PERSIST, can_write,
                 connection);
    event_add(&connection->readable, NULL);
    TAILQ_INSERT_TAIL(&server->connections, connection, all);
    server->connection_count++;
}

void h2_connection_leave(struct h2_connection *connection)
{
    if (connection->phase == H2_GREETING)
        h2_connection_free(connection);
    if (connection->phase != H2_SERVING)
        return;
    enter(connection, H2_LEAVING);
    nghttp2_submit_shutdown_notice(connection->session);
    h2_session_ask(connection);
    h2_connection_touch(connection);
}

void h2_connection_left(struct h2_connection *connection)
{
    if (connection->phase != H2_LEAVING)
        return;
    enter(connection, H2_LEFT);
    nghttp2_submit_goaway(connection->session, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(connection->session),
                          NGHTTP2_NO_ERROR, NULL, 0);
    h2_connection_touch(connection);
}

void h2_connection_doom(struct h2_connection *connection, enum h2_limit limit)
{
    struct h2_server *server = connection->server;
    h2_limit_hit(&server->limits, limit, connection->peer, server->now_ms);
    enter(connection, H2_DOOMED);
    nghttp2_session_terminate_session(connection->session, NGHTTP2_ENHANCE_YOUR_CALM);
    h2_connection_touch(connection);
}

void h2_connection_cut(struct h2_connection *connection)
{
    if (connection->session != NULL) {
        nghttp2_session_terminate_session(connection->session, NGHTTP2_NO_ERROR);
        write_all(connection);
    }
    h2_connection_free(connection);
}

static void retire(struct h2_connection *connection)
{
    const struct service *service = connection->server->service;
    struct h2_call *call;
    h2_connection_leave(connection);
    if (service->retire != NULL)
        LIST_FOREACH(call, &connection->calls, of_connection)
    service->retire(service->context, &call->call);
}

static bool has_passed(const struct h2_connection *connection, int64_t since_ms,
                       enum h2_limit limit)
{
    const struct h2_server *server = connection->server;
    return server->now_ms - since_ms > server->limits.most[limit];
}

/* A limit that it has run into, H2_LIMITS: none. */
static enum h2_limit overstepped(const struct h2_connection *connection)
{
    if (!connection->has_settled && has_passed(connection, connection->opened_ms, H2_HANDSHAKE_MS))
        return H2_HANDSHAKE_MS;
    if (has_passed(connection, connection->wrote_ms, H2_WRITE_MS) && connection->unsent_length > 0)
        return H2_WRITE_MS;
    if (connection->unsent_length == 0 &&
        has_passed(connection, connection->heard_ms, H2_SILENCE_MS))
        return H2_SILENCE_MS;
    return H2_LIMITS;
}

static void ping_in_silence(struct h2_connection *connection)
{
    const struct h2_server *server = connection->server;
    bool is_silent = server->now_ms - connection->heard_ms >= server->ping_interval_ms;
    if (!is_silent || connection->pinged_ms >= connection->heard_ms)
        return;
    connection->pinged_ms = server->now_ms;
    h2_session_ping(connection);
    h2_connection_touch(connection);
}

void h2_connection_check(struct h2_connection *connection)
{
    struct h2_server *server = connection->server;
    if (connection->phase == H2_LINGERING) {
        if (server->now_ms - connection->phase_ms > LINGER_MS)
            h2_connection_free(connection);
        return;
    }
    enum h2_limit limit = overstepped(connection);
    if (limit != H2_LIMITS) {
        h2_limit_hit(&server->limits, limit, connection->peer, server->now_ms);
        h2_connection_free(connection);
        return;
    }
    if (connection->session == NULL)
        return;
    ping_in_silence(connection);
    bool is_idle =
        LIST_EMPTY(&connection->calls) && has_passed(connection, connection->busy_ms, H2_IDLE_MS);
    if (connection->phase == H2_LEAVING && server->now_ms - connection->phase_ms >= ROUND_TRIP_MS)
        h2_connection_left(connection);
    else if (connection->phase == H2_SERVING && server->now_ms >= connection->retire_ms)
        retire(connection);
    else if (connection->phase == H2_SERVING && is_idle)
        h2_connection_leave(connection);
}
