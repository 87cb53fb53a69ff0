/*
 * When to return memory to the system: the allocator holds on to what many calls or queries took,
 * long after they have ended. So malloc_trim() is due once, a while after their number has fallen.
 *
 * Threads: none are involved; a trim belongs to whoever declared it.
 */
#ifndef BACKLOG_BASE_SYSTEM_TRIM_H
#define BACKLOG_BASE_SYSTEM_TRIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trim {
    size_t max;     /* of the count, since the last trim */
    int64_t due_ms; /* when malloc_trim() is due; CLOCK_NEVER: not */
};

void trim_init(struct trim *trim);

/* Records how many there are. True: call malloc_trim() now. */
bool trim_due(struct trim *trim, size_t count, int64_t now_ms);

#endif
