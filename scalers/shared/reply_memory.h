/*
 * The memory of replies, of all connections of this process together. Each connection has limits of
 * its own, but whoever may write triggers can make many connections, to sources that send large
 * replies and never end them.
 *
 * A connection may have as much as it leaves to the others, and all connections of one tenant
 * together a third of what they leave: nobody takes more than a quarter, with however many. Each
 * always has a little, so that usual replies get through whatever others have. An agent process has
 * one connection, and no tenant.
 *
 * Threads: any; that of the connection, whose tenant it is (scaler_tenant()), for what is the
 * connection's.
 */
#ifndef BACKLOG_SCALERS_SHARED_REPLY_MEMORY_H
#define BACKLOG_SCALERS_SHARED_REPLY_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    REPLY_MEMORY_MAX = 48 << 20, /* one connection has 24 MiB of it by its own limits at most */
    REPLY_MEMORY_TENANT_PART = 4,
    REPLY_MEMORY_ALWAYS =
        32 << 10, /* of 1,024 connections 32 MiB; a usual reply has less than 4 KiB */
};

/* What one connection has, or somebody who got a reply of it. Begins empty, and is to be empty
 * again before it goes. */
struct reply_memory {
    size_t used;
    uint64_t tenant; /* while it has some; that of the thread that set or moved it last */
};

/* It has so many bytes from now on. False: it may not, and has as many as before. Fewer are never
 * refused, nor is what it has when its tenant is another one now. */
bool reply_memory_set(struct reply_memory *memory, size_t bytes);

/* So many of its bytes are another's of the same connection, who may have them longer. */
void reply_memory_move(struct reply_memory *from, size_t bytes, struct reply_memory *to);

#endif
