/*
 * A poller: the thread that owns the client of one connection. It is also the feed that the scaler
 * takes its tasks from.
 *
 * Threads: the poller's own thread runs the scaler. The connection's lock guards the poller's
 * fields, too; any thread may take it.
 * Owner:   the engine's map. The thread frees its poller once nobody uses a query of it.
 */
#ifndef BACKLOG_MEASURE_POLLER_H
#define BACKLOG_MEASURE_POLLER_H

#include "measure/connection/connection_state.h"
#include "measure/task_internal.h"

#include <pthread.h>

struct engine;
struct poller;

/* What all pollers of an engine have in common. The engine outlives them. */
struct poller_settings {
    const struct connection_settings *connection;
    int64_t connect_timeout_ms;
    const char *program; /* for a scaler in an agent (agent/agent_launch.h); borrowed */
    bool allows_local;   /* of connections that are not in the connections file */

    /* Called on the poller's thread, without a lock. */
    void (*published)(struct engine *engine); /* watchers may have news */
    /* Takes the poller out of the map. False: a query of it is used again, and it stays. */
    bool (*remove)(struct poller *poller);
    void (*ended)(struct poller *poller); /* frees the poller; the thread calls it last */
    struct engine *engine;
};

struct poller {
    struct feed feed; /* first, so that one leads to the other */
    struct connection connection;
    const struct poller_settings *settings;
    char *identity; /* engine_connection_identity() */
    struct option_values *values;
    bool in_agent;
    bool is_named;          /* in the connections file; otherwise it is inline */
    bool is_replaced;       /* its queries are moving to another connection (engine_internal.h) */
    int64_t replaced_at_ms; /* when that began */
    bool is_counted;        /* for the limits; the map's lock guards it */
    bool is_stopping;
    int wake_fd;       /* readable: something is due sooner than the thread expects */
    bool wake_pending; /* wake_fd is readable */
    struct client *client;
    UT_hash_handle hh;
};

/* Takes the identity, and shares the values. Returns NULL, with errno, if no descriptor or thread
 * is left; then the identity is freed. */
struct poller *poller_new(const struct poller_settings *settings, const struct scaler *scaler,
                          bool in_agent, char *identity, const struct option_values *values,
                          const struct connection_user *user);
void poller_free(struct poller *poller); /* its thread has ended */

struct poller *poller_of(const struct query *query);

/* Locks its connection, and returns it: _cleanup_(connection_unlock) unlocks it. */
struct connection *poller_lock(struct poller *poller);

/* The thread is to look at its connection again. The caller has the connection's lock. */
void poller_wake(struct poller *poller);
void poller_wake_for(struct connection *connection);
/* The caller has the connection's lock, and gives it to others for a moment. */
void poller_yield_lock(struct connection *connection);

#endif
