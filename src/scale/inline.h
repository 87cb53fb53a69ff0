/*
 * Inline connections: those that triggers write down in their own metadata, and how many each namespace
 * has. Whoever may write a ScaledObject can make us connect, so no namespace takes all there are; one that
 * two namespaces write down counts for both.
 *
 * Threads: one at a time (the server's turn lock).
 */
#ifndef BACKLOG_SCALE_INLINE_H
#define BACKLOG_SCALE_INLINE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct inline_connections;

struct inline_connections *inline_connections_new(size_t max_per_namespace);
void inline_connections_free(struct inline_connections *connections);

/* A trigger of the namespace begins to use the connection, and ends to. Fails with ERROR_LIMIT. */
bool inline_connections_acquire(struct inline_connections *connections, const char *namespace,
                                const char *scaler, const char *identity, struct error *error);
void inline_connections_release(struct inline_connections *connections, const char *namespace,
                                const char *scaler, const char *identity);

#endif
