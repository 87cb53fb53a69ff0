/*
 * The map of connections and the list of watchers with news, for the files of the engine alone
 * (engine.h lists them).
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
    uint64_t queries_made;  /* for theirs */
    size_t threads;         /* alive */
    pthread_cond_t thread_ended;
    /* The last thread that ended, where has_ended. A thread puts itself here in its last critical
     * section, after which it takes no lock and only returns. So the next one may join it while it
     * has the lock, and does: no more than one ended thread is left to be joined. */
    bool has_ended;
    pthread_t ended;
    /* By name: what connections counted before they ended or got another name. With these rows no
     * counter goes down. */
    struct stats_row *retired;

    pthread_mutex_t ready_lock; /* taken after a poller's */
    struct watcher *ready;
    bool is_woken; /* since somebody found `ready` empty */
};

/* What one scaler, or one of its connections, has counted. */
struct stats_row {
    const struct scaler *scaler;
    char *connection; /* its name in the connections file; NULL: inline, or of no interest */
    struct connection_stats stats;
    char *name; /* the scaler's and the connection's; of one table it is its own */
    UT_hash_handle hh;
};

/* ---- engine_limits.c ----
 *
 * The limits of connections. One of the engine's map counts, or is a leftover:
 *
 *     counted    a query of it is used, and it is not replaced: it counts for --max-connections,
 *                and for --max-agents
 *     leftover   nobody uses it any more, but its thread has not ended, as its client library does
 *                not return; or it is replaced: its queries are moving to another connection, as
 *                its credentials were rotated. So all connections can be replaced at a time within
 *                any limits. It counts again when one more trigger comes, and if it is still used
 *                after a minute
 *
 * A connection that is in use may be acquired at any limit: no trigger is refused where others are
 * served. So after a replacement that some triggers took no part in, more than the limit may count;
 * a further one is then made only in the place of one that counts.
 *
 * These are called with the lock of the map; those that say so with that of the poller, too. */

/* Whether the query may be acquired, on this poller or, if it is NULL, on a new one; the connection
 * of the request's `former` will be replaced then. False with an ERROR_LIMIT. */
bool engine_limits_check(struct engine *engine, struct poller *poller,
                         const struct query_request *request, struct error *error);

/* It is replaced from now on. */
void engine_limits_replace(struct engine *engine, struct poller *poller);

/* A query of it is used now, or no longer. With both locks. */
void engine_limits_count(struct engine *engine, struct poller *poller);
/* It leaves the map. With both locks. */
void engine_limits_drop(struct engine *engine, struct poller *poller);

/* ---- engine_stats.c ---- */

/* The connection has ended, or got another name: what it has counted so far stays with the name
 * that it had (NULL: none), and it counts from 0 again. The caller has both locks. */
void engine_retire_stats(struct engine *engine, struct connection *connection, const char *name);

/* What one connection has counted until now. The caller has its lock. */
struct connection_stats engine_connection_stats(struct connection *connection);

/* The sums of all connections that there ever were: one row for each scaler and each name in the
 * connections file, in the order in which they came; and of these, one for each scaler. The caller
 * frees the rows. */
struct stats_row *engine_collect_stats(struct engine *engine);
struct stats_row *engine_rows_by_scaler(const struct stats_row *rows);
void engine_free_rows(struct stats_row *rows);

#endif
