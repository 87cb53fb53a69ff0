/*
 * What is requested on the isolated link from the start: the last time it took long, though the
 * engine's `isolate` is for longer ones only, or the reply was too large, which ends the link. Of a
 * task's own duration (last_duration_ms) the time is a part that it waited behind others: by that
 * all that were behind a slow one would be slow.
 *
 * Threads: that of the client.
 */
#ifndef BACKLOG_SCALERS_REDIS_SLOW_REQUESTS_H
#define BACKLOG_SCALERS_REDIS_SLOW_REQUESTS_H

#include "measure/task.h"
#include "redis/requests/requests.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REDIS_MAX_SLOW_REQUESTS = 64 }; /* beyond it another one is forgotten */

/* {0} is an empty table. */
struct redis_slow_requests {
    uint64_t hashes[REDIS_MAX_SLOW_REQUESTS];
    size_t count;
    size_t next; /* which of the hashes is overwritten next, where the table is full */
};

/* What is requested for the task. */
bool redis_slow_requests_have(const struct redis_slow_requests *slow,
                              const struct redis_requests *requests, const struct task *task);
void redis_slow_requests_note(struct redis_slow_requests *slow,
                              const struct redis_requests *requests, const struct task *task,
                              bool is_slow);

#endif
