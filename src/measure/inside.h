/*
 * The engine's structures, for the files of the engine only (engine.c, query.c, lane.c).
 *
 *   engine --- connection --- lane (main) --- query, query, ...
 *                         \-- lane (slow) --- query            <- an own client, one probe at a time
 *
 * All of it is guarded by engine.lock, but for a lane's client, which belongs to the lane's thread.
 * Queries are made by whoever holds them, and freed only by the thread of their lane.
 */
#ifndef BACKLOG_MEASURE_INSIDE_H
#define BACKLOG_MEASURE_INSIDE_H

#include "measure/client.h"
#include "measure/engine.h"

#include <pthread.h>
#include <uthash.h>

struct engine {
    struct engine_settings settings;
    pthread_mutex_t lock;
    struct connection *connections; /* by identity */
    size_t isolated;                /* connections with a process of their own */
    struct watcher *ready;
    size_t lanes; /* threads alive */
    pthread_cond_t lane_ended;
    bool has_ended; /* a lane's thread has ended, or is just about to, and wants to be joined */
    pthread_t ended;
    bool stopping;
    uint64_t connections_made; /* for their labels */
    struct engine_stats stats; /* the counters of it */
};

enum lane_state {
    LANE_APART,     /* no client; one will be made when a query is due */
    LANE_CONNECTED, /* a client */
    LANE_BROKEN,    /* no client until retry_at_ms; the error says why */
};

/* One client and the thread that owns it. */
struct lane {
    struct connection *connection;
    bool slow; /* one probe at a time */
    pthread_cond_t changed;
    enum lane_state state;
    struct client *client;
    unsigned failures; /* since the last whole measurement */
    int64_t retry_at_ms;
    struct error error;
    struct query *queries; /* utlist */
};

struct connection {
    struct engine *engine;
    char *identity;
    char label[64]; /* for people: "kafka connection 3" */
    const struct scaler *scaler;
    struct option_values *values;
    bool isolated;
    int64_t made_at_ms;    /* from then on each interval is a beat */
    struct query *queries; /* by identity, of both lanes */
    struct lane *main_lane;
    struct lane *slow_lane; /* NULL while nothing is slow */
    UT_hash_handle hh;
};

/* An interval, and how many of those who hold a query want it. */
struct pace {
    int64_t interval_ms;
    size_t holds;
    struct pace *next;
};

struct query {
    struct connection *connection;
    struct lane *lane;
    struct option_values *values;
    struct pace *paces;       /* utlist, the least interval first; nobody holds the query: NULL */
    struct watcher *watchers; /* utlist */
    size_t idle_watchers;     /* of them, those that want it measured each idle_interval_ms */
    int64_t idle_interval_ms;

    bool due_now;             /* never asked, or the connection is back */
    int64_t asked_at_ms;      /* when the last measurement began */
    int64_t slow_interval_ms; /* doubles in the slow lane */
    unsigned strikes;         /* measurements in a row that it left unanswered */
    unsigned losses;          /* ... and that cost the client */
    bool is_slow_with_all;    /* it is in the slow lane because nobody was answered, not it alone */
    struct snapshot known;

    UT_hash_handle hh;         /* among the connection's */
    struct query *next, *prev; /* among the lane's */
};

/* lane.c: under the lock */
struct lane *lane_new(struct connection *connection,
                      bool slow); /* NULL: no thread can be started */
void lane_wake(struct lane *lane);

/* query.c: under the lock */
struct query *query_new(struct connection *connection, const struct option_values *values);
void query_free(struct query *query);
void query_hold(struct query *query, int64_t interval_ms);
int64_t query_due_ms(const struct query *query);
void query_set_reading(struct query *query, const struct reading *reading);
void query_set_failed(struct query *query, const struct error *error);

/* engine.c: under the lock */
void connection_free(struct connection *connection); /* has no query and no other lane any more */

#endif
