/*
 * What is counted of files that are read again while the server runs: a version that is refused
 * changes nothing, so that nobody sees it but in the log, until a pod that starts with it does not
 * start.
 *
 * Threads: noted by the main thread, written by any.
 */
#ifndef BACKLOG_DAEMON_RELOAD_STATS_H
#define BACKLOG_DAEMON_RELOAD_STATS_H

#include "base/text.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Start from {0}. */
struct reload_stats {
    _Atomic int64_t good_at_s; /* Unix time: when they were read well last, be it at the start */
    _Atomic uint64_t failures;
    atomic_bool is_refused; /* as they are now */
};

void reload_stats_good(struct reload_stats *stats);
void reload_stats_failed(struct reload_stats *stats);

struct reload_row {
    const char *file;                 /* the label */
    const struct reload_stats *stats; /* NULL: there are no such files */
};

void reload_stats_write(const struct reload_row *rows, size_t count, struct text *page);

#endif
