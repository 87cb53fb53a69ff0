/*
 * The memory of the server and its agent processes together: where they come near to what the
 * container may use, those that use most are ended, and started again.
 *
 * Threads: the main thread.
 */
#ifndef BACKLOG_DAEMON_AGENT_MEMORY_H
#define BACKLOG_DAEMON_AGENT_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

/* `container_bytes`: INFINITY where the container has no limit. Returns in how many milliseconds to
 * look again: `usual_ms` where there is none, less where there is. */
int64_t agent_memory_bound(double container_bytes, int64_t usual_ms);

/* Whether at most this part of it was in use when agent_memory_bound() looked last. On any thread.
 */
bool agent_memory_is_left(double part);

#endif
