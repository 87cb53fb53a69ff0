/*
 * The socket of a link, which speaks Redis's protocol: the server's name is looked up, the socket
 * connects, and where there is TLS the handshake is made. Then commands are written, and replies
 * are read; hiredis parses them. What a server may announce has limits: the bytes, the values and
 * the depth of a reply, and the memory of all connections.
 *
 * Threads: that of the client. Nothing blocks.
 */
#ifndef BACKLOG_SCALERS_REDIS_LINK_SOCKET_H
#define BACKLOG_SCALERS_REDIS_LINK_SOCKET_H

#include "base/error.h"
#include "redis/link/lookup.h"
#include "redis/link/server.h"
#include "shared/source_memory.h"
#include "shared/tls_socket.h"

#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of all arrays of a reply; it is 13 for each consumer group of XINFO GROUPS. */
enum { REDIS_MAX_ELEMENTS = 1 << 16 };

/* The number of an array's elements, as hiredis has it. */
#if HIREDIS_MAJOR >= 1
typedef size_t redis_element_count;
#else
typedef int redis_element_count;
#endif

enum redis_socket_state {
    REDIS_SOCKET_RESOLVING, /* the name of the server is looked up */
    REDIS_SOCKET_CONNECTING,
    REDIS_SOCKET_HANDSHAKE,
    REDIS_SOCKET_CONNECTED,
};

/* {0} is none. */
struct redis_socket {
    enum redis_socket_state state;
    struct redis_lookup *lookup; /* until it is connected; NULL: the address was known */
    size_t tried;                /* of the lookup's addresses, with `address` */
    int64_t address_deadline_ms; /* of `address`; then the next one is tried */
    char *address;               /* it is connected to, or tried; NULL: there is none yet */
    redisContext *context;       /* NULL while REDIS_SOCKET_RESOLVING */
    struct tls_socket *tls;      /* NULL: plain, or there is none yet */

    /* Commands that are not written yet; before `start` all are. */
    char *output;
    size_t start, end, capacity;

    /* What was read of a reply that is not complete. */
    size_t partial_bytes;
    size_t elements;                     /* of its arrays, as they were announced */
    struct source_memory memory;         /* of the bytes, the elements and a large output */
    redisReplyObjectFunctions functions; /* hiredis's own, but for: */
    void *(*create_array)(const redisReadTask *task, redis_element_count elements);

    bool has_grown; /* hiredis's buffer, for a long reply */
};

/* Begins to connect: to this address, or where it is NULL, to whom the name leads now. False: it
 * failed. */
bool redis_socket_begin(struct redis_socket *socket, const struct redis_server *server,
                        const char *address, struct error *error);
void redis_socket_done(struct redis_socket *socket);

/* What to wait for; once it is connected, for replies, and to write what is not written yet. */
struct pollfd redis_socket_poll(const struct redis_socket *socket);

/* Goes on, until it is REDIS_SOCKET_CONNECTED; `revents` is 0 from then on where it was for the
 * handshake. The addresses of a name are tried one after the other, each with its share of the time
 * up to the deadline, until one is connected. False: it failed. */
bool redis_socket_connect(struct redis_socket *socket, struct redis_server *server,
                          int64_t deadline_ms, short *revents, struct error *error);

/* The same where nothing happened, before the deadline: lowers *next_ms to when the next address is
 * tried. */
bool redis_socket_check(struct redis_socket *socket, const struct redis_server *server,
                        int64_t now_ms, int64_t deadline_ms, int64_t *next_ms, struct error *error);

/* What one that is not connected has not got in time, for an error. */
const char *redis_socket_awaited(const struct redis_socket *socket);

/* Whether replies are to come: a server that sends without being asked fills the kernel's buffer,
 * which nobody reads meanwhile. */
void redis_socket_expect(struct redis_socket *socket, bool replies);

/* A command, whose words end with NULL; connected or not. */
void redis_socket_add(struct redis_socket *socket, const char *const *words);

/* Writes what the connected socket takes at once. False: it is broken, for `ret_reason`. */
bool redis_socket_write(struct redis_socket *socket, const char **ret_reason);

enum redis_read {
    REDIS_READ_DONE,
    REDIS_READ_HUNG_UP, /* the server closed the connection, or it broke; `ret_reason` says how */
    REDIS_READ_INVALID, /* no Redis; `ret_reason` says why */
    REDIS_READ_TOO_LARGE,
};

/* Reads what is there. */
enum redis_read redis_socket_read(struct redis_socket *socket, const char **ret_reason);

/* The next reply of what was read, which the caller frees; NULL: it is not complete. */
enum redis_read redis_socket_next(struct redis_socket *socket, redisReply **ret_reply,
                                  const char **ret_reason);

#endif
