/*
 * The socket of a channel, until it is connected: the server's name is looked up, the socket
 * connects, and where there is TLS the handshake is made. Then the channel reads (reader.h) and
 * writes (output.h).
 *
 * Threads: that of the client. Nothing blocks.
 */
#ifndef BACKLOG_SCALERS_REDIS_CONNECTION_SOCKET_H
#define BACKLOG_SCALERS_REDIS_CONNECTION_SOCKET_H

#include "base/error.h"
#include "redis/connection/lookup.h"
#include "redis/connection/server.h"
#include "shared/tls_socket.h"

#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdbool.h>

enum redis_socket_state {
    REDIS_SOCKET_RESOLVING, /* the name of the server is looked up */
    REDIS_SOCKET_CONNECTING,
    REDIS_SOCKET_HANDSHAKE,
    REDIS_SOCKET_CONNECTED,
};

/* {0} is none. */
struct redis_socket {
    enum redis_socket_state state;
    struct redis_lookup *lookup; /* while REDIS_SOCKET_RESOLVING; NULL otherwise */
    redisContext *context;       /* NULL while REDIS_SOCKET_RESOLVING */
    struct tls_socket *tls;      /* NULL: plain, or there is none yet */
};

/* Begins to connect: to the peer of the channel that measures, or to whom the name leads now.
 * False: it failed. */
bool redis_socket_begin(struct redis_socket *socket, const struct redis_server *server,
                        bool to_same_peer, struct error *error);
void redis_socket_done(struct redis_socket *socket);

/* What to wait for; once it is connected, for replies, and where there is output to write it. */
struct pollfd redis_socket_poll(const struct redis_socket *socket, bool has_output);

/* Goes on, until it is REDIS_SOCKET_CONNECTED; `revents` is 0 from then on where it was for the
 * handshake. False: it failed. */
bool redis_socket_connect(struct redis_socket *socket, struct redis_server *server, short *revents,
                          struct error *error);

/* What one that is not connected has not got in time, for an error. */
const char *redis_socket_awaited(const struct redis_socket *socket);

#endif
