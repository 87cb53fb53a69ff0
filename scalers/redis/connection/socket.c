#include "redis/connection/socket.h"

#include "base/memory.h"

#include <string.h>
#include <sys/socket.h>

/* False: it failed at once. */
static bool begin_connect(struct redis_socket *socket, const struct redis_server *server,
                          const char *address, struct error *error)
{
    redisContext *context = redisConnectNonBlock(address, server->port);
    if (context == NULL)
        return error_set(error, ERROR_INTERNAL, "hiredis made no connection");
    if (context->err != 0) {
        redis_server_cannot_connect(server, context->errstr, error);
        redisFree(context);
        return false;
    }
    socket->context = context;
    socket->state = REDIS_SOCKET_CONNECTING;
    return true;
}

bool redis_socket_begin(struct redis_socket *socket, const struct redis_server *server,
                        bool to_same_peer, struct error *error)
{
    _cleanup_(error_done) struct error reason = {0};
    if (to_same_peer && server->peer != NULL)
        return begin_connect(socket, server, server->peer, error);
    if (!redis_lookup_is_needed(server->host))
        return begin_connect(socket, server, server->host, error);
    socket->state = REDIS_SOCKET_RESOLVING;
    socket->lookup = redis_lookup_start(server->host, &reason);
    return socket->lookup != NULL ||
           redis_server_cannot_connect(server, error_text(&reason), error);
}

void redis_socket_done(struct redis_socket *socket)
{
    tls_socket_free(socket->tls);
    redis_lookup_release(socket->lookup);
    redisFree(socket->context);
}

struct pollfd redis_socket_poll(const struct redis_socket *socket, bool has_output)
{
    switch (socket->state) {
    case REDIS_SOCKET_RESOLVING:
        return (struct pollfd){.fd = redis_lookup_descriptor(socket->lookup), .events = POLLIN};
    case REDIS_SOCKET_CONNECTING:
        return (struct pollfd){.fd = socket->context->fd, .events = POLLOUT};
    case REDIS_SOCKET_HANDSHAKE:
        return (struct pollfd){.fd = socket->context->fd, .events = tls_socket_events(socket->tls)};
    default:
        return (struct pollfd){.fd = socket->context->fd,
                               .events = (short)(has_output ? POLLIN | POLLOUT : POLLIN)};
    }
}

static void lookup_release(struct redis_lookup **lookup)
{
    redis_lookup_release(*lookup);
}

/* To the first of the addresses that can be connected to at all. */
static bool finish_lookup(struct redis_socket *socket, const struct redis_server *server,
                          struct error *error)
{
    _cleanup_(lookup_release) struct redis_lookup *lookup = TAKE(socket->lookup);
    const char *address = redis_lookup_address(lookup, 0);
    if (address == NULL)
        return redis_server_cannot_connect(server, redis_lookup_failure(lookup), error);
    for (size_t i = 0; address != NULL; address = redis_lookup_address(lookup, ++i)) {
        error_done(error);
        if (begin_connect(socket, server, address, error))
            return true;
    }
    return false;
}

static bool finish_connect(struct redis_socket *socket, struct redis_server *server,
                           struct error *error)
{
    int failure = 0;
    socklen_t size = sizeof(failure);
    getsockopt(socket->context->fd, SOL_SOCKET, SO_ERROR, &failure, &size);
    if (failure != 0)
        return redis_server_cannot_connect(server, strerror(failure), error);
    if (!redis_server_check_peer(server, socket->context->fd, error))
        return false;
    socket->state = REDIS_SOCKET_CONNECTED;
    if (server->tls == NULL)
        return true;
    socket->tls = tls_socket_new(server->tls, server->host, socket->context->fd);
    socket->state = REDIS_SOCKET_HANDSHAKE;
    return socket->tls != NULL || error_set(error, ERROR_INTERNAL, "OpenSSL made no connection");
}

/* A server that does not speak TLS replies to the line that it takes the greeting for, hangs up, or
 * waits for its end. */
static bool handshake(struct redis_socket *socket, const struct redis_server *server,
                      struct error *error)
{
    enum tls_result result = tls_socket_handshake(socket->tls);
    if (result == TLS_DONE)
        socket->state = REDIS_SOCKET_CONNECTED;
    if (result == TLS_DONE || result == TLS_WAITING)
        return true;
    const char *reason = tls_socket_reason(socket->tls);
    bool is_plain = result == TLS_CLOSED || strcmp(reason, "wrong version number") == 0;
    return error_unavailable(error, "cannot connect to Redis at %s: TLS handshake failed: %s%s",
                             server->address, reason,
                             is_plain ? " (does this port speak TLS?)" : "");
}

bool redis_socket_connect(struct redis_socket *socket, struct redis_server *server, short *revents,
                          struct error *error)
{
    if (socket->state == REDIS_SOCKET_RESOLVING)
        return !redis_lookup_is_done(socket->lookup) || finish_lookup(socket, server, error);
    if (socket->state == REDIS_SOCKET_CONNECTING) {
        if (*revents == 0)
            return true;
        if (!finish_connect(socket, server, error))
            return false;
    }
    if (socket->state != REDIS_SOCKET_HANDSHAKE)
        return true;
    if (!handshake(socket, server, error))
        return false;
    *revents = 0; /* what it was readable for is read */
    return true;
}

const char *redis_socket_awaited(const struct redis_socket *socket)
{
    switch (socket->state) {
    case REDIS_SOCKET_RESOLVING:
        return "its name was not looked up in time";
    case REDIS_SOCKET_HANDSHAKE:
        return "no answer to the TLS handshake in time (does this port speak TLS?)";
    default:
        return "no answer in time";
    }
}
