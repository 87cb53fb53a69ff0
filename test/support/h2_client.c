#include "support/h2_client.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE_MS = 10000, MAX_HEADERS = 16 };

static int connect_from(in_addr_t host, int port)
{
    const struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(host)};
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&from, sizeof(from)) != 0 ||
        connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0)
        fail();
    return fd;
}

int h2_connect(int port)
{
    return connect_from(INADDR_LOOPBACK, port);
}

static void note(char *to, size_t size, const uint8_t *value, size_t length)
{
    snprintf(to, size, "%.*s", (int)length, (const char *)value);
}

static int header_came(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                       size_t name_length, const uint8_t *value, size_t length, uint8_t flags,
                       void *user_data)
{
    (void)name_length;
    (void)flags;
    (void)user_data;
    struct h2_stream *stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    const char *key = (const char *)name;
    if (text_equal(key, ":status"))
        note(stream->http_status, sizeof(stream->http_status), value, length);
    else if (text_equal(key, "grpc-status"))
        note(stream->grpc_status, sizeof(stream->grpc_status), value, length);
    else if (text_equal(key, "grpc-message"))
        note(stream->grpc_message, sizeof(stream->grpc_message), value, length);
    else if (text_equal(key, "grpc-accept-encoding"))
        note(stream->accepted, sizeof(stream->accepted), value, length);
    return 0;
}

static int data_came(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                     size_t length, void *user_data)
{
    (void)flags;
    (void)user_data;
    struct h2_stream *stream = nghttp2_session_get_stream_user_data(session, id);
    if (!stream->is_counted) {
        assert_true(stream->received_length + length <= sizeof(stream->received));
        memcpy(stream->received + stream->received_length, data, length);
    }
    stream->received_length += length;
    return 0;
}

static int frame_came(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    (void)session;
    struct h2_client *client = user_data;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        client->goaways++;
        client->last_stream_id = frame->goaway.last_stream_id;
        client->goaway_code = frame->goaway.error_code;
    }
    bool is_ping = frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) == 0;
    if (is_ping && !client->holds_pings)
        nghttp2_submit_ping(session, NGHTTP2_FLAG_ACK, frame->ping.opaque_data);
    return 0;
}

static int stream_closes(nghttp2_session *session, int32_t id, uint32_t code, void *user_data)
{
    (void)user_data;
    struct h2_stream *stream = nghttp2_session_get_stream_user_data(session, id);
    if (stream == NULL)
        return 0;
    stream->is_closed = true;
    stream->code = code;
    return 0;
}

static void init(struct h2_client *client, int fd)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *options;
    *client = (struct h2_client){.fd = fd};
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, header_came);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, data_came);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, frame_came);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, stream_closes);
    nghttp2_option_new(&options);
    nghttp2_option_set_no_auto_ping_ack(options, 1);
    nghttp2_option_set_max_send_header_block_length(options, 1 << 20);
    assert_int_equal(nghttp2_session_client_new2(&client->session, callbacks, client, options), 0);
    nghttp2_submit_settings(client->session, NGHTTP2_FLAG_NONE, NULL, 0);
    nghttp2_option_del(options);
    nghttp2_session_callbacks_del(callbacks);
}

void h2_client_init(struct h2_client *client, int port)
{
    init(client, h2_connect(port));
}

void h2_client_init_elsewhere(struct h2_client *client, int port)
{
    init(client, connect_from(INADDR_LOOPBACK + 1, port));
}

void h2_client_init_tls(struct h2_client *client, int port)
{
    static const unsigned char h2[] = "\x02h2";
    h2_client_init(client, port);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    client->tls = SSL_new(context);
    SSL_CTX_free(context);
    SSL_set_alpn_protos(client->tls, h2, sizeof(h2) - 1);
    SSL_set_fd(client->tls, client->fd);
    assert_int_equal(SSL_connect(client->tls), 1);
}

void h2_client_done(struct h2_client *client)
{
    nghttp2_session_del(client->session);
    SSL_free(client->tls);
    close(client->fd);
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *buffer, size_t room,
                         uint32_t *flags, nghttp2_data_source *source, void *user_data)
{
    (void)session;
    (void)id;
    (void)user_data;
    struct h2_stream *stream = source->ptr;
    size_t length = stream->body_length < room ? stream->body_length : room;
    if (stream->max_frame_bytes > 0 && length > stream->max_frame_bytes)
        length = stream->max_frame_bytes;
    if (length > 0)
        memcpy(buffer, stream->body, length);
    stream->body += length;
    stream->body_length -= length;
    if (stream->body_length == 0)
        *flags |= NGHTTP2_DATA_FLAG_EOF |
                  (stream->stays_open ? (uint32_t)NGHTTP2_DATA_FLAG_NO_END_STREAM : 0);
    return (ssize_t)length;
}

