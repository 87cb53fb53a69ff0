/*
 * What is due when, the earliest first: of tens of thousands of objects each has its own time (a
 * binary heap).
 *
 * Threads: one at a time; pure.
 * Owner:   the memory of items is the caller's.
 */
#ifndef BACKLOG_KUBERNETES_INFORMER_DUE_QUEUE_H
#define BACKLOG_KUBERNETES_INFORMER_DUE_QUEUE_H

#include <stddef.h>
#include <stdint.h>

struct due_item {
    int64_t due_ms; /* as of due_queue_set() */
    size_t place;   /* 0: it is in no queue; else that in the queue, and 1 */
};

/* Start from {0}. */
struct due_queue {
    struct due_item **items; /* none is due before the one at (place - 1) / 2 */
    size_t count, capacity;
};

void due_queue_done(struct due_queue *queue);

/* It is in the queue from now on, until it is removed. */
void due_queue_set(struct due_queue *queue, struct due_item *item, int64_t due_ms);
void due_queue_remove(struct due_queue *queue,
                      struct due_item *item); /* harmless if it is in none */

struct due_item *due_queue_first(const struct due_queue *queue); /* NULL: it is empty */

#endif
