/*
 * What workers write: the last 64 KiB of each are kept for people, and all goes on to standard
 * error. A line `backlog: done N` says how many messages the worker has done.
 *
 * Threads: any; one thread of its own reads the pipes, so that no worker waits for this program's
 * loop.
 */
#ifndef BACKLOG_LAB_WORKER_LOGS_H
#define BACKLOG_LAB_WORKER_LOGS_H

#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

enum { WORKER_LOG_BYTES = 64 * 1024, WORKER_LOGS_MAX = 1000 };

struct worker_logs;

/* NULL: the machine has no thread left. */
struct worker_logs *worker_logs_new(void);
/* When all workers have ended. NULL is none. */
void worker_logs_free(struct worker_logs *logs);

/* The descriptor that the worker `id` writes to, for its standard output; -1: none can be had. The
 * caller closes it once the worker has it. A worker that is started again goes on with the same
 * log. Beyond WORKER_LOGS_MAX the oldest logs of workers that have ended are forgotten. */
int worker_logs_open(struct worker_logs *logs, uint64_t id);

/* What the worker wrote last, in whole characters. False: nothing is known of it. */
bool worker_logs_read(struct worker_logs *logs, uint64_t id, struct text *ret_text);

/* How many messages it says that it has done; NAN where it has not said. */
double worker_logs_done(struct worker_logs *logs, uint64_t id);

/* How many all workers have done that there ever were; it never falls. NAN: none has said. */
double worker_logs_done_by_all(struct worker_logs *logs);

#endif
