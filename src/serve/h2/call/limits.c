#include "serve/h2/call/limits.h"
#include "base/clock.h"
#include "base/memory.h"

void h2_call_await_client(struct h2_call *call)
{
    struct h2_server *server = call->connection->server;
    if (call->is_expected)
        TAILQ_REMOVE(&server->expected, call, expected);
    call->is_expected = true;
    call->expected_ms = server->now_ms + server->limits.max[H2_CALL_MS];
    TAILQ_INSERT_TAIL(&server->expected, call, expected);
}

void h2_call_await_nobody(struct h2_call *call)
{
    if (call->is_expected)
        TAILQ_REMOVE(&call->connection->server->expected, call, expected);
    call->is_expected = false;
}

/* Its client has not done its part in time. */
static void expire(struct h2_call *call)
{
    struct h2_server *server = call->connection->server;
    if (call->connection->unread_calls > 0 && !call->finished) {
        h2_call_await_client(call); /* its message waits for its turn, or is not read for others' */
        return;
    }
    h2_call_await_nobody(call);
    if (call->connection->session == NULL)
        return; /* the client is gone */
    h2_limit_hit(&server->limits, H2_CALL_MS, call->connection->peer->address, server->now_ms);
    if (!call->finished) {
        call_finish(&call->call, STATUS_DEADLINE_EXCEEDED,
                    "the client sent no request message in time");
        return;
    }
    nghttp2_submit_rst_stream(call->connection->session, NGHTTP2_FLAG_NONE, call->stream_id,
                              NGHTTP2_CANCEL);
    h2_connection_touch(call->connection);
}

static void deadline_has_passed(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    struct h2_call *call = argument;
    call->is_late = true;
    TAILQ_INSERT_TAIL(&call->connection->server->late, call, late);
}

void h2_calls_check(struct h2_server *server)
{
    struct h2_call *call;
    while (server->ends_left > 0 && (call = TAILQ_FIRST(&server->late)) != NULL) {
        server->ends_left--;
        h2_call_drop_deadline(call);
        call_finish(&call->call, STATUS_DEADLINE_EXCEEDED, "Deadline Exceeded");
    }
    while (server->ends_left > 0 && (call = TAILQ_FIRST(&server->expected)) != NULL &&
           call->expected_ms <= server->now_ms) {
        server->ends_left--;
        expire(call);
    }
}

void h2_call_set_deadline(struct h2_call *call, int64_t timeout_ms)
{
    struct h2_server *server = call->connection->server;
    call->call.deadline_ms = CLOCK_NEVER;
    if (timeout_ms == CLOCK_NEVER)
        return;
    call->call.deadline_ms = clock_now_ms() + timeout_ms;
    const struct timeval left = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    call->deadline = evtimer_new(server->base, deadline_has_passed, call);
    evtimer_add(call->deadline, &left);
}

void h2_call_drop_deadline(struct h2_call *call)
{
    if (call->deadline != NULL)
        event_free(TAKE(call->deadline));
    if (call->is_late)
        TAILQ_REMOVE(&call->connection->server->late, call, late);
    call->is_late = false;
}

bool h2_call_exclude_from_limit(struct call *base)
{
    struct h2_call *call = (struct h2_call *)base;
    struct h2_server *server = call->connection->server;
    struct h2_peer *peer = call->connection->peer;
    if (call->is_stream)
        return true;
    size_t calls_and_ended = server->call_count - server->stream_count + server->ended_count;
    if (server->stream_count >= 2 * server->max_streams ||
        !h2_limit_leaves(&server->limits, H2_CALLS, calls_and_ended, peer->calls + peer->ended, 0))
        return false;
    call->is_stream = true;
    peer->calls--;
    call->connection->call_count--;
    server->stream_count++;
    return true;
}
