/*
 * Inline connections, which are those that the connections file does not have: triggers have them
 * in their own metadata, in an authentication, or in the Secret of their namespace. Whoever may
 * write one of these can make us connect, so those of each namespace are counted, and none takes
 * all there are. One that several namespaces have is one connection, and takes one place; it is one
 * of those of each.
 *
 * Those that have an agent process, of which there may be few, are counted separately as well, and
 * limited in the same way. A namespace gets another one only while more are left than it already
 * has: at most half where it is alone. Those that the connections file needs are never among them,
 * however many namespaces somebody claims.
 *
 * Threads: one at a time (the server's turn lock).
 */
#ifndef BACKLOG_SCALE_CONNECTIONS_INLINE_CONNECTIONS_H
#define BACKLOG_SCALE_CONNECTIONS_INLINE_CONNECTIONS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct inline_connections;

struct inline_connections *inline_connections_new(size_t max_per_namespace, size_t max_connections,
                                                  size_t max_agents);
void inline_connections_free(struct inline_connections *connections);

/* So many connections are for the connections file, and so many of them have an agent; what is in
 * use already stays. */
void inline_connections_reserve(struct inline_connections *connections, size_t count,
                                size_t agents);

struct inline_connection {
    const char *namespace;
    const char *scaler;
    const char *identity; /* of its values; unique for the scaler */
    bool in_agent;
    bool replaces; /* one of the namespace was just released: one free place is enough */
};

/* A trigger of the namespace begins to use the connection; NULL with ERROR_LIMIT. It lives until it
 * is released as often. _release is true if that was the last use; NULL: it does nothing. */
struct inline_use;
struct inline_use *inline_connections_acquire(struct inline_connections *connections,
                                              const struct inline_connection *connection,
                                              struct error *error);
bool inline_connections_release(struct inline_connections *connections, struct inline_use *used);

#endif
