/*
 * A fair queue: each namespace has its turn of 2 ms, and in it takes those of its items that are
 * ready, first in, first out. However many triggers one namespace has, no other one
 * waits for all of them.
 *
 * Threads: one at a time; pure.
 */
#ifndef BACKLOG_KUBERNETES_CREDENTIALS_FAIR_QUEUE_H
#define BACKLOG_KUBERNETES_CREDENTIALS_FAIR_QUEUE_H

#include "base/hash_table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The memory is the caller's. */
struct fair_queue_item {
    struct fair_queue_namespace *namespace;
    bool is_ready;
    struct fair_queue_item *next, *prev;
};

/* There is one while it has items. */
struct fair_queue_namespace {
    char *name;
    size_t items;
    struct fair_queue_item *ready; /* utlist */
    UT_hash_handle hh;
    struct fair_queue_namespace *next, *prev; /* utlist of those with one that is ready */
};

/* Start from {0}. */
struct fair_queue {
    struct fair_queue_namespace *namespaces;
    struct fair_queue_namespace *ready; /* utlist: the next one first */
    struct fair_queue_namespace *turn;  /* whose turn it is, */
    int64_t turn_end_us;                /* ... until then */
};

void fair_queue_join(struct fair_queue *queue, struct fair_queue_item *item, const char *name);
void fair_queue_leave(struct fair_queue *queue, struct fair_queue_item *item);

/* It gets its turn; harmless where it waits for that already. */
void fair_queue_add(struct fair_queue *queue, struct fair_queue_item *item);

/* The one whose turn it is, which is not ready any more; NULL: none is. */
struct fair_queue_item *fair_queue_take(struct fair_queue *queue, int64_t now_us);

#endif
