#include "serve/h2/connection.h"

#include "base/clock.h"
#include "base/memory.h"
#include "serve/h2/call/call.h"
#include "serve/h2/socket.h"

#include <stdlib.h>
#include <sys/socket.h>

enum {
    ROUND_TRIP_MS = 1000,   /* for the answer to the last ping before the end */
    LINGER_MS = 1000,       /* for a client to close after the end */
    REFUSED_MS = 10 * 1000, /* one whose name is refused needs it for one call, to get the reason */
};

void h2_connection_enter(struct h2_connection *connection, enum h2_phase phase)
{
    connection->phase = phase;
    connection->phase_ms = connection->server->now_ms;
}

/* False: some are left, which the turn may not end any more. */
static bool end_calls(struct h2_connection *connection)
{
    struct h2_server *server = connection->server;
    struct h2_call *call;
    while ((call = LIST_FIRST(&connection->calls)) != NULL && server->ends_left > 0) {
        server->ends_left--;
        h2_call_end(call);
    }
    return call == NULL;
}

static void end_session(struct h2_connection *connection)
{
    h2_request_clear(&connection->request);
    nghttp2_session_del(TAKE(connection->session));
    free(TAKE(connection->unsent));
    connection->unsent_length = 0;
    if (connection->is_ending || end_calls(connection))
        return;
    connection->is_ending = true;
    TAILQ_INSERT_TAIL(&connection->server->ending, connection, ending);
}

static void free_closed(struct h2_connection *connection)
{
    h2_peer_leave(&connection->server->peers, connection->peer);
    client_names_free(connection->names);
    free(connection->refusal);
    free(connection);
}

void h2_connection_end_calls(struct h2_server *server)
{
    struct h2_connection *next;
    for (struct h2_connection *connection = TAILQ_FIRST(&server->ending);
         connection != NULL && end_calls(connection); connection = next) {
        next = TAILQ_NEXT(connection, ending);
        TAILQ_REMOVE(&server->ending, connection, ending);
        connection->is_ending = false;
        if (connection->is_closed)
            free_closed(connection);
    }
}

void h2_connection_unready(struct h2_connection *connection)
{
    struct h2_peer *peer = connection->peer;
    if (!connection->is_ready)
        return;
    TAILQ_REMOVE(&peer->readable, connection, ready);
    if (TAILQ_EMPTY(&peer->readable))
        TAILQ_REMOVE(&connection->server->readable, peer, of_readable);
    connection->is_ready = false;
}

void h2_connection_free(struct h2_connection *connection)
{
    struct h2_server *server = connection->server;
    end_session(connection);
    h2_connection_unready(connection);
    if (connection->is_touched)
        TAILQ_REMOVE(&server->touched, connection, touched);
    TAILQ_REMOVE(&server->connections, connection, all);
    server->connection_count--;
    h2_peer_close(connection->peer);
    event_del(&connection->readable);
    event_del(&connection->writable);
    h2_socket_close(connection);
    connection->is_closed = true;
    if (!connection->is_ending)
        free_closed(connection);
}

/* The client gets everything that was sent only if none of its own bytes arrive at a closed socket.
 */
void h2_connection_linger(struct h2_connection *connection)
{
    end_session(connection);
    h2_socket_unwrap(connection);
    h2_connection_enter(connection, H2_LINGERING);
    shutdown(connection->fd, SHUT_WR);
    h2_socket_await(connection, true, false);
}

/* ---- its beginning, its time limits, its end ---- */

/* Spread over a tenth: connections that came together must not end together. */
static int64_t retire_ms(const struct h2_server *server)
{
    if (server->max_age_ms == CLOCK_NEVER)
        return CLOCK_NEVER;
    uint32_t tenth =
        (uint32_t)(server->max_age_ms / 10 < UINT32_MAX ? server->max_age_ms / 10 : UINT32_MAX);
    return server->now_ms + server->max_age_ms - tenth / 2 + clock_jitter(tenth + 1);
}

struct h2_connection *h2_connection_new(struct h2_server *server, int fd, const char *address)
{
    struct h2_connection *connection = memory_new(sizeof(*connection));
    int64_t now_ms = server->now_ms;
    connection->server = server;
    connection->fd = fd;
    connection->opened_ms = now_ms;
    connection->received_ms = now_ms;
    connection->reads_since_ms = now_ms;
    connection->pinged_ms = H2_NO_PING;
    connection->wrote_ms = now_ms;
    connection->busy_ms = now_ms;
    connection->retire_ms = retire_ms(server);
    connection->peer = h2_peer_join(&server->peers, address);
    LIST_INIT(&connection->calls);
    TAILQ_INSERT_TAIL(&server->connections, connection, all);
    server->connection_count++;
    return connection;
}

void h2_connection_close_gracefully(struct h2_connection *connection)
{
    if (connection->phase == H2_TLS_HANDSHAKE || connection->phase == H2_AWAIT_PREFACE)
        h2_connection_free(connection);
    else if (connection->phase == H2_SERVING) {
        h2_connection_enter(connection, H2_GOAWAY_SENT);
        nghttp2_submit_shutdown_notice(connection->session);
        h2_connection_touch(connection);
    }
}

