/*
 * A trace: how much work arrived per second over time, from CSV text.
 *
 *     time,arrivals          the header may be left out
 *     0,2                    2 per second from second 0 on,
 *     600,100                100 per second from second 600 on, ...
 *     7200,2                 ... and the last line is the end
 *
 * A time is seconds, or a date (2026-01-31T12:00:00Z); what counts is the distance from the first
 * line.
 *
 * A server's recorded history (/api/history/NAMESPACE/NAME?format=csv) is a trace, too: its header
 * has more columns behind these two, and where arrivals are unknown, so that the field is empty,
 * they go on as before.
 *
 * Threads: any; nothing changes after parsing.
 */
#ifndef BACKLOG_MODEL_TRACE_H
#define BACKLOG_MODEL_TRACE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum { TRACE_MAX_SECONDS = 31 * 24 * 3600 };
#define TRACE_MAX_RATE 1e9 /* whole numbers stay exact in all sums */

struct trace {
    double *arrivals; /* in each second */
    size_t seconds;
};

/* `path` is for the errors. The caller frees the trace with trace_free(). For tests, too. */
bool trace_parse(const char *text, const char *path, struct trace **ret_trace, struct error *error);
bool trace_load(const char *path, struct trace **ret_trace, struct error *error);
void trace_free(struct trace *trace); /* NULL is none */

#endif
