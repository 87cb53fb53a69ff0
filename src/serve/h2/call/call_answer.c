/*
 * What one call over nghttp2 answers. It is given to nghttp2 at once, which writes nothing before
 * the turn's end: so headers, message and trailers leave together, and with other calls'.
 *
 * At most one message is under way: nghttp2 takes it from the call when flow control lets it, and
 * the status follows it.
 */

#include "serve/h2/call/call_answer.h"
#include "base/memory.h"
#include "base/text.h"
#include "serve/h2/call/limits.h"
#include "serve/h2/call/status.h"
#include "serve/transport/status_text.h"

#include <stdlib.h>
#include <string.h>

static const nghttp2_nv own_headers[] = {
    H2_HEADER(":status", "200"),
    H2_HEADER("content-type", "application/grpc"),
    H2_HEADER("grpc-accept-encoding", "identity, deflate, gzip"),
};

/* Beside them grpc-status and grpc-message. */
enum { MAX_HEADERS = ARRAY_LENGTH(own_headers) + 2 };

static size_t put_trailers(const struct h2_call *call, nghttp2_nv *headers)
{
    size_t count = 0;
    headers[count++] = h2_status_header(call->status);
    if (call->status_text != NULL)
        headers[count++] = h2_text_header(call->status_text);
    return count;
}

/* Where no message was sent the status stands in the headers. */
static void send_status(struct h2_call *call)
{
    nghttp2_session *session = call->connection->session;
    nghttp2_nv headers[MAX_HEADERS];
    if (call->headers_sent)
        nghttp2_submit_trailer(session, call->stream_id, headers, put_trailers(call, headers));
    else {
        memcpy(headers, own_headers, sizeof(own_headers));
        size_t count = ARRAY_LENGTH(own_headers);
        count += put_trailers(call, headers + count);
        nghttp2_submit_response(session, call->stream_id, headers, count, NULL);
    }
    free(TAKE(call->status_text));
}

/* nghttp2 takes a part of the message, as much as flow control allows. */
static ssize_t read_message(nghttp2_session *session, int32_t stream_id, uint8_t *buffer,
                            size_t capacity, uint32_t *flags, nghttp2_data_source *source,
                            void *user_data)
{
    (void)session;
    (void)stream_id;
    (void)user_data;
    struct h2_call *call = source->ptr;
    size_t left = call->message_length - call->message_sent;
    size_t length = left < capacity ? left : capacity;
    memcpy(buffer, call->message + call->message_sent, length);
    call->message_sent += length;
    if (length == left) {
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (call->finished)
            send_status(call); /* not earlier: trailers would overtake the message */
    }
    return (ssize_t)length;
}

static void submit_message(struct h2_call *call)
{
    const nghttp2_data_provider provider = {.source.ptr = call, .read_callback = read_message};
    nghttp2_session *session = call->connection->session;
    if (call->headers_sent) {
        nghttp2_submit_data(session, NGHTTP2_FLAG_NONE, call->stream_id, &provider);
        return;
    }
    nghttp2_submit_response(session, call->stream_id, own_headers, ARRAY_LENGTH(own_headers),
                            &provider);
    call->headers_sent = true;
}

/* KEDA's answers, which are never refused, and not counted: they would take what is left to others'
 * requests. The limits on calls and streams bound their sum: each has at most a message and a
 * status text. */
enum { SMALL_BYTES = 256 };

/* A client that does not read its answers leaves them all with us. False: its address has too much
 * of them. */
static bool count_answer(struct h2_call *call, size_t bytes)
{
    struct h2_server *server = call->connection->server;
    struct h2_peer *peer = call->connection->peer;
    if (bytes <= SMALL_BYTES)
        return true;
    if (!h2_limit_leaves(&server->limits, H2_HELD_BYTES, server->held_bytes, peer->held_bytes,
                         bytes)) {
        h2_limit_hit(&server->limits, H2_HELD_BYTES, peer->address, server->now_ms);
        return false;
    }
    server->held_bytes += bytes;
    peer->held_bytes += bytes;
    return true;
}

static void uncount_answer(struct h2_call *call, size_t bytes)
{
    if (bytes <= SMALL_BYTES)
        return;
    call->connection->server->held_bytes -= bytes;
    call->connection->peer->held_bytes -= bytes;
}

/* False, and the call is finished. */
static bool keep_message(struct h2_call *call, size_t bytes)
{
    if (!count_answer(call, bytes)) {
        h2_call_finish(&call->call, STATUS_RESOURCE_EXHAUSTED, "too many answers are not read");
        return false;
    }
    call->message_length = bytes;
    call->message_sent = 0;
    return true;
}

void h2_call_drop_message(struct h2_call *call)
{
    if (call->message == NULL)
        return;
    free(TAKE(call->message));
    uncount_answer(call, call->message_length);
}

/* Flow control does not hold a status back, so nghttp2 has its text until the socket takes it. */
static void keep_status_text(struct h2_call *call, const char *text)
{
    char encoded[STATUS_TEXT_BYTES + 1];
    size_t length = status_text_encode(text, encoded);
    if (!count_answer(call, length))
        return; /* the status alone */
    call->status_text = text_copy_bytes(encoded, length);
    call->text_bytes = length;
}

void h2_call_drop_status_text(struct h2_call *call)
{
    free(TAKE(call->status_text));
    uncount_answer(call, call->text_bytes);
    call->text_bytes = 0;
}

bool h2_call_send(struct call *base, struct bytes message)
{
    struct h2_call *call = (struct h2_call *)base;
    if (call->finished || call->connection->session == NULL)
        return true; /* the client is gone, and ended() is on its way */
    if (call->message != NULL)
        return false;
    if (!keep_message(call, FRAMING_PREFIX_BYTES + message.length))
        return true;

    call->message = memory_new(call->message_length);
    framing_put_prefix(call->message, (uint32_t)message.length);
    if (message.length > 0)
        memcpy(call->message + FRAMING_PREFIX_BYTES, message.data, message.length);

    submit_message(call);
    h2_connection_touch(call->connection);
    return true;
}

void h2_call_sent(struct h2_call *call)
{
    const struct call_handler *handler = call->connection->server->handler;
    if (call->message == NULL || call->message_sent < call->message_length)
        return;
    h2_call_drop_message(call);
    if (!call->finished)
        handler->writable(handler->context, &call->call);
}

void h2_call_finish(struct call *base, enum status status, const char *text)
{
    struct h2_call *call = (struct h2_call *)base;
    if (call->finished || call->connection->session == NULL)
        return;
    call->finished = true;
    if (call->is_stream) {
        call->connection->server->ended_count++;
        call->connection->peer->ended++;
    }
    call->status = (uint8_t)status;
    if (text != NULL)
        keep_status_text(call, text);
    /* Its deadline is met, and the client is to take the answer in time. */
    h2_call_drop_deadline(call);
    h2_call_await_client(call);
    if (call->message == NULL)
        send_status(call);
    h2_connection_touch(call->connection);
}
