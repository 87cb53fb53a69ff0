/*
 * The memory that sources can make us hold, of all connections of this process together: their
 * replies, and the links of a connection after its first. Each connection has limits of its own,
 * but whoever may write triggers can make many connections, to sources that send large replies and
 * never end them, or name many nodes.
 *
 * A connection may have as much as it leaves to the others, and all connections of one tenant
 * together a third of what they leave: nobody takes more than a quarter, with however many. Each
 * always has a little, so that usual replies get through whatever others have. An agent process has
 * one connection, and no tenant.
 *
 * The connections of the connections file have as much again for themselves: whoever may write
 * triggers takes nothing from them.
 *
 * Threads: any; that of the connection, whose tenant it is (scaler_tenant()), for what is the
 * connection's.
 */
#ifndef BACKLOG_SCALERS_SHARED_SOURCE_MEMORY_H
#define BACKLOG_SCALERS_SHARED_SOURCE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SOURCE_MEMORY_MAX = 48 << 20, /* one connection has 24 MiB of it by its own limits at most */
    SOURCE_MEMORY_TENANT_PART = 4,
    SOURCE_MEMORY_ALWAYS =
        32 << 10, /* of 1,024 connections 32 MiB; a usual reply has less than 4 KiB */
};

/* What one connection has, or somebody who got a reply of it. Begins empty, and is to be empty
 * again before it goes. */
struct source_memory {
    size_t used;
    uint64_t tenant; /* while it has some; that of the thread that set or moved it last */
    bool is_named;   /* the same */
};

/* It has so many bytes from now on. False: it may not, and has as many as before. Fewer are never
 * refused, nor is what it has when its tenant is another one now. */
bool source_memory_set(struct source_memory *memory, size_t bytes);

/* So many of its bytes are another's of the same connection, who may have them longer. */
void source_memory_move(struct source_memory *from, size_t bytes, struct source_memory *to);

#endif
