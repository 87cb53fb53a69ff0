/*
 * The map of connections and the list of watchers that have news. Only the files of the engine
 * include this header (engine.h lists them).
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
    struct poller_settings poller_settings;

    pthread_mutex_t lock;   /* of the map; taken before a poller's */
    struct poller *pollers; /* by identity */
    struct counted_connections {
        size_t connections;
        size_t agents; /* of these, those with an agent process */
    } counted[2];      /* pollers that count for the limits: [1] those of the connections file */
    struct counted_connections reserved; /* places of the connections file */
    uint64_t pollers_made;               /* the number of the last poller */
    uint64_t queries_made;               /* the number of the last query */
    size_t threads;                      /* alive */
    pthread_cond_t thread_ended;
    /* The last thread that ended, if has_ended. A thread that ends writes itself here in its last
     * critical section, and then only returns. So the next thread that ends can join it within its
     * own critical section. At most one ended thread is not joined. */
    bool has_ended;
    pthread_t ended;
    /* By name: what connections counted before they ended. Without these rows the counters of
     * metrics would fall. */
    struct stats_row *retired;

    pthread_mutex_t ready_lock; /* taken after a poller's */
    struct watcher *ready;
    bool is_woken; /* `wake` was called, and nobody has found `ready` empty since then */
};

/* What all connections of one scaler, or those with one name, have counted together. */
struct stats_row {
    const struct scaler *scaler;
    char *connection; /* the name in the connections file; NULL: inline, or a row of a scaler */
    struct connection_stats stats;
    char *name; /* the key of the table: the scaler's name, and the connection's where it has one */
    UT_hash_handle hh;
};

/* ---- engine_limits.c ----
 *
 * The limits of connections. A connection is in one of three states:
 *
 *     counted   a query of it is used: it counts for --max-connections, and for --max-agents
 *     replaced  its credentials were rotated, and its queries are moving to another connection
 *     unused    none of its queries is used; its thread ends as soon as its client library returns
 *
 *     counted --engine_limits_replace()--> replaced --a further trigger, or a minute--> counted
 *     counted or replaced --its last query is released--> unused --its thread ends--> freed
 *     unused --a query is acquired--> counted
 *
 * Replaced and unused connections are leftovers: they count only for the limits of threads. So all
 * connections can be replaced at a time.
 *
 * A connection with a used query may be acquired at any limit: no trigger is refused a connection
 * that others use. So more connections than the limit may count. Example: all 1,024 are replaced,
 * and after a minute a trigger still uses each former one: 2,048 count. Then a new connection is
 * made only if it replaces one that counts.
 *
 * The caller has the lock of the map. */

/* Whether the query may be acquired: on this poller, or on a new one if it is NULL. False with an
 * ERROR_LIMIT. Where it is true, the connection of the request's `former` is to be replaced. */
bool engine_limits_check(struct engine *engine, struct poller *poller,
                         const struct query_request *request, struct error *error);

/* The connection is replaced from now on. */
void engine_limits_replace(struct engine *engine, struct poller *poller);

/* The first query of the connection is used now, or its last one was released. The caller also has
 * the lock of the connection. */
void engine_limits_count(struct engine *engine, struct poller *poller);
/* The connection leaves the map. The caller also has its lock. */
void engine_limits_drop(struct engine *engine, struct poller *poller);

/* ---- engine_stats.c ---- */

/* The connection has ended. What it has counted stays with its name. The caller has the locks of
 * the map and of the connection. */
void engine_retire_stats(struct engine *engine, struct connection *connection);

/* What one connection has counted until now. The caller has its lock. */
struct connection_stats engine_connection_stats(struct connection *connection);

/* The sums of all connections that there ever were. The first function returns a row for each
 * scaler and for each name in the connections file, in the order in which they came. The second one
 * adds these up to a row for each scaler. The caller frees the rows. */
struct stats_row *engine_collect_stats(struct engine *engine);
struct stats_row *engine_rows_by_scaler(const struct stats_row *rows);
void engine_free_rows(struct stats_row *rows);

#endif