static void set_header(nghttp2_nv *headers, size_t *count, const char *name, const char *value)
{
    size_t at = 0;
    while (at < *count && !text_equal((const char *)headers[at].name, name))
        at++;
    assert_true(at < MAX_HEADERS);
    headers[at] = (nghttp2_nv){.name = (uint8_t *)name,
                               .value = (uint8_t *)value,
                               .namelen = strlen(name),
                               .valuelen = strlen(value)};
    *count = at < *count ? *count : at + 1;
}

void h2_client_open(struct h2_client *client, struct h2_stream *stream, const char *path,
                    const char *const *more)
{
    nghttp2_nv headers[MAX_HEADERS];
    size_t count = 0;
    set_header(headers, &count, ":method", "POST");
    set_header(headers, &count, ":scheme", "http");
    set_header(headers, &count, ":path", path);
    set_header(headers, &count, ":authority", "test");
    set_header(headers, &count, "content-type", "application/grpc");
    if (!stream->lacks_te)
        set_header(headers, &count, "te", "trailers");
    for (size_t i = 0; more != NULL && more[i] != NULL; i += 2)
        set_header(headers, &count, more[i], more[i + 1]);
    const nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = read_body};
    stream->id = nghttp2_submit_request(client->session, NULL, headers, count, &provider, stream);
    assert_true(stream->id > 0);
}

void h2_client_send(struct h2_client *client, struct h2_stream *stream, const uint8_t *body,
                    size_t length)
{
    const nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = read_body};
    stream->body = body;
    stream->body_length = length;
    uint8_t flags = stream->stays_open ? NGHTTP2_FLAG_NONE : NGHTTP2_FLAG_END_STREAM;
    assert_int_equal(nghttp2_submit_data(client->session, flags, stream->id, &provider), 0);
}

static ssize_t send_some(const struct h2_client *client, const uint8_t *data, size_t length)
{
    if (client->tls == NULL)
        return send(client->fd, data, length, MSG_NOSIGNAL);
    int sent = SSL_write(client->tls, data, (int)length);
    return sent > 0 ? sent : -1;
}

static ssize_t receive_some(const struct h2_client *client, uint8_t *buffer, size_t size)
{
    return client->tls == NULL ? recv(client->fd, buffer, size, 0)
                               : SSL_read(client->tls, buffer, (int)size);
}

void h2_client_flush(struct h2_client *client)
{
    const uint8_t *data;
    ssize_t length;
    while ((length = nghttp2_session_mem_send(client->session, &data)) > 0)
        for (ssize_t sent = 0; sent < length && !client->is_gone;) {
            ssize_t now = send_some(client, data + sent, (size_t)(length - sent));
            client->is_gone = now < 0;
            sent += now;
        }
}

void h2_client_cork(const struct h2_client *client, bool is_corked)
{
    int value = is_corked;
    assert_int_equal(setsockopt(client->fd, IPPROTO_TCP, TCP_CORK, &value, sizeof(value)), 0);
}

static void read_some(struct h2_client *client, int64_t deadline_ms)
{
    uint8_t buffer[16384];
    struct pollfd poll_fd = {.fd = client->fd, .events = POLLIN};
    bool is_read = client->tls != NULL && SSL_pending(client->tls) > 0;
    if (!is_read && poll(&poll_fd, 1, clock_left_ms(deadline_ms, 10)) <= 0)
        return;
    ssize_t length = receive_some(client, buffer, sizeof(buffer));
    client->is_gone = length <= 0;
    if (length > 0)
        assert_true(nghttp2_session_mem_recv(client->session, buffer, (size_t)length) >= 0);
}

bool h2_client_run(struct h2_client *client, bool (*is_met)(const void *what), const void *what)
{
    int64_t deadline_ms = clock_now_ms() + PATIENCE_MS;
    while (!is_met(what)) {
        h2_client_flush(client);
        if (client->is_gone || clock_now_ms() > deadline_ms)
            return is_met(what);
        read_some(client, deadline_ms);
    }
    return true;
}

static bool is_closed(const void *what)
{
    return ((const struct h2_stream *)what)->is_closed;
}

void h2_client_finish(struct h2_client *client, const struct h2_stream *stream)
{
    assert_true(h2_client_run(client, is_closed, stream));
}

static bool is_gone(const void *what)
{
    return ((const struct h2_client *)what)->is_gone;
}

void h2_client_await_end(struct h2_client *client)
{
    assert_true(h2_client_run(client, is_gone, client));
}

static bool has_come(const void *what)
{
    return clock_now_ms() >= *(const int64_t *)what;
}

void h2_client_run_ms(struct h2_client *client, int64_t ms)
{
    int64_t until_ms = clock_now_ms() + ms;
    h2_client_run(client, has_come, &until_ms);
}
