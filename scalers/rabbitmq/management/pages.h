/*
 * The queues of a pattern that several requests list, as they come and go between two pages: one
 * that moves from one page to another would be missed or count twice. So all pages are read twice,
 * and a queue that either pass has counts once.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_RABBITMQ_MANAGEMENT_PAGES_H
#define BACKLOG_SCALERS_RABBITMQ_MANAGEMENT_PAGES_H

#include "rabbitmq/management/counts.h"
#include "shared/source_memory.h"

#include <stdbool.h>
#include <stddef.h>

struct rabbitmq_pages_queue {
    char *name;
    unsigned pass;  /* the last that had it, from 1 on */
    unsigned first; /* ... and the first */
    struct rabbitmq_counts counts;
};

/* Start from {0}. */
struct rabbitmq_pages {
    struct rabbitmq_pages_queue *queues; /* sorted by name when a pass has ended */
    size_t count;
    size_t capacity;
    unsigned passes; /* that have ended */
    struct source_memory memory;
};

void rabbitmq_pages_done(struct rabbitmq_pages *pages);

/* Adds a queue to the pass. False: there is no memory for it now. */
bool rabbitmq_pages_add(struct rabbitmq_pages *pages, const char *name,
                        const struct rabbitmq_counts *counts);

/* Ends a pass: keeps each queue of it and of the one before, once, with its last counts. Returns
 * one that only one of the two had; NULL: none. */
const char *rabbitmq_pages_end_pass(struct rabbitmq_pages *pages);

/* Takes a queue out. */
void rabbitmq_pages_remove(struct rabbitmq_pages *pages, size_t index);

#endif
