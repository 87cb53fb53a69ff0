/*
 * A watcher: who wants to know of a query's next attempt, and of each one after it. The functions
 * are in query.h (connection/query.c) and engine.h.
 */
#ifndef BACKLOG_MEASURE_WATCHER_H
#define BACKLOG_MEASURE_WATCHER_H

#include <stdbool.h>
#include <stdint.h>

struct connection_settings;
struct query;

/* Owner: the caller, who must end the watch before freeing it. Start from {0}. */
struct watcher {
    void *caller;
    const struct connection_settings *settings; /* NULL: it never watched */
    struct query *query;                        /* NULL: not watching */
    bool is_stream; /* it wants measurements at the interval; others wait for one that was demanded
                     */
    int64_t idle_interval_ms;

    struct watcher *next, *prev;             /* among the query's */
    struct watcher *next_ready, *prev_ready; /* among those with news */
    struct watcher *next_owned, *prev_owned; /* for whoever has several of them */
    bool is_ready;
};

#endif
