/*
 * The memory that Redis servers can make us hold, of all connections of this process together:
 * their replies, and the links of a connection after its first. Each connection has limits of its
 * own, but many of them may get large replies at a time, or name many nodes.
 *
 * A connection may have as much as it leaves to the others. Each always has a little, so that usual
 * replies get through whatever others have.
 *
 * Threads: any.
 */
#ifndef BACKLOG_SCALERS_SHARED_SOURCE_MEMORY_H
#define BACKLOG_SCALERS_SHARED_SOURCE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

enum {
    SOURCE_MEMORY_MAX = 48 << 20, /* one connection has 24 MiB of it by its own limits at most */
    SOURCE_MEMORY_ALWAYS =
        32 << 10, /* of 1,024 connections 32 MiB; a usual reply has less than 4 KiB */
};

/* What one connection has. Begins empty, and is to be empty again before it goes. */
struct source_memory {
    size_t used;
};

/* It has so many bytes from now on. False: it may not, and has as many as before. Fewer are never
 * refused. */
bool source_memory_set(struct source_memory *memory, size_t bytes);

#endif
