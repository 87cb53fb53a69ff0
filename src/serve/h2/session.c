/*
 * HTTP/2: nghttp2's events of one connection, passed to its calls, and limits on what costs us work
 * or memory and the client nothing. A connection that is terminating gets no more events: nghttp2
 * goes on with what was read of it in one go, and then its session ends.
 */
#include "serve/h2/session.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "serve/h2/call/call.h"
#include "serve/h2/call/call_answer.h"
#include "serve/h2/call/refusal.h"
#include "serve/h2/connection.h"

#include <stdlib.h>
#include <string.h>

/* Flow control of a connection; a stream has the protocol's 64 KiB. */
enum { CONNECTION_WINDOW_BYTES = 1 << 20 };

static const uint8_t goaway_ping_data[8] = "goaway";

/* False, and the connection is terminating: there were too many of these. */
static bool take(struct h2_connection *connection, enum h2_limit limit)
{
    struct h2_server *server = connection->server;
    struct h2_bucket *bucket = &connection->buckets[limit - H2_RESETS];
    if (h2_bucket_take(bucket, &server->limits, limit, server->now_ms))
        return true;
    h2_connection_terminate(connection, limit);
    return false;
}

static void give_back(struct h2_connection *connection, enum h2_limit limit)
{
    h2_bucket_return(&connection->buckets[limit - H2_RESETS], limit);
}

static struct h2_call *call_of(nghttp2_session *session, int32_t stream_id)
{
    return nghttp2_session_get_stream_user_data(session, stream_id);
}

static int headers_begin(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    (void)session;
    struct h2_connection *connection = user_data;
    (void)frame;
    h2_request_clear(&connection->request);
    return 0;
}

/* Trailers are counted as headers are, and mean nothing to us. After a failure nghttp2 decodes the
 * rest of the block, as HPACK demands, but calls us no more: one frame can name 16,000 headers of 4
 * KiB. */
static int header_received(nghttp2_session *session, const nghttp2_frame *frame,
                           nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags,
                           void *user_data)
{
    (void)session;
    (void)frame;
    (void)flags;
    struct h2_connection *connection = user_data;
    if (connection->phase == H2_TERMINATING)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (h2_request_add(&connection->request, &connection->server->limits, name, value))
        return 0;
    h2_connection_terminate(connection, H2_HEADER_BYTES);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* Beyond the limit of calls: whoever has few of them is crowded out by others, and keeps its
 * connection. Few are also less than its share of those of its address, which may be a NAT's. */
enum { FEW_CALLS_PART = 16 }; /* of the limit */

static void refuse_call(struct h2_connection *connection, int32_t stream_id)
{
    struct h2_server *server = connection->server;
    size_t few = (size_t)server->limits.max[H2_CALLS] / FEW_CALLS_PART;
    h2_limit_hit(&server->limits, H2_CALLS, connection->peer->address, server->now_ms);
    nghttp2_submit_rst_stream(connection->session, NGHTTP2_FLAG_NONE, stream_id,
                              NGHTTP2_REFUSED_STREAM);
    h2_refusal_report(connection, STATUS_UNAVAILABLE); /* what gRPC makes of it */
    size_t of_address = connection->peer->calls;
    if (of_address > few && connection->call_count * connection->peer->connections >= of_address)
        take(connection, H2_REFUSALS);
}

static void begin_call(struct h2_connection *connection, int32_t stream_id)
{
    struct h2_server *server = connection->server;
    size_t of_all = server->call_count - server->stream_count;
    if (!h2_limit_leaves(&server->limits, H2_CALLS, of_all, connection->peer->calls, 1))
        refuse_call(connection, stream_id);
    else if (h2_refusal_check(connection, stream_id))
        h2_call_begin(connection, stream_id, &connection->request);
    else
        take(connection, H2_REFUSALS);
}

static bool is_empty_frame(const nghttp2_frame *frame)
{
    return frame->hd.type == NGHTTP2_DATA && frame->hd.length == 0 &&
           (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0;
}

static void half_close(struct h2_connection *connection, const nghttp2_frame *frame)
{
    bool is_end = (frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) &&
                  (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    struct h2_call *call = is_end ? call_of(connection->session, frame->hd.stream_id) : NULL;
    if (call != NULL)
        h2_call_half_close(call);
}

static void ping_received(struct h2_connection *connection, const nghttp2_frame *frame)
{
    bool is_answer = (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0;
    if (!is_answer)
        take(connection, H2_PINGS);
    else if (memcmp(frame->ping.opaque_data, goaway_ping_data, sizeof(goaway_ping_data)) == 0)
        h2_connection_goaway_acknowledged(connection);
}

static int frame_received(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    (void)session;
    struct h2_connection *connection = user_data;
    if (connection->phase == H2_TERMINATING)
        return 0;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
            begin_call(connection, frame->hd.stream_id);
        h2_request_clear(&connection->request);
        half_close(connection, frame);
        break;
    case NGHTTP2_DATA:
        if (!is_empty_frame(frame) || take(connection, H2_EMPTY_FRAMES))
            half_close(connection, frame);
        break;
    case NGHTTP2_RST_STREAM:
        take(connection, H2_RESETS);
        break;
    case NGHTTP2_PING:
        ping_received(connection, frame);
        break;
    case NGHTTP2_SETTINGS:
        connection->has_settings = true;
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0)
            take(connection, H2_SETTINGS);
        break;
    case NGHTTP2_WINDOW_UPDATE:
        take(connection, H2_WINDOW_UPDATES);
        break;
    default:
        break;
    }
    return 0;
}

/* Also for what nghttp2 then ignores, or what costs it much. After a failure it handles nothing
 * more of what was read. */
static int frame_begins(nghttp2_session *session, const nghttp2_frame_hd *frame, void *user_data)
{
    (void)session;
    struct h2_connection *connection = user_data;
    bool is_other = frame->type == NGHTTP2_PRIORITY || frame->type > NGHTTP2_CONTINUATION;
    if (connection->phase == H2_TERMINATING)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (is_other)
        take(connection, H2_OTHER_FRAMES);
    if (frame->type == NGHTTP2_GOAWAY && !take(connection, H2_GOAWAYS))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    return 0;
}

static int frame_was_invalid(nghttp2_session *session, const nghttp2_frame *frame, int code,
                             void *user_data)
{
    (void)session;
    (void)frame;
    (void)code;
    struct h2_connection *connection = user_data;
    if (connection->phase != H2_TERMINATING)
        take(connection, H2_INVALID_FRAMES);
    return 0;
}

static int data_received(nghttp2_session *session, uint8_t flags, int32_t stream_id,
                         const uint8_t *data, size_t length, void *user_data)
{
    (void)flags;
    struct h2_connection *connection = user_data;
    /* One call whose messages are not wanted yet must not hold up the others. */
    nghttp2_session_consume_connection(session, length);
    struct h2_call *call = call_of(session, stream_id);
    if (call != NULL && connection->phase != H2_TERMINATING)
        h2_call_receive(call, (struct bytes){data, length});
    return 0;
}

static int frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    struct h2_connection *connection = user_data;
    /* A ping after GOAWAY: its answer proves that the client has read GOAWAY. Ordered with
     * it, the ping would go out first, as nghttp2 has it. */
    if (frame->hd.type == NGHTTP2_GOAWAY && connection->phase == H2_GOAWAY_SENT)
        nghttp2_submit_ping(session, NGHTTP2_FLAG_NONE, goaway_ping_data);
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) == 0 &&
        connection->pinged_ms == CLOCK_NEVER)
        connection->pinged_ms = connection->server->now_ms;
    if (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    give_back(connection, H2_PINGS);
    give_back(connection, H2_WINDOW_UPDATES);
    struct h2_call *call = call_of(session, frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_DATA && call != NULL)
        h2_call_sent(call);
    if (frame->hd.type == NGHTTP2_HEADERS && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        if (call != NULL)
            call->status_sent = true;
        /* An answer that ends before its request does: the rest of that is not wanted. */
        if (nghttp2_session_get_stream_remote_close(session, frame->hd.stream_id) == 0)
            nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                      NGHTTP2_NO_ERROR);
    }
    return 0;
}

