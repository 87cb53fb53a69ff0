/*
 * The map of connections and the list of watchers with news, for the files of the engine alone:
 *
 *     engine.c              acquires and releases queries, within the limits; hands out watchers
 *     engine_connections.c  visits all connections, for people
 *     engine_stats.c        adds up what connections count, those that have ended included
 *     engine_metrics.c      writes the sums in Prometheus' format
 *
 * Threads: as engine.h has it.
 */
#ifndef BACKLOG_MEASURE_ENGINE_INTERNAL_H
#define BACKLOG_MEASURE_ENGINE_INTERNAL_H

#include "measure/engine.h"
#include "measure/poller.h"

#include <pthread.h>

struct engine {
    struct engine_settings settings;
    struct connection_settings connection_settings;
    struct history *history; /* NULL: none is kept */
    struct poller_settings poller_settings;

    pthread_mutex_t lock;   /* of the map; taken before a poller's */
    struct poller *pollers; /* by identity */
    struct tenant *tenants; /* tenancy.h */
    size_t counted;         /* pollers that count for the limits */
    size_t counted_agents;  /* of them, those with an agent process */
    uint64_t pollers_made;  /* for their numbers */
    size_t threads;         /* alive */
    pthread_cond_t thread_ended;
    /* A thread has ended, or is just about to: it joins the one before it, so that none is left. */
    bool has_ended;
    pthread_t ended;
    /* utlist: of connections that have ended or got another name, so that no counter goes down. */
    struct stats_row *retired;

    pthread_mutex_t ready_lock; /* taken after a poller's */
    struct watcher *ready;
    bool is_woken; /* since somebody found `ready` empty */
};

/* What is counted of one scaler, or of one of its connections. */
struct stats_row {
    const struct scaler *scaler;
    char *connection; /* its name in the connections file; NULL: inline, or of no interest */
    struct connection_stats stats;
    struct stats_row *next;
};

/* ---- engine_stats.c ---- */

/* The connection has ended, or got another name: what it has counted so far stays with the name
 * that it had (NULL: none), and it counts from 0 again. With both locks. */
void engine_retire_stats(struct engine *engine, struct connection *connection, const char *name);

/* Of one connection now, with its lock. */
struct connection_stats engine_connection_stats(struct connection *connection);

/* Of all that there were, by scaler, and by the names of connections where they matter. */
struct stats_row *engine_collect_stats(struct engine *engine, bool by_connection);
void engine_free_rows(struct stats_row *list);

#endif
