#include "redis/client.h"

#include "base/clock.h"
#include "base/memory.h"
#include "redis/options.h"
#include "redis/setup.h"

#include <limits.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdlib.h>

struct redis_channel *redis_client_open(struct redis_client *client, bool to_same_peer,
                                        int64_t deadline_ms, struct error *error)
{
    struct redis_channel *channel =
        redis_channel_open(&client->server, to_same_peer, deadline_ms, error);
    if (channel == NULL)
        return NULL;
    channel->owner = client;
    channel->subscriber = &client->subscriber;
    channel->on_connected = redis_setup_send;
    return channel;
}

void redis_client_close(struct redis_client *client, struct redis_channel **channel)
{
    redis_subscriber_forget_channel(&client->subscriber, *channel);
    redis_channel_free(TAKE(*channel));
}

bool redis_client_cannot_connect(const struct redis_channel *channel, struct error *error)
{
    return error_unavailable(error, "cannot connect to Redis at %s: %s", channel->server->address,
                             redis_channel_awaited(channel));
}

static bool wait_until_ready(struct redis_client *client, int64_t deadline_ms, struct error *error)
{
    struct redis_channel *channel = client->shared;
    while (channel->state != REDIS_READY) {
        int left_ms = clock_left_ms(deadline_ms, INT_MAX);
        struct pollfd socket = {.fd = channel->context->fd,
                                .events = redis_channel_events(channel)};
        if (left_ms == 0)
            return redis_client_cannot_connect(channel, error);
        if (poll(&socket, 1, left_ms) > 0 && !redis_channel_step(channel, socket.revents, error))
            return false;
    }
    redis_server_set_peer(&client->server, channel->context->fd);
    return true;
}

/* False: the certificates or the key of the options are wrong. */
static bool set_server(struct redis_client *client, const struct redis_connection *options,
                       struct error *error)
{
    SSL_CTX *tls = NULL;
    if (redis_connection_has_tls(options) && (tls = tls_context_new(&options->tls, error)) == NULL)
        return false;
    const struct redis_login login = {options->username, options->password, options->database};
    redis_server_init(&client->server, &login, tls);
    SSL_CTX_free(tls); /* the server holds it */
    return true;
}

static bool connect_server(struct redis_client *client, const struct redis_connection *options,
                           int64_t deadline_ms, struct error *error)
{
    int port = 0;
    _cleanup_(memory_free) char *host = redis_connection_host(options, 0, &port);
    redis_server_set_address(&client->server, host, port);
    client->shared = redis_client_open(client, false, deadline_ms, error);
    return client->shared != NULL && wait_until_ready(client, deadline_ms, error);
}

bool redis_client_connect(const void *connection_options, int64_t deadline_ms, void **ret_client,
                          struct error *error)
{
    const struct redis_connection *options = connection_options;
    struct redis_client *client = memory_new(sizeof(*client));
    redis_subscriber_init(&client->subscriber, &client->server);
    if (!set_server(client, options, error) ||
        !connect_server(client, options, deadline_ms, error)) {
        redis_client_disconnect(client);
        return false;
    }
    client->shared->measures_round_trips = true;
    *ret_client = client;
    return true;
}

void redis_client_disconnect(void *argument)
{
    struct redis_client *client = argument;
    redis_subscriber_done(&client->subscriber);
    redis_channel_free(client->shared);
    redis_channel_free(client->standby);
    redis_channel_free(client->isolated);
    redis_key_types_done(&client->key_types);
    redis_server_done(&client->server);
    free(client);
}