void h2_connection_goaway_acknowledged(struct h2_connection *connection)
{
    if (connection->phase != H2_GOAWAY_SENT)
        return;
    h2_connection_enter(connection, H2_GOAWAY_ACKNOWLEDGED);
    h2_connection_touch(connection);
}

void h2_connection_leave(struct h2_connection *connection)
{
    if (connection->phase != H2_GOAWAY_ACKNOWLEDGED)
        return;
    h2_connection_enter(connection, H2_LEAVING);
    nghttp2_submit_goaway(connection->session, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(connection->session),
                          NGHTTP2_NO_ERROR, NULL, 0);
}

void h2_connection_terminate(struct h2_connection *connection, enum h2_limit limit)
{
    struct h2_server *server = connection->server;
    h2_limit_hit(&server->limits, limit, connection->peer->address, server->now_ms);
    h2_connection_enter(connection, H2_TERMINATING);
    nghttp2_session_terminate_session(connection->session, NGHTTP2_ENHANCE_YOUR_CALM);
    h2_connection_touch(connection);
}

static void retire(struct h2_connection *connection)
{
    const struct call_handler *handler = connection->server->handler;
    struct h2_call *call;
    h2_connection_close_gracefully(connection);
    if (handler->retire != NULL)
        LIST_FOREACH(call, &connection->calls, of_connection)
            handler->retire(handler->context, &call->call);
}

static bool has_passed(const struct h2_connection *connection, int64_t since_ms,
                       enum h2_limit limit)
{
    const struct h2_server *server = connection->server;
    return server->now_ms - since_ms > server->limits.max[limit];
}

/* The first part of the limit is the silence before the ping. It counts from when the ping has been
 * written, as the loop may have stood still before, to when the loop last looked for what can be
 * read, and only while the server reads. */
static bool leaves_ping_unanswered(const struct h2_connection *connection)
{
    const struct h2_server *server = connection->server;
    int64_t patience_ms = server->limits.max[H2_SILENCE_MS] - server->ping_interval_ms;
    int64_t since_ms = connection->pinged_ms > connection->reads_since_ms
                           ? connection->pinged_ms
                           : connection->reads_since_ms;
    return connection->pinged_ms != H2_NO_PING && !connection->is_ready &&
           connection->unread_calls == 0 && connection->unsent_length == 0 &&
           server->polled_ms - since_ms > patience_ms;
}

/* A limit that it has run into, H2_LIMITS: none. */
static enum h2_limit exceeded_limit(const struct h2_connection *connection)
{
    if (!connection->has_settings && has_passed(connection, connection->opened_ms, H2_HANDSHAKE_MS))
        return H2_HANDSHAKE_MS;
    if (has_passed(connection, connection->wrote_ms, H2_WRITE_MS) && connection->unsent_length > 0)
        return H2_WRITE_MS;
    if (leaves_ping_unanswered(connection))
        return H2_SILENCE_MS;
    return H2_LIMITS;
}

static void ping_in_silence(struct h2_connection *connection)
{
    const struct h2_server *server = connection->server;
    bool is_silent = server->now_ms - connection->received_ms >= server->ping_interval_ms;
    if (!is_silent || connection->pinged_ms != H2_NO_PING)
        return;
    connection->pinged_ms = CLOCK_NEVER;
    nghttp2_submit_ping(connection->session, NGHTTP2_FLAG_NONE, NULL);
    h2_connection_touch(connection);
}

/* Also once it has left: a stream may have been on the way. */
static bool must_retire(const struct h2_connection *connection)
{
    bool is_of_age = connection->server->now_ms >= connection->retire_ms;
    return connection->phase == H2_LEAVING || (connection->phase == H2_SERVING && is_of_age);
}

void h2_connection_check(struct h2_connection *connection)
{
    struct h2_server *server = connection->server;
    if (connection->phase == H2_LINGERING) {
        if (server->now_ms - connection->phase_ms > LINGER_MS)
            h2_connection_free(connection);
        return;
    }
    enum h2_limit limit = exceeded_limit(connection);
    if (limit != H2_LIMITS) {
        h2_limit_hit(&server->limits, limit, connection->peer->address, server->now_ms);
        h2_connection_free(connection);
        return;
    }
    if (connection->session == NULL)
        return;
    ping_in_silence(connection);
    bool is_idle =
        LIST_EMPTY(&connection->calls) &&
        (has_passed(connection, connection->busy_ms, H2_IDLE_MS) ||
         (connection->refusal != NULL && server->now_ms - connection->busy_ms >= REFUSED_MS));
    if (connection->phase == H2_GOAWAY_SENT &&
        server->now_ms - connection->phase_ms >= ROUND_TRIP_MS)
        h2_connection_goaway_acknowledged(connection);
    else if (must_retire(connection))
        retire(connection);
    else if (connection->phase == H2_SERVING && is_idle)
        h2_connection_close_gracefully(connection);
}
