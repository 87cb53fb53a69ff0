/*
 * Who is next: what is ready, in order, and the namespaces in turn, each for a while. What one may
 * write keeps no other one waiting.
 *
 * Threads: one at a time; pure.
 */
#ifndef BACKLOG_KUBERNETES_CREDENTIALS_NEED_QUEUE_H
#define BACKLOG_KUBERNETES_CREDENTIALS_NEED_QUEUE_H

#include "base/hash_table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The place of one in its namespace. The memory is the caller's. */
struct need_place {
    struct need_tenant *tenant;
    bool is_ready;
    struct need_place *next, *prev;
};

/* One namespace: there is one while it has places. */
struct need_tenant {
    char *namespace;
    size_t places;
    struct need_place *ready; /* utlist */
    UT_hash_handle hh;
    struct need_tenant *next, *prev; /* utlist of those with one that is ready */
};

/* Start from {0}. */
struct need_queue {
    struct need_tenant *tenants;
    struct need_tenant *ready; /* utlist: the next one first */
    struct need_tenant *turn;  /* whose turn it is, */
    int64_t turn_end_us;       /* ... until then */
};

void need_queue_join(struct need_queue *queue, struct need_place *place, const char *namespace);
void need_queue_leave(struct need_queue *queue, struct need_place *place);

/* It gets its turn; harmless where it waits for that already. */
void need_queue_add(struct need_queue *queue, struct need_place *place);

/* The one whose turn it is, which is not ready any more; NULL: none is. */
struct need_place *need_queue_take(struct need_queue *queue, int64_t now_us);

#endif
