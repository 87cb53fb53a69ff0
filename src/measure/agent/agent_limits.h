/*
 * What an agent process may use, so that a source that sends without end costs its own connection,
 * and not the container: memory within a limit that the kernel keeps, and the first to die where
 * the container's memory ends.
 *
 * A build with sanitizers has no limit of memory: they map terabytes that they do not use.
 *
 * Threads: before the first one of the process.
 */
#ifndef BACKLOG_MEASURE_AGENT_AGENT_LIMITS_H
#define BACKLOG_MEASURE_AGENT_AGENT_LIMITS_H

#include <stddef.h>

/* Signals, dumps, and who dies first. */
void agent_limits_prepare(void);

/* From now on the process maps at most so many bytes more: what allocates beyond that fails. 0:
 * any. */
void agent_limits_memory(size_t bytes);

#endif
