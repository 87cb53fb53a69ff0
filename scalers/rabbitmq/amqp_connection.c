#include "rabbitmq/amqp_connection.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "shared/interrupter.h"
#include "shared/tls.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum {
    MAX_UNSENT_BYTES = 32 * 1024,
    MAX_FRAME_BYTES =
        8 * 1024, /* the least that RabbitMQ takes; what is received here has 600 bytes */
    MAX_LOGIN_BYTES = 8 * 1024, /* all of it is kept; usually 1 KiB */
    MAX_WAIT_MS = 60 * 1000,
    REFUSED = 403, /* AMQP's ACCESS_REFUSED */
};

/* librabbitmq's description of a connection that is lost. */
static bool fail_lost(const struct rabbitmq_amqp_connection *connection, int status,
                      struct error *error)
{
    return error_unavailable(error, "RabbitMQ at %s: connection failed: %s", connection->address,
                             amqp_error_string2(status));
}

/* Bytes that the kernel has not sent yet; those on their way do not count, or a link with a delay would
 * carry so few bytes per round trip. */
bool rabbitmq_amqp_connection_can_send(const struct rabbitmq_amqp_connection *connection)
{
    int unsent = 0;
    int socket = amqp_get_sockfd(connection->state);
    return socket >= 0 && ioctl(socket, SIOCOUTQNSD, &unsent) == 0 && unsent < MAX_UNSENT_BYTES;
}

bool rabbitmq_amqp_connection_send(struct rabbitmq_amqp_connection *connection,
                                   amqp_channel_t channel, amqp_method_number_t method,
                                   void *fields, struct error *error)
{
    int status = amqp_send_method(connection->state, channel, method, fields);
    return status == AMQP_STATUS_OK || fail_lost(connection, status, error);
}

static void set_cork(const struct rabbitmq_amqp_connection *connection, int on)
{
    setsockopt(amqp_get_sockfd(connection->state), IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
}

void rabbitmq_amqp_connection_cork(const struct rabbitmq_amqp_connection *connection)
{
    set_cork(connection, 1);
}

void rabbitmq_amqp_connection_flush(const struct rabbitmq_amqp_connection *connection)
{
    set_cork(connection, 0);
}

static bool fail_closed(struct rabbitmq_amqp_connection *connection, const amqp_frame_t *frame,
                        struct error *error)
{
    const amqp_connection_close_t *close = frame->payload.method.decoded;
    amqp_connection_close_ok_t ok = {0};
    amqp_send_method(connection->state, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &ok);
    connection->open = false;
    return error_unavailable(error, "RabbitMQ at %s closed the connection: %.*s",
                             connection->address, (int)close->reply_text.len,
                             (const char *)close->reply_text.bytes);
}

static bool fail_unexpected(const struct rabbitmq_amqp_connection *connection, struct error *error)
{
    return error_unavailable(error, "RabbitMQ at %s: unexpected frame", connection->address);
}

enum rabbitmq_received rabbitmq_amqp_connection_receive(struct rabbitmq_amqp_connection *connection,
                                                        amqp_frame_t *ret_frame,
                                                        struct error *error)
{
    struct timeval no_time = {0};
    int status = amqp_simple_wait_frame_noblock(connection->state, ret_frame, &no_time);
    if (status == AMQP_STATUS_TIMEOUT)
        return RABBITMQ_NOTHING;
    if (status != AMQP_STATUS_OK) {
        fail_lost(connection, status, error);
        return RABBITMQ_LOST;
    }
    connection->received_ms = clock_now_ms();
    if (ret_frame->frame_type != AMQP_FRAME_METHOD) { /* nothing is consumed here */
        fail_unexpected(connection, error);
        return RABBITMQ_LOST;
    }
    if (ret_frame->payload.method.id == AMQP_CONNECTION_CLOSE_METHOD) {
        fail_closed(connection, ret_frame, error);
        return RABBITMQ_LOST;
    }
    return RABBITMQ_FRAME;
}

static struct timeval left(int64_t deadline_ms)
{
    int left_ms = clock_left_ms(deadline_ms, MAX_WAIT_MS);
    return (struct timeval){.tv_sec = left_ms / 1000, .tv_usec = left_ms % 1000 * 1000L};
}

static amqp_socket_t *new_socket(struct rabbitmq_amqp_connection *connection,
                                 const struct rabbitmq_connection *options,
                                 const struct rabbitmq_url *url, struct error *error)
{
    amqp_socket_t *socket =
        url->tls ? amqp_ssl_socket_new(connection->state) : amqp_tcp_socket_new(connection->state);
    if (socket == NULL)
        error_set(error, ERROR_INTERNAL, "librabbitmq made no socket");
    if (socket == NULL || !url->tls)
        return socket;

    amqp_ssl_socket_set_verify_peer(socket, !options->tls.unsafe);
    amqp_ssl_socket_set_verify_hostname(socket, false);
    SSL_CTX *context = amqp_ssl_socket_get_context(socket);
    bool good =
        tls_configure(context, &options->tls, error) && tls_expect(context, url->host, error);
    return good ? socket : NULL;
}

static bool fail_login(const struct rabbitmq_amqp_connection *connection, amqp_rpc_reply_t reply,
                       struct error *error)
{
    const char *address = connection->address;
    bool is_silent = reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION &&
                     reply.library_error == AMQP_STATUS_TIMEOUT;
    if (is_silent)
        return error_unavailable(
            error, "RabbitMQ at %s: no answer in time, after it accepted the connection", address);
    if (reply.reply_type != AMQP_RESPONSE_SERVER_EXCEPTION)
        return error_unavailable(error, "RabbitMQ at %s: login failed: %s", address,
                                 amqp_error_string2(reply.library_error));
    if (reply.reply.id != AMQP_CONNECTION_CLOSE_METHOD)
        return error_unavailable(error, "RabbitMQ at %s: login failed: unexpected reply", address);

    const amqp_connection_close_t *close = reply.reply.decoded;
    const char *what = close->reply_code == REFUSED ? "authentication failed" : "login failed";
    return error_unavailable(error, "RabbitMQ at %s: %s: %.*s", address, what,
                             (int)close->reply_text.len, (const char *)close->reply_text.bytes);
}

static bool log_in(struct rabbitmq_amqp_connection *connection, const struct rabbitmq_url *url,
                   int64_t deadline_ms, struct error *error)
{
    amqp_table_entry_t entry = {
        .key = amqp_cstring_bytes("connection_name"),
        .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes("backlog")}};
    amqp_table_t properties = {.num_entries = 1, .entries = &entry};
    struct timeval time = left(deadline_ms);
    amqp_set_handshake_timeout(connection->state, &time);
    amqp_set_rpc_timeout(connection->state, &time);

    /* librabbitmq takes no empty response for EXTERNAL; the broker looks at the certificate only. */
    amqp_rpc_reply_t reply =
        url->external
            ? amqp_login_with_properties(connection->state, url->vhost, 0, MAX_FRAME_BYTES,
                                         RABBITMQ_HEARTBEAT_SECONDS, &properties,
                                         AMQP_SASL_METHOD_EXTERNAL, "*")
            : amqp_login_with_properties(connection->state, url->vhost, 0, MAX_FRAME_BYTES,
                                         RABBITMQ_HEARTBEAT_SECONDS, &properties,
                                         AMQP_SASL_METHOD_PLAIN, url->user, url->password);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL)
        return fail_login(connection, reply, error);

    int channels = amqp_get_channel_max(connection->state);
    connection->max_channels = channels == 0 ? UINT16_MAX : channels;
    connection->open = true;
    amqp_maybe_release_buffers(connection->state);
    return true;
}

