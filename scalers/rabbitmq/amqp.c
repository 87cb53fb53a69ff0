#include "rabbitmq/amqp.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "rabbitmq/suspects.h"
#include "shared/tls.h"

#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

enum {
    UNSENT_BYTES_MOST = 32 * 1024,
    FRAME_BYTES_MOST = 128 * 1024,
    WAIT_MS_MOST = 60 * 1000,
};

bool rabbitmq_amqp_can_send(const struct rabbitmq_amqp *client)
{
    int unsent = 0;
    int socket = amqp_get_sockfd(client->state);
    return socket >= 0 && ioctl(socket, SIOCOUTQ, &unsent) == 0 && unsent < UNSENT_BYTES_MOST;
}

bool rabbitmq_amqp_broke(const struct rabbitmq_amqp *client, int status, struct error *error)
{
    return error_unavailable(error, "the connection to RabbitMQ at %s broke: %s", client->address,
                             amqp_error_string2(status));
}

static struct timeval left(int64_t deadline_ms)
{
    int left_ms = clock_left_ms(deadline_ms, WAIT_MS_MOST);
    return (struct timeval){.tv_sec = left_ms / 1000, .tv_usec = left_ms % 1000 * 1000L};
}

static amqp_socket_t *new_socket(struct rabbitmq_amqp *client,
                                 const struct rabbitmq_connection *options,
                                 const struct rabbitmq_url *url, struct error *error)
{
    amqp_socket_t *socket =
        url->tls ? amqp_ssl_socket_new(client->state) : amqp_tcp_socket_new(client->state);
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

static bool explain_login(const struct rabbitmq_amqp *client, amqp_rpc_reply_t reply,
                          struct error *error)
{
    if (reply.reply_type != AMQP_RESPONSE_SERVER_EXCEPTION)
        return error_unavailable(error, "RabbitMQ at %s did not let us in: %s", client->address,
                                 amqp_error_string2(reply.library_error));
    if (reply.reply.id != AMQP_CONNECTION_CLOSE_METHOD)
        return error_unavailable(error, "RabbitMQ at %s did not let us in", client->address);

    const amqp_connection_close_t *close = reply.reply.decoded;
    return error_unavailable(error, "RabbitMQ at %s did not let us in: %.*s", client->address,
                             (int)close->reply_text.len, (const char *)close->reply_text.bytes);
}

static bool login(struct rabbitmq_amqp *client, const struct rabbitmq_url *url, int64_t deadline_ms,
                  struct error *error)
{
    amqp_table_entry_t entry = {
        .key = amqp_cstring_bytes("connection_name"),
        .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes("backlog")}};
    amqp_table_t properties = {.num_entries = 1, .entries = &entry};
    struct timeval time = left(deadline_ms);
    amqp_set_handshake_timeout(client->state, &time);
    amqp_set_rpc_timeout(client->state, &time);

    /* librabbitmq takes no empty response for EXTERNAL; the broker looks at the certificate only. */
    amqp_rpc_reply_t reply =
        url->external
            ? amqp_login_with_properties(client->state, url->vhost, 0, FRAME_BYTES_MOST,
                                         HEARTBEAT_SECONDS, &properties, AMQP_SASL_METHOD_EXTERNAL,
                                         "*")
            : amqp_login_with_properties(client->state, url->vhost, 0, FRAME_BYTES_MOST,
                                         HEARTBEAT_SECONDS, &properties, AMQP_SASL_METHOD_PLAIN,
                                         url->user, url->password);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL)
        return explain_login(client, reply, error);

    int channels = amqp_get_channel_max(client->state);
    client->channels_most = channels == 0 ? UINT16_MAX : channels;
    client->open = true;
    amqp_maybe_release_buffers(client->state);
    return true;
}

static void release(struct rabbitmq_amqp **client)
{
    if (*client != NULL)
        rabbitmq_amqp_disconnect(*client);
}

/* The library calls a closed port "a socket error", and keeps no errno of it. */
static const char *explain_connect(int status)
{
    return status == AMQP_STATUS_SOCKET_ERROR ? "nothing listens there, or the network refuses it"
                                              : amqp_error_string2(status);
}

bool rabbitmq_amqp_connect(const struct rabbitmq_connection *options,
                           const struct rabbitmq_url *url, int64_t deadline_ms,
                           struct rabbitmq_amqp **ret_client, struct error *error)
{
    _cleanup_(release) struct rabbitmq_amqp *client = memory_new(sizeof(*client));
    client->address = text_format("%s:%d", url->host, url->port);
    client->round_trip_ms = INT64_MAX;
    client->state = amqp_new_connection();
    if (client->state == NULL)
        return error_set(error, ERROR_INTERNAL, "librabbitmq made no connection");

    amqp_socket_t *socket = new_socket(client, options, url, error);
    if (socket == NULL)
        return false;

    /* The host name is looked up by getaddrinfo(), whose own time-outs may exceed the deadline. */
    struct timeval time = left(deadline_ms);
    int status = amqp_socket_open_noblock(socket, url->host, url->port, &time);
    if (status != AMQP_STATUS_OK)
        return error_unavailable(error, "cannot connect to RabbitMQ at %s: %s", client->address,
                                 explain_connect(status));
    if (!login(client, url, deadline_ms, error))
        return false;

    *ret_client = TAKE(client);
    return true;
}

/* Says good-bye without waiting for the answer; a broker that reads nothing is not told. */
void rabbitmq_amqp_disconnect(struct rabbitmq_amqp *client)
{
    if (client->open && rabbitmq_amqp_can_send(client)) {
        amqp_connection_close_t goodbye = {.reply_code = AMQP_REPLY_SUCCESS,
                                           .reply_text = amqp_cstring_bytes("done")};
        amqp_send_method(client->state, 0, AMQP_CONNECTION_CLOSE_METHOD, &goodbye);
    }
    if (client->state != NULL)
        amqp_destroy_connection(client->state);
    suspects_forget(&client->suspects);
    free(client->address);
    free(client);
}
