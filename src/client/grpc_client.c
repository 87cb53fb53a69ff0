#include "client/grpc_client.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "client/grpc_status.h"

#include <inttypes.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum {
    PREFIX_BYTES = 5,      /* of each message: a flag, and the length */
    READ_BYTES = 16 << 10, /* all of a record of TLS: none of it waits unseen */
    MAX_READS_AT_ONCE = 64,
    WINDOW_BYTES = 1 << 20,
    MAX_WAIT_MS = 60 * 1000,
    NO_STATUS = -1,
};

struct grpc_client_call {
    struct grpc_client *client; /* NULL once it is done */
    LIST_ENTRY(grpc_client_call) calls;
    int32_t stream;
    int64_t deadline_ms;
    uint8_t *request; /* with its prefix */
    size_t request_length, sent;
    struct text received; /* messages with their prefixes; `taken` bytes of it are gone */
    size_t taken;
    char http_status[8];
    int status; /* NO_STATUS until it is known */
    char *text;
    bool is_done;
};

struct grpc_client {
    struct grpc_socket *socket;
    nghttp2_session *session;
    char *authority;
    const char *scheme;
    LIST_HEAD(, grpc_client_call) calls; /* that are not done */
    const uint8_t *output;               /* of nghttp2, not written yet */
    size_t output_length;
    uint64_t news;     /* messages' bytes and ends of calls, so far */
    bool has_settings; /* of the server: it speaks HTTP/2 with us */
    bool is_lost;
};

/* ---- the end of a call ---- */

static void finish(struct grpc_client_call *call, int status, const char *text)
{
    if (call->is_done)
        return;
    call->is_done = true;
    call->client->news++;
    if (call->status == NO_STATUS)
        call->status = status;
    if (call->text == NULL)
        call->text = text_copy(text);
    LIST_REMOVE(call, calls);
    call->client = NULL;
}

static const char *closed_text(const struct grpc_client *client)
{
    return client->has_settings ? "the connection to the server was closed"
                                : "the server closed the connection before HTTP/2 began: it may "
                                  "require TLS, or a client certificate";
}

static void lose(struct grpc_client *client, const char *reason)
{
    struct grpc_client_call *call;
    client->is_lost = true;
    while ((call = LIST_FIRST(&client->calls)) != NULL)
        finish(call, GRPC_CLIENT_UNAVAILABLE, reason);
}

/* The callbacks of nghttp2 must not know a call that is gone. */
static void fail(struct grpc_client_call *call, int status, const char *text)
{
    nghttp2_session *session = call->client->session;
    nghttp2_session_set_stream_user_data(session, call->stream, NULL);
    nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, call->stream, NGHTTP2_CANCEL);
    finish(call, status, text);
}

static int status_of_reset(uint32_t code)
{
    switch (code) {
    case NGHTTP2_REFUSED_STREAM:
        return GRPC_CLIENT_UNAVAILABLE;
    case NGHTTP2_CANCEL:
        return GRPC_CLIENT_CANCELLED;
    case NGHTTP2_ENHANCE_YOUR_CALM:
        return GRPC_CLIENT_RESOURCE_EXHAUSTED;
    default:
        return GRPC_CLIENT_INTERNAL;
    }
}

/* ---- what the server sends ---- */

static int on_header(nghttp2_session *session, const nghttp2_frame *frame,
                     const uint8_t *name_bytes, size_t name_length, const uint8_t *value_bytes,
                     size_t value_length, uint8_t flags, void *context)
{
    (void)name_length; /* nghttp2 puts a NUL behind both */
    (void)flags;
    (void)context;
    struct grpc_client_call *call =
        nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    const char *name = (const char *)name_bytes;
    const char *value = (const char *)value_bytes;
    if (call == NULL)
        return 0;
    if (text_equal(name, ":status"))
        snprintf(call->http_status, sizeof(call->http_status), "%s", value);
    else if (text_equal(name, "grpc-status"))
        call->status = atoi(value);
    else if (text_equal(name, "grpc-message")) {
        free(call->text);
        call->text = grpc_status_decode_text(value, value_length);
    }
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    (void)session;
    struct grpc_client *client = context;
    client->has_settings = client->has_settings || frame->hd.type == NGHTTP2_SETTINGS;
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t length, void *context)
{
    (void)flags;
    (void)context;
    struct grpc_client_call *call = nghttp2_session_get_stream_user_data(session, stream);
    if (call == NULL)
        return 0;
    text_add_bytes(&call->received, data, length);
    call->client->news++;
    if (call->received.length - call->taken > GRPC_CLIENT_MAX_REPLY_BYTES + PREFIX_BYTES)
        fail(call, GRPC_CLIENT_RESOURCE_EXHAUSTED, "the reply is larger than 4 MiB");
    return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t code, void *context)
{
    (void)context;
    struct grpc_client_call *call = nghttp2_session_get_stream_user_data(session, stream);
    if (call == NULL)
        return 0;
    if (call->http_status[0] != '\0' && !text_equal(call->http_status, "200")) {
        _cleanup_(memory_free) char *text = text_format("HTTP status %s", call->http_status);
        finish(call, grpc_status_of_http(call->http_status), text);
    } else if (code != NGHTTP2_NO_ERROR) {
        _cleanup_(memory_free) char *text =
            text_format("the server reset the call (%s)", nghttp2_http2_strerror(code));
        finish(call, status_of_reset(code), text);
    } else
        finish(call, GRPC_CLIENT_UNKNOWN,
               call->status == NO_STATUS ? "the server sent no status" : "");
    return 0;
}

