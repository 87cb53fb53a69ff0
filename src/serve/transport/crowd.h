/*
 * When to give memory back: the allocator keeps what a crowd (of calls, of queries) took, long after it has
 * gone. So a while after many have, once for all of them.
 *
 * Threads: none are involved; a crowd belongs to whoever declared it.
 */
#ifndef BACKLOG_SERVE_TRANSPORT_CROWD_H
#define BACKLOG_SERVE_TRANSPORT_CROWD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct crowd {
    size_t most;    /* at a time, since memory was last given back */
    int64_t due_ms; /* when it is to be given back; CLOCK_NEVER: not now */
};

void crowd_init(struct crowd *crowd);

/* Notes how many there are. True: malloc_trim() now. */
bool crowd_is_over(struct crowd *crowd, size_t count, int64_t now_ms);

#endif
