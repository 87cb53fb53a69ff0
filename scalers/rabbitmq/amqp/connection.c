#include "rabbitmq/amqp/connection.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "rabbitmq/amqp/connection_internal.h"
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
    MAX_WAIT_MS = 60 * 1000,
};

/* librabbitmq's description of a connection that is lost. */
static bool fail_lost(const struct rabbitmq_amqp_connection *connection, int status,
                      struct error *error)
{
    return error_unavailable(error, "RabbitMQ at %s: connection failed: %s", connection->address,
                             amqp_error_string2(status));
}

/* Bytes that the kernel has not sent yet; those on their way do not count, or a link with a delay
 * would carry so few bytes per round trip. */
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
    int left_ms = clock_left_ms(deadline_ms, MAX_WAIT_MS);
    struct timeval time = {.tv_sec = left_ms / 1000, .tv_usec = left_ms % 1000 * 1000L};
    int status = amqp_socket_open_noblock(socket, url->host, url->port, &time);
    if (status != AMQP_STATUS_OK)
        return error_unavailable(error, "cannot connect to RabbitMQ at %s: %s", connection->address,
                                 explain_connect(status));
    return rabbitmq_amqp_connection_log_in(connection, url, deadline_ms, error);
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
