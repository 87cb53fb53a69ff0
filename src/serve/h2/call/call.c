/*
 * One call over nghttp2: the messages of its client, its beginning and its end. ended() comes from
 * nghttp2's closing of the stream, never from within an order.
 */

#include "serve/h2/call/call.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "serve/h2/call/call_answer.h"
#include "serve/h2/call/limits.h"

#include <stdlib.h>
#include <string.h>

/* Of messages, in each part of a turn. */
enum { DELIVERY_US = 1000 };

/* ---- who waits for its turn ---- */

static bool has_time(struct h2_server *server)
{
    int64_t now_us = clock_now_us();
    if (server->delivers_until_us == 0)
        server->delivers_until_us = now_us + DELIVERY_US;
    return now_us < server->delivers_until_us;
}

/* Its connection is not read meanwhile: what it sent takes no more memory than a turn reads. */
static void postpone(struct h2_call *call)
{
    struct h2_peer *peer = call->connection->peer;
    if (call->is_unread)
        return;
    if (TAILQ_EMPTY(&peer->unread))
        TAILQ_INSERT_TAIL(&call->connection->server->unread, peer, of_unread);
    TAILQ_INSERT_TAIL(&peer->unread, call, unread);
    call->is_unread = true;
    call->connection->unread_calls++;
    h2_connection_touch(call->connection);
}

static void leave_queue(struct h2_call *call)
{
    struct h2_peer *peer = call->connection->peer;
    if (!call->is_unread)
        return;
    TAILQ_REMOVE(&peer->unread, call, unread);
    if (TAILQ_EMPTY(&peer->unread))
        TAILQ_REMOVE(&call->connection->server->unread, peer, of_unread);
    call->is_unread = false;
    call->connection->unread_calls--;
    h2_connection_touch(call->connection);
}

/* ---- messages in ---- */

static void count_held(struct h2_call *call, size_t capacity)
{
    struct h2_connection *connection = call->connection;
    connection->server->held_bytes += capacity - call->held_capacity;
    connection->peer->held_bytes += capacity - call->held_capacity;
    call->held_capacity = capacity;
}

static void drop_held(struct h2_call *call)
{
    free(TAKE(call->held));
    call->held_length = 0;
    count_held(call, 0);
}

/* What memory_grow() adds for so many bytes more, by which the capacity at least doubles. */
static size_t growth(const struct h2_call *call, size_t bytes)
{
    if (call->held_length + bytes <= call->held_capacity)
        return 0;
    return bytes > call->held_capacity ? bytes : call->held_capacity;
}

/* False, and the call is finished: its client has too much that is not whole yet. */
static bool append(struct h2_call *call, struct bytes bytes)
{
    struct h2_server *server = call->connection->server;
    struct h2_peer *peer = call->connection->peer;
    if (!h2_limit_leaves(&server->limits, H2_HELD_BYTES, server->held_bytes, peer->held_bytes,
                         growth(call, bytes.length))) {
        h2_limit_hit(&server->limits, H2_HELD_BYTES, peer->address, server->now_ms);
        h2_call_finish(&call->call, STATUS_RESOURCE_EXHAUSTED, "too many incomplete requests");
        drop_held(call);
        return false;
    }
    size_t capacity = call->held_capacity;
    call->held = memory_grow(call->held, &capacity, call->held_length + bytes.length, 1);
    count_held(call, capacity);
    memcpy(call->held + call->held_length, bytes.data, bytes.length);
    call->held_length += bytes.length;
    return true;
}

/* Keeps what cannot be delivered yet; it may lie in what is held already. */
static void hold(struct h2_call *call, struct bytes rest)
{
    if (rest.length == 0 || call->finished)
        drop_held(call);
    else if (call->held_length == 0)
        append(call, rest);
    else {
        memmove(call->held, rest.data, rest.length);
        call->held_length = rest.length;
    }
}

static void refuse_large(struct h2_call *call, uint32_t length)
{
    _cleanup_(memory_free) char *text =
        text_format("Received message larger than max (%u vs. %zu)", length,
                    call->connection->server->max_message_bytes);
    h2_call_finish(&call->call, STATUS_RESOURCE_EXHAUSTED, text);
}

static void hand_over_inflated(struct h2_call *call, struct bytes compressed)
{
    struct h2_server *server = call->connection->server;
    _cleanup_(memory_free) uint8_t *inflated = NULL;
    size_t length = 0;
    switch (framing_inflate(compressed, server->max_message_bytes, &inflated, &length)) {
    case FRAMING_INFLATED:
        server->handler->message(server->handler->context, &call->call,
                                 (struct bytes){inflated, length});
        return;
    case FRAMING_NOT_ZLIB:
        h2_call_finish(&call->call, STATUS_INVALID_ARGUMENT, "the message cannot be decompressed");
        return;
    case FRAMING_GROWS_TOO_LARGE:
        h2_call_finish(&call->call, STATUS_RESOURCE_EXHAUSTED,
                       "Received message larger than max after decompression");
        return;
    }
}

static void hand_over(struct h2_call *call, const struct framing_message *message)
{
    const struct call_handler *handler = call->connection->server->handler;
    call->read_wanted = false;
    h2_call_await_nobody(call);
    if (!message->compressed)
        handler->message(handler->context, &call->call, message->bytes);
    else if (call->is_compressed)
        hand_over_inflated(call, message->bytes);
    else
        h2_call_finish(&call->call, STATUS_INTERNAL,
                       "the message is marked as compressed, but there is no grpc-encoding");
}