static int stream_closes(nghttp2_session *session, int32_t stream_id, uint32_t code,
                         void *user_data)
{
    (void)code;
    (void)user_data;
    struct h2_call *call = call_of(session, stream_id);
    if (call != NULL)
        h2_call_end(call);
    return 0;
}

/* What fails only for want of memory, which ends the process (base/memory.h). */
static void must(int result)
{
    if (result == 0)
        return;
    log_error("nghttp2: %s", nghttp2_strerror(result));
    abort();
}

void h2_session_prepare(struct h2_server *server)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *options;
    must(nghttp2_session_callbacks_new(&callbacks));
    must(nghttp2_option_new(&options));
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, frame_begins);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, headers_begin);
    nghttp2_session_callbacks_set_on_header_callback2(callbacks, header_received);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, frame_received);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, frame_was_invalid);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, data_received);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, frame_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, stream_closes);
    server->callbacks = callbacks;

    nghttp2_option_set_no_auto_window_update(options, 1);
    nghttp2_option_set_no_closed_streams(options, 1);
    nghttp2_option_set_max_outbound_ack(options, (size_t)server->limits.max[H2_FRAMES_QUEUED]);
    /* Ours comes first, and counts; this is there in case that it is forgotten. */
    nghttp2_option_set_stream_reset_rate_limit(options, 2 * (uint64_t)server->limits.max[H2_RESETS],
                                               10000);
    server->session_options = options;
}

nghttp2_session *h2_session_new(struct h2_connection *connection)
{
    struct h2_server *server = connection->server;
    const struct h2_limits *limits = &server->limits;
    /* A client that has as many waits in silence with the next, so that other limits must answer
     * before. */
    size_t max_calls = 2 * server->max_streams + (size_t)limits->max[H2_CALLS];
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, (uint32_t)max_calls},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)limits->max[H2_HEADER_BYTES]},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    nghttp2_session *session = NULL;
    must(nghttp2_session_server_new2(&session, server->callbacks, connection,
                                     server->session_options));
    must(nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, ARRAY_LENGTH(settings)));
    nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW_BYTES);
    return session;
}