static ssize_t read_request(nghttp2_session *session, int32_t stream, uint8_t *buffer, size_t room,
                            uint32_t *flags, nghttp2_data_source *source, void *context)
{
    (void)stream;
    (void)context;
    (void)source;
    struct grpc_client_call *call = nghttp2_session_get_stream_user_data(session, stream);
    if (call == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    size_t left = call->request_length - call->sent;
    size_t length = left < room ? left : room;
    memcpy(buffer, call->request + call->sent, length);
    call->sent += length;
    if (call->sent == call->request_length)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)length;
}

/* ---- the connection ---- */

static void open_session(struct grpc_client *client)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES},
    };
    nghttp2_session_callbacks *callbacks;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_client_new(&client->session, callbacks, client);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(client->session, NGHTTP2_FLAG_NONE, settings, ARRAY_LENGTH(settings));
    nghttp2_session_set_local_window_size(client->session, NGHTTP2_FLAG_NONE, 0, WINDOW_BYTES);
}

bool grpc_client_connect(const char *address, const struct grpc_socket_tls *tls,
                         int64_t deadline_ms, struct grpc_client **ret_client, struct error *error)
{
    struct grpc_socket *socket = NULL;
    if (!grpc_socket_open(address, tls, deadline_ms, &socket, error))
        return false;
    struct grpc_client *client = memory_new(sizeof(*client));
    client->socket = socket;
    client->authority = tls->server_name == NULL ? text_copy(address) : text_copy(tls->server_name);
    client->scheme = tls->is_on ? "https" : "http";
    LIST_INIT(&client->calls);
    open_session(client);
    *ret_client = client;
    return true;
}

void grpc_client_free(struct grpc_client *client)
{
    if (client == NULL)
        return;
    lose(client, "the client was closed");
    nghttp2_session_del(client->session);
    grpc_socket_free(client->socket);
    free(client->authority);
    free(client);
}

int grpc_client_fd(const struct grpc_client *client)
{
    return grpc_socket_fd(client->socket);
}

short grpc_client_events(const struct grpc_client *client)
{
    bool writes = client->output_length > 0 || nghttp2_session_want_write(client->session);
    return writes ? POLLIN | POLLOUT : POLLIN;
}

int64_t grpc_client_due_ms(const struct grpc_client *client)
{
    int64_t due_ms = CLOCK_NEVER;
    const struct grpc_client_call *call;
    LIST_FOREACH(call, &client->calls, calls) {
        if (call->deadline_ms < due_ms)
            due_ms = call->deadline_ms;
    }
    return due_ms;
}

/* False: the connection is gone. */
static bool write_out(struct grpc_client *client)
{
    for (;;) {
        if (client->output_length == 0) {
            ssize_t length = nghttp2_session_mem_send(client->session, &client->output);
            if (length <= 0)
                return length == 0;
            client->output_length = (size_t)length;
        }
        ptrdiff_t written =
            grpc_socket_write(client->socket, client->output, client->output_length);
        if (written <= 0)
            return written == 0;
        client->output += written;
        client->output_length -= (size_t)written;
    }
}

/* A server that never stops sending must not keep us from the calls' deadlines. */
static bool read_in(struct grpc_client *client)
{
    uint8_t buffer[READ_BYTES];
    for (int i = 0; i < MAX_READS_AT_ONCE; i++) {
        ptrdiff_t length = grpc_socket_read(client->socket, buffer, sizeof(buffer));
        if (length <= 0)
            return length == 0;
        if (nghttp2_session_mem_recv(client->session, buffer, (size_t)length) < 0)
            return false;
    }
    return true;
}

static void end_late_calls(struct grpc_client *client)
{
    int64_t now_ms = clock_now_ms();
    struct grpc_client_call *call = LIST_FIRST(&client->calls);
    while (call != NULL) {
        struct grpc_client_call *next = LIST_NEXT(call, calls);
        if (call->deadline_ms <= now_ms)
            fail(call, GRPC_CLIENT_DEADLINE_EXCEEDED, "no answer in time");
        call = next;
    }
}

bool grpc_client_process(struct grpc_client *client)
{
    if (client->is_lost)
        return false;
    bool alive = write_out(client) && read_in(client);
    end_late_calls(client);
    alive = alive && write_out(client);
    /* After a GOAWAY that is the end. */
    if (!alive || !(nghttp2_session_want_read(client->session) ||
                    nghttp2_session_want_write(client->session)))
        lose(client, closed_text(client));
    return !client->is_lost;
}

