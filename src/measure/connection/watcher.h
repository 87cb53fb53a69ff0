/*
 * A watcher: a call or stream that wants to know of each attempt to measure a query. Nobody blocks:
 * after an attempt the watcher is on the engine's list of watchers with news, until
 * engine_next_ready() returns it. engine_move_watcher() is in engine.h, too.
 *
 * Threads: one at a time per watcher. The functions take the lock of the query's connection, and
 * that of the list.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_WATCHER_H
#define BACKLOG_MEASURE_CONNECTION_WATCHER_H

#include <stdbool.h>
#include <stdint.h>

struct connection_settings;
struct query;

/* Owner: the caller, which calls watcher_stop() before it frees the watcher. Start from {0}. */
struct watcher {
    void *caller;
    const struct connection_settings *settings; /* NULL: it never watched */
    struct query *query;                        /* NULL: not watching */
    bool is_stream;           /* while a stream watches, its query is measured at its interval */
    int64_t idle_interval_ms; /* watcher_set_idle_interval() */

    struct watcher *next, *prev;             /* among the query's watchers */
    struct watcher *next_ready, *prev_ready; /* among the watchers with news */
    struct watcher *next_owned, *prev_owned; /* for a caller that has several watchers */
    bool is_ready;                           /* it has news */
};

void watcher_start(struct watcher *watcher, struct query *query, bool is_stream);
void watcher_stop(struct watcher *watcher); /* harmless where it is not watching */

/* A stream waits for the first message of its query: the query is subscribed to or, if that is not
 * possible, measured this often (scaler.h). 0: the stream does not wait any more. */
void watcher_set_idle_interval(struct watcher *watcher, int64_t interval_ms);

#endif