/* The client sends no more, and no whole message is left. */
static void deliver_half_close(struct h2_call *call, size_t rest)
{
    const struct call_handler *handler = call->connection->server->handler;
    call->read_wanted = false;
    h2_call_await_nobody(call);
    if (rest == 0)
        handler->half_closed(handler->context, &call->call);
    else
        h2_call_finish(&call->call, STATUS_INTERNAL, "the request ends within a message");
}

static void deliver(struct h2_call *call, struct bytes *input)
{
    call->delivering = true;
    while (call->read_wanted && !call->finished) {
        if ((input->length > 0 || call->half_closed) && !has_time(call->connection->server)) {
            postpone(call);
            break;
        }
        struct framing_message message;
        enum framing_found found =
            framing_take(input, call->connection->server->max_message_bytes, &message);
        if (found == FRAMING_MESSAGE)
            hand_over(call, &message);
        else if (found == FRAMING_TOO_LARGE)
            refuse_large(call, message.length);
        else if (found == FRAMING_BAD_FLAG)
            h2_call_finish(&call->call, STATUS_INTERNAL,
                           "a message begins with neither 0 nor 1: invalid gRPC frame");
        else if (call->half_closed)
            deliver_half_close(call, input->length);
        else
            break;
    }
    call->delivering = false;
}

/* Only a stream whose messages are wanted gets more of its window: so a client is held back. What
 * can be delivered, and waits for its turn, is not consumed yet; the beginning of a message is, as
 * the rest may need more than the window. */
static void consume(struct h2_call *call)
{
    size_t waiting = call->is_unread ? call->held_length : 0;
    if (!call->read_wanted || call->finished || call->half_closed || call->unconsumed <= waiting)
        return;
    nghttp2_session_consume_stream(call->connection->session, call->stream_id,
                                   call->unconsumed - waiting);
    call->unconsumed = waiting;
    h2_connection_touch(call->connection);
}

void h2_call_receive(struct h2_call *call, struct bytes bytes)
{
    if (call->finished)
        return;
    call->unconsumed += bytes.length;
    struct bytes input = bytes;
    if (call->held_length > 0) {
        if (!append(call, bytes))
            return;
        input = (struct bytes){call->held, call->held_length};
    }
    deliver(call, &input);
    hold(call, input);
    consume(call);
}

static void deliver_held(struct h2_call *call)
{
    struct bytes input = {call->held, call->held_length};
    deliver(call, &input);
    hold(call, input);
    consume(call);
}

void h2_call_half_close(struct h2_call *call)
{
    call->half_closed = true;
    deliver_held(call);
}

void h2_call_deliver_unread(struct h2_server *server)
{
    struct h2_peer *peer;
    server->delivers_until_us = 0;
    while ((peer = TAILQ_FIRST(&server->unread)) != NULL && has_time(server)) {
        struct h2_call *call = TAILQ_FIRST(&peer->unread);
        leave_queue(call);
        if (!TAILQ_EMPTY(&peer->unread)) {
            TAILQ_REMOVE(&server->unread, peer, of_unread);
            TAILQ_INSERT_TAIL(&server->unread, peer, of_unread);
        }
        if (call->connection->session != NULL)
            deliver_held(call);
    }
}

void h2_call_read(struct call *base)
{
    struct h2_call *call = (struct h2_call *)base;
    call->read_wanted = true;
    if (call->delivering || call->connection->session == NULL)
        return;
    if (call->held_length > 0 || call->half_closed)
        postpone(call);
    consume(call);
}

/* ---- its beginning and end ---- */

void h2_call_begin(struct h2_connection *connection, int32_t stream_id, struct h2_request *request)
{
    struct h2_server *server = connection->server;
    struct h2_call *call = memory_new(sizeof(*call));
    call->connection = connection;
    call->stream_id = stream_id;
    call->path = TAKE(request->path);
    call->is_compressed = request->encoding == ENCODING_ZLIB;
    call->call.transport = server->server.transport;
    call->call.path = (const char *)nghttp2_rcbuf_get_buf(call->path).base; /* ends with NUL */
    call->call.names = connection->names;
    LIST_INSERT_HEAD(&connection->calls, call, of_connection);
    server->call_count++;
    connection->peer->calls++;
    connection->call_count++;
    connection->busy_ms = server->now_ms;
    nghttp2_session_set_stream_user_data(connection->session, stream_id, call);
    h2_call_set_deadline(call, request->timeout_ms);
    h2_call_await_client(call);
    server->handler->begin(server->handler->context, &call->call);
}

void h2_call_end(struct h2_call *call)
{
    struct h2_connection *connection = call->connection;
    struct h2_server *server = connection->server;
    enum status status = call->status_sent ? call->status : call_unfinished(&call->call);
    LIST_REMOVE(call, of_connection);
    server->call_count--;
    if (call->is_stream) {
        server->stream_count--;
        server->ended_count -= call->finished;
        connection->peer->ended -= call->finished;
    } else {
        connection->peer->calls--;
        connection->call_count--;
    }
    call->finished = true;
    connection->busy_ms = server->now_ms;
    h2_call_await_nobody(call);
    leave_queue(call);
    h2_call_drop_deadline(call);
    server->handler->ended(server->handler->context, &call->call, status);

    drop_held(call);
    nghttp2_rcbuf_decref(call->path);
    h2_call_drop_message(call);
    h2_call_drop_status_text(call);
    free(call);
}
