/*
 * The limits of an agent process. A source that sends without end costs its own connection, and not
 * the container: the kernel limits the agent's memory, and kills agents first if the container's
 * memory ends.
 *
 * A build with sanitizers has no limit of memory, as they map terabytes that they do not use.
 *
 * Threads: none may have been started in the process.
 */
#ifndef BACKLOG_MEASURE_AGENT_AGENT_LIMITS_H
#define BACKLOG_MEASURE_AGENT_AGENT_LIMITS_H

#include <stddef.h>

/* Signals, priority, memory dumps, what freed memory is kept, and which process the kernel kills
 * first. */
void agent_limits_prepare(void);

/* From now on the process can map at most so many bytes more: further allocations fail. 0: any
 * number. */
void agent_limits_memory(size_t bytes);

#endif