static bool login(struct rabbitmq_amqp_connection *connection, const struct rabbitmq_url *url,
                  int64_t deadline_ms, struct error *error)
{
    struct interrupter interrupter;
    int socket = amqp_get_sockfd(connection->state);
    if (!interrupter_start_bytes(&interrupter, socket, MAX_LOGIN_BYTES, error))
        return false;
    bool good = log_in(connection, url, deadline_ms, error);
    interrupter_stop(&interrupter);
    return good;
}

/* The library calls a closed port "a socket error", and keeps no errno of it. */
static const char *explain_connect(int status)
{
    return status == AMQP_STATUS_SOCKET_ERROR ? "nothing listens there, or the network refuses it"
                                              : amqp_error_string2(status);
}

bool rabbitmq_amqp_connection_open(struct rabbitmq_amqp_connection *connection,
                                   const struct rabbitmq_connection *options,
                                   const struct rabbitmq_url *url, int64_t deadline_ms,
                                   struct error *error)
{
    *connection = (struct rabbitmq_amqp_connection){.state = amqp_new_connection()};
    connection->address = text_format("%s:%d", url->host, url->port);
    if (connection->state == NULL)
        return error_set(error, ERROR_INTERNAL, "librabbitmq made no connection");

    amqp_socket_t *socket = new_socket(connection, options, url, error);
    if (socket == NULL)
        return false;

    /* The host name is looked up by getaddrinfo(), whose own time-outs may exceed the deadline. */
    struct timeval time = left(deadline_ms);
    int status = amqp_socket_open_noblock(socket, url->host, url->port, &time);
    if (status != AMQP_STATUS_OK)
        return error_unavailable(error, "cannot connect to RabbitMQ at %s: %s", connection->address,
                                 explain_connect(status));
    return login(connection, url, deadline_ms, error);
}

void rabbitmq_amqp_connection_close(struct rabbitmq_amqp_connection *connection)
{
    if (connection->open && rabbitmq_amqp_connection_can_send(connection)) {
        amqp_connection_close_t goodbye = {.reply_code = AMQP_REPLY_SUCCESS,
                                           .reply_text = amqp_cstring_bytes("done")};
        amqp_send_method(connection->state, 0, AMQP_CONNECTION_CLOSE_METHOD, &goodbye);
    }
    if (connection->state != NULL)
        amqp_destroy_connection(connection->state);
    free(connection->address);
    *connection = (struct rabbitmq_amqp_connection){0};
}