bool grpc_client_wait(struct grpc_client *client, int64_t until_ms)
{
    uint64_t news = client->news;
    if (!grpc_client_process(client))
        return false;
    if (client->news != news)
        return true; /* what the caller waits for may have come just now */
    int64_t due_ms = grpc_client_due_ms(client);
    struct pollfd poll_fd = {.fd = grpc_client_fd(client), .events = grpc_client_events(client)};
    poll(&poll_fd, 1, clock_left_ms(due_ms < until_ms ? due_ms : until_ms, MAX_WAIT_MS));
    return grpc_client_process(client);
}

/* ---- calls ---- */

static nghttp2_nv header(const char *name, const char *value)
{
    return (nghttp2_nv){.name = (uint8_t *)name,
                        .value = (uint8_t *)value,
                        .namelen = strlen(name),
                        .valuelen = strlen(value)};
}

static int32_t submit(const struct grpc_client *client, struct grpc_client_call *call,
                      const char *path)
{
    char timeout[32];
    int64_t left_ms = clock_left_ms(call->deadline_ms, 99999999); /* eight digits at most */
    snprintf(timeout, sizeof(timeout), "%" PRId64 "m", left_ms > 0 ? left_ms : 1);
    const nghttp2_nv headers[] = {
        header(":method", "POST"),
        header(":scheme", client->scheme),
        header(":path", path),
        header(":authority", client->authority),
        header("te", "trailers"),
        header("content-type", "application/grpc"),
        header("user-agent", "backlog/" BACKLOG_VERSION),
        header("grpc-timeout", timeout),
    };
    size_t count = ARRAY_LENGTH(headers) - (call->deadline_ms == CLOCK_NEVER ? 1 : 0);
    const nghttp2_data_provider provider = {.read_callback = read_request};
    return nghttp2_submit_request(client->session, NULL, headers, count, &provider, call);
}

struct grpc_client_call *grpc_client_call_start(struct grpc_client *client, const char *path,
                                                const void *request, size_t length,
                                                int64_t deadline_ms)
{
    struct grpc_client_call *call = memory_new(sizeof(*call));
    call->client = client;
    call->deadline_ms = deadline_ms;
    call->status = NO_STATUS;
    call->request_length = PREFIX_BYTES + length;
    call->request = memory_new(call->request_length);
    for (int i = 0; i < 4; i++)
        call->request[1 + i] = (uint8_t)(length >> (8 * (3 - i)));
    if (length > 0)
        memcpy(call->request + PREFIX_BYTES, request, length);
    LIST_INSERT_HEAD(&client->calls, call, calls);
    call->stream = client->is_lost ? -1 : submit(client, call, path);
    if (call->stream < 0)
        finish(call, GRPC_CLIENT_UNAVAILABLE, closed_text(client));
    return call;
}

/* What is taken stays until more than half of the buffer is. */
static void drop_taken(struct grpc_client_call *call)
{
    if (call->taken < call->received.length / 2)
        return;
    call->received.length -= call->taken;
    memmove(call->received.bytes, call->received.bytes + call->taken, call->received.length);
    call->taken = 0;
}

bool grpc_client_call_take(struct grpc_client_call *call, uint8_t **ret_message, size_t *ret_length)
{
    size_t there = call->received.length - call->taken;
    const uint8_t *bytes = (const uint8_t *)call->received.bytes + call->taken;
    if (there < PREFIX_BYTES)
        return false;
    size_t length =
        (size_t)bytes[1] << 24 | (size_t)bytes[2] << 16 | (size_t)bytes[3] << 8 | bytes[4];
    if (bytes[0] != 0 || length > GRPC_CLIENT_MAX_REPLY_BYTES) {
        /* We offered no compression. */
        if (!call->is_done)
            fail(call, GRPC_CLIENT_INTERNAL, "unexpected reply: compressed, or larger than 4 MiB");
        return false;
    }
    if (there < PREFIX_BYTES + length)
        return false;
    *ret_message = (uint8_t *)text_copy_bytes((const char *)bytes + PREFIX_BYTES, length);
    *ret_length = length;
    call->taken += PREFIX_BYTES + length;
    drop_taken(call);
    return true;
}

bool grpc_client_call_is_done(const struct grpc_client_call *call)
{
    return call->is_done;
}

int grpc_client_call_status(const struct grpc_client_call *call)
{
    return call->status;
}

const char *grpc_client_call_text(const struct grpc_client_call *call)
{
    return call->text == NULL ? "" : call->text;
}

void grpc_client_call_free(struct grpc_client_call *call)
{
    if (call == NULL)
        return;
    if (!call->is_done)
        fail(call, GRPC_CLIENT_CANCELLED, "");
    text_done(&call->received);
    free(call->request);
    free(call->text);
    free(call);
}
