/*
 * The addresses that clients come from, and how much each has of what all clients share.
 *
 * Threads: the loop's.
 */
#ifndef BACKLOG_SERVE_H2_PEER_H
#define BACKLOG_SERVE_H2_PEER_H

#include "base/hash_table.h"

#include <stddef.h>
#include <sys/queue.h>

/* The longest of IPv6 with an interface, and NUL. */
enum { H2_ADDRESS_BYTES = 64 };

/* An address, while it has users: how much it has of what all clients share. */
struct h2_peer {
    char address[H2_ADDRESS_BYTES];
    size_t connections; /* that are open */
    size_t users;       /* these, and closed ones whose calls are ending */
    size_t calls;       /* but for streams */
    size_t ended;       /* streams that are finished, and whose answers were not taken */
    size_t held_bytes;
    TAILQ_HEAD(, h2_call) unread;         /* of which messages can be delivered, the oldest first */
    TAILQ_ENTRY(h2_peer) of_unread;       /* in server->unread, while it has any */
    TAILQ_HEAD(, h2_connection) readable; /* which can be read, in the order in which they could */
    TAILQ_ENTRY(h2_peer) of_readable;     /* in server->readable, while it has any */
    UT_hash_handle hh;                    /* of all peers, by address */
};

/* NULL: it has no user. */
struct h2_peer *h2_peer_find(struct h2_peer *peers, const char *address);
/* One connection more of an address, which is open. */
struct h2_peer *h2_peer_join(struct h2_peer **peers, const char *address);
/* It is closed: its place is free. The peer stays until it leaves, too. */
void h2_peer_close(struct h2_peer *peer);
void h2_peer_leave(struct h2_peer **peers, struct h2_peer *peer);

#endif
