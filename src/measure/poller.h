/*
 * A poller: the thread that owns the client of one connection. It is the feed that the scaler takes
 * its tasks from.
 *
 * Threads: the poller's own runs the scaler; any other may have the connection's lock, which guards
 * the rest of it, too.
 * Owner:   the engine's map; the thread frees its poller when nobody uses a query of it any more.
 */
#ifndef BACKLOG_MEASURE_POLLER_H
#define BACKLOG_MEASURE_POLLER_H

#include "measure/connection/connection_state.h"
#include "measure/task_internal.h"
#include "measure/tenancy.h"

#include <pthread.h>

struct engine;
struct poller;

/* What all pollers of an engine have in common. The engine outlives them. */
struct poller_settings {
    const struct connection_settings *connection;
    int64_t connect_timeout_ms;
    const char *program; /* for a scaler in an agent (agent/agent_launch.h); borrowed */

    /* Called on the poller's thread, without a lock. */
    void (*published)(struct engine *engine); /* watchers may have news */
    bool (*remove)(struct poller *poller); /* out of the map, unless a query of it is used again */
    void (*ended)(struct poller *poller);  /* the last act of the thread: frees the poller */
    struct engine *engine;
};

struct poller {
    struct feed feed; /* first, so that one leads to the other */
    struct connection connection;
    const struct poller_settings *settings;
    char *identity; /* engine_connection_identity() */
    struct option_values *values;
    bool in_agent;
    struct tenancy tenancy;
    bool is_replaced; /* its queries are moving to another connection: it counts for no limit */
    int64_t replaced_at_ms; /* since when */
    bool is_counted;        /* for the limits; under the map's lock */
    bool is_stopping;
    int wake_fd; /* while it is readable the thread has to look again: something is due sooner */
    bool wake_pending; /* wake_fd is readable */
    struct client *client;
    UT_hash_handle hh;
};

/* Returns NULL, with errno, where there is no descriptor or thread for it. Takes the identity also
 * in that case, and shares the values. */
struct poller *poller_new(const struct poller_settings *settings, const struct scaler *scaler,
                          bool in_agent, char *identity, const struct option_values *values);
void poller_free(struct poller *poller); /* its thread has ended */

struct poller *poller_of(const struct query *query);

/* Locks its connection, and returns it: _cleanup_(connection_unlock) unlocks it. */
struct connection *poller_lock(struct poller *poller);

/* These are called with the lock: the thread will look at its connection again. */
void poller_wake(struct poller *poller);
void poller_wake_for(struct connection *connection);
/* This is called with the lock, and gives it to others for a moment. */
void poller_yield_lock(struct connection *connection);

#endif
