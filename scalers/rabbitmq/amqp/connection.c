#include "rabbitmq/amqp/connection.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <linux/tcp.h> /* netinet's lacks tcpi_min_rtt */
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum {
    MAX_UNSENT_BYTES = 32 * 1024,
    MAX_OUTPUT_BYTES = 1 << 20, /* beyond that nothing is sent to a broker that does not read */
    MAX_HEARTBEATS = 100,       /* per second; it sends one in 30 s */
    FRAME_HEAD_BYTES = 7,       /* its type, channel and size */
    METHOD_BYTES = 4,
};

/* ---- sending ---- */

static bool fail_lost(const struct rabbitmq_amqp_connection *connection, const char *why,
                      struct error *error)
{
    return error_unavailable(error, "RabbitMQ at %s: connection failed: %s", connection->address,
                             why);
}

/* Bytes that the kernel has not sent yet; those on their way do not count, or a link with a delay
 * would carry so few bytes per round trip. */
bool rabbitmq_amqp_connection_can_send(const struct rabbitmq_amqp_connection *connection)
{
    int unsent = 0;
    return connection->output.length < MAX_UNSENT_BYTES &&
           ioctl(connection->socket.fd, SIOCOUTQNSD, &unsent) == 0 && unsent < MAX_UNSENT_BYTES;
}

int64_t rabbitmq_amqp_connection_round_trip_ms(const struct rabbitmq_amqp_connection *connection)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof(info);
    bool is_known = getsockopt(connection->socket.fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
                    info.tcpi_min_rtt != UINT32_MAX;
    return is_known ? info.tcpi_min_rtt / 1000 : 0;
}

static bool add_output(struct rabbitmq_amqp_connection *connection, const void *bytes,
                       size_t length, struct error *error)
{
    if (connection->output.length + length > MAX_OUTPUT_BYTES)
        return fail_lost(connection, "the broker reads nothing", error);
    text_add_bytes(&connection->output, bytes, length);
    return true;
}

bool rabbitmq_amqp_connection_send(struct rabbitmq_amqp_connection *connection,
                                   amqp_channel_t channel, amqp_method_number_t method,
                                   void *fields, struct error *error)
{
    const size_t max_bytes = (size_t)amqp_get_frame_max(connection->state);
    const size_t fields_at = FRAME_HEAD_BYTES + METHOD_BYTES;
    _cleanup_(memory_free) unsigned char *frame = memory_new(max_bytes);
    const amqp_bytes_t rest = {.len = max_bytes - fields_at - 1, .bytes = frame + fields_at};
    int length = amqp_encode_method(method, fields, rest);
    if (length < 0)
        return fail_lost(connection, amqp_error_string2(length), error);
    frame[0] = AMQP_FRAME_METHOD;
    memcpy(frame + 1, &(uint16_t){htons(channel)}, sizeof(uint16_t));
    memcpy(frame + 3, &(uint32_t){htonl(METHOD_BYTES + (uint32_t)length)}, sizeof(uint32_t));
    memcpy(frame + FRAME_HEAD_BYTES, &(uint32_t){htonl(method)}, sizeof(uint32_t));
    frame[fields_at + (size_t)length] = AMQP_FRAME_END;
    return add_output(connection, frame, fields_at + (size_t)length + 1, error);
}

static bool write_output(struct rabbitmq_amqp_connection *connection, struct error *error)
{
    struct text *output = &connection->output;
    size_t written = 1;
    while (written > 0 && output->length > 0) {
        const char *reason = NULL;
        if (!rabbitmq_socket_write(&connection->socket, output->bytes, output->length, &written,
                                   &reason))
            return fail_lost(connection, reason, error);
        output->length -= written;
        memmove(output->bytes, output->bytes + written, output->length);
        connection->sent_ms = clock_now_ms();
    }
    return true;
}

static bool keep_alive(struct rabbitmq_amqp_connection *connection, int64_t *ret_next_ms,
                       struct error *error)
{
    static const unsigned char heartbeat[] = {AMQP_FRAME_HEARTBEAT, 0, 0, 0, 0, 0, 0,
                                              AMQP_FRAME_END};
    int64_t now_ms = clock_now_ms();
    *ret_next_ms = CLOCK_NEVER;
    if (connection->heartbeat_ms == 0)
        return true;
    *ret_next_ms = now_ms + connection->heartbeat_ms / 2;
    if (now_ms > connection->bytes_ms + 2 * (int64_t)connection->heartbeat_ms)
        return fail_lost(connection, amqp_error_string2(AMQP_STATUS_HEARTBEAT_TIMEOUT), error);
    if (connection->output.length > 0) /* a broker that does not read needs no heartbeat, either */
        return true;
    int64_t due_ms = connection->sent_ms + connection->heartbeat_ms / 2;
    if (now_ms < due_ms) {
        *ret_next_ms = due_ms;
        return true;
    }
    connection->sent_ms = now_ms;
    return add_output(connection, heartbeat, sizeof(heartbeat), error);
}

bool rabbitmq_amqp_connection_flush(struct rabbitmq_amqp_connection *connection,
                                    int64_t *ret_next_ms, struct error *error)
{
    return write_output(connection, error) && keep_alive(connection, ret_next_ms, error) &&
           write_output(connection, error);
}

short rabbitmq_amqp_connection_events(const struct rabbitmq_amqp_connection *connection)
{
    return (short)(connection->output.length > 0 ? POLLIN | POLLOUT : POLLIN);
}

/* ---- receiving ---- */

