/*
 * A watcher: who wants to know of a query's next attempt, and of each one after it. It does not
 * block: with news it is on the engine's list, until engine_next_ready() hands it out.
 *
 * engine_move_watcher() is the engine's (engine.h).
 *
 * Threads: one at a time per watcher; they take the locks of the query's connection and of the
 * list.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_WATCHER_H
#define BACKLOG_MEASURE_CONNECTION_WATCHER_H

#include <stdbool.h>
#include <stdint.h>

struct connection_settings;
struct query;

/* Owner: the caller, who must end the watch before freeing it. Start from {0}. */
struct watcher {
    void *caller;
    const struct connection_settings *settings; /* NULL: it never watched */
    struct query *query;                        /* NULL: not watching */
    /* A stream wants measurements at the interval; others wait for one that was demanded. */
    bool is_stream;
    int64_t idle_interval_ms;

    struct watcher *next, *prev;             /* among the query's */
    struct watcher *next_ready, *prev_ready; /* among those with news */
    struct watcher *next_owned, *prev_owned; /* for whoever has several of them */
    bool is_ready;
};

void watcher_start(struct watcher *watcher, struct query *query, bool is_stream);
void watcher_stop(struct watcher *watcher); /* harmless where it is not watching */

/* While at least one stream has an interval here, it waits for the first message of its query: this
 * is subscribed to, or measured so often where it cannot be (see scaler.h). 0 ends it. */
void watcher_set_idle_interval(struct watcher *watcher, int64_t interval_ms);

#endif