bool rabbitmq_amqp_connection_read(struct rabbitmq_amqp_connection *connection, struct error *error)
{
    const char *reason = NULL;
    if (connection->decoded < connection->input_length)
        return true;
    connection->decoded = 0;
    if (!rabbitmq_socket_read(&connection->socket, connection->input, sizeof(connection->input),
                              &connection->input_length, &reason))
        return fail_lost(connection, reason, error);
    if (connection->input_length > 0)
        connection->bytes_ms = clock_now_ms();
    return true;
}

bool rabbitmq_amqp_connection_fail_unexpected(const struct rabbitmq_amqp_connection *connection,
                                              struct error *error)
{
    return error_unavailable(error, "RabbitMQ at %s: unexpected frame", connection->address);
}

/* False: too many of them. */
static bool count_heartbeat(struct rabbitmq_amqp_connection *connection)
{
    enum { WINDOW_MS = 1000 };
    if (connection->bytes_ms >= connection->heartbeats_since_ms + WINDOW_MS) {
        connection->heartbeats_since_ms = connection->bytes_ms;
        connection->heartbeats = 0;
    }
    amqp_maybe_release_buffers_on_channel(connection->state, 0);
    return ++connection->heartbeats <= MAX_HEARTBEATS;
}

enum rabbitmq_received rabbitmq_amqp_connection_decode(struct rabbitmq_amqp_connection *connection,
                                                       amqp_frame_t *ret_frame, struct error *error)
{
    while (connection->decoded < connection->input_length) {
        const amqp_bytes_t rest = {.len = connection->input_length - connection->decoded,
                                   .bytes = connection->input + connection->decoded};
        int taken = amqp_handle_input(connection->state, rest, ret_frame);
        if (taken <= 0) {
            fail_lost(connection, amqp_error_string2(taken), error);
            return RABBITMQ_RECEIVED_LOST;
        }
        connection->decoded += (size_t)taken;
        bool is_heartbeat =
            ret_frame->frame_type == AMQP_FRAME_HEARTBEAT && ret_frame->channel == 0;
        bool is_part = ret_frame->frame_type == 0 && !amqp_release_buffers_ok(connection->state);
        if (is_part || (is_heartbeat && count_heartbeat(connection)))
            continue;
        connection->received_ms = clock_now_ms();
        if (ret_frame->frame_type == AMQP_FRAME_METHOD) /* nothing is consumed here */
            return RABBITMQ_RECEIVED_FRAME;
        rabbitmq_amqp_connection_fail_unexpected(connection, error);
        return RABBITMQ_RECEIVED_LOST;
    }
    return RABBITMQ_RECEIVED_NOTHING;
}

/* RabbitMQ limits the channels of a user (max-channels) and of a node (channel_max_per_node). One
 * too many ends the connection, and nothing else says how many it may have. */
static bool is_channel_limit(const amqp_connection_close_t *close)
{
    enum { NOT_ALLOWED = 530 };
    static const char words[] = "number of channels opened";
    return close->reply_code == NOT_ALLOWED &&
           memmem(close->reply_text.bytes, close->reply_text.len, words, strlen(words)) != NULL;
}

static bool fail_closed(struct rabbitmq_amqp_connection *connection, const amqp_frame_t *frame,
                        struct error *error)
{
    const amqp_connection_close_t *close = frame->payload.method.decoded;
    amqp_connection_close_ok_t ok = {0};
    if (rabbitmq_amqp_connection_send(connection, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &ok, error))
        write_output(connection, error);
    connection->is_open = false;
    connection->has_too_many_channels = is_channel_limit(close);
    return error_unavailable(error, "RabbitMQ at %s closed the connection: %.*s",
                             connection->address, (int)close->reply_text.len,
                             (const char *)close->reply_text.bytes);
}

enum rabbitmq_received rabbitmq_amqp_connection_receive(struct rabbitmq_amqp_connection *connection,
                                                        amqp_frame_t *ret_frame,
                                                        struct error *error)
{
    enum rabbitmq_received received = rabbitmq_amqp_connection_decode(connection, ret_frame, error);
    if (received != RABBITMQ_RECEIVED_FRAME || ret_frame->channel != 0)
        return received;
    if (ret_frame->payload.method.id == AMQP_CONNECTION_CLOSE_METHOD)
        fail_closed(connection, ret_frame, error);
    else
        rabbitmq_amqp_connection_fail_unexpected(connection, error);
    return RABBITMQ_RECEIVED_LOST;
}

/* ---- its life ---- */

bool rabbitmq_amqp_connection_open(struct rabbitmq_amqp_connection *connection,
                                   const struct rabbitmq_connection_options *options,
                                   const struct rabbitmq_url *url, int64_t deadline_ms,
                                   struct error *error)
{
    *connection =
        (struct rabbitmq_amqp_connection){.state = amqp_new_connection(), .socket = {.fd = -1}};
    connection->address = text_format("%s:%d", url->host, url->port);
    if (connection->state == NULL)
        return error_set(error, ERROR_INTERNAL, "librabbitmq made no connection");
    return rabbitmq_socket_open(&connection->socket, url, &options->tls, deadline_ms, error);
}

void rabbitmq_amqp_connection_close(struct rabbitmq_amqp_connection *connection)
{
    _cleanup_(error_done) struct error ignored = {0};
    amqp_connection_close_t goodbye = {.reply_code = AMQP_REPLY_SUCCESS,
                                       .reply_text = amqp_cstring_bytes("done")};
    if (connection->is_open && rabbitmq_amqp_connection_send(
                                   connection, 0, AMQP_CONNECTION_CLOSE_METHOD, &goodbye, &ignored))
        write_output(connection, &ignored);
    rabbitmq_socket_close(&connection->socket);
    if (connection->state != NULL)
        amqp_destroy_connection(connection->state);
    text_done(&connection->output);
    free(connection->address);
    *connection = (struct rabbitmq_amqp_connection){.socket = {.fd = -1}};
}
