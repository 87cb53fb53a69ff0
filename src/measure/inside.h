/*
 * The engine's structures, for the files of the engine only (engine.c, query.c, lane.c,
 * batch.c, arm.c).
 *
 *   engine --- connection --- lane (main) --- query, query, ...
 *                         \-- lane (slow) --- query            <- an own client, one probe at a time
 *
 * All of it is guarded by engine.lock, but for a lane's client, which belongs to the lane's thread.
 * Queries are made by whoever holds them, and freed only by the thread of their lane.
 */
#ifndef BACKLOG_MEASURE_INSIDE_H
#define BACKLOG_MEASURE_INSIDE_H

#include "base/metric.h"
#include "measure/client.h"
#include "measure/engine.h"

#include <pthread.h>
#include <uthash.h>

struct engine {
    struct engine_settings settings;
    pthread_mutex_t lock;
    struct connection *connections; /* by identity */
    size_t in_use;                  /* connections that count for the limits */
    size_t isolated_in_use;         /* of them, those with a process of their own */
    struct watcher *ready;
    size_t lanes; /* threads alive */
    pthread_cond_t lane_ended;
    bool has_ended; /* a lane's thread has ended, or is just about to, and wants to be joined */
    pthread_t ended;
    bool stopping;
    uint64_t connections_made; /* for their labels */
    struct tally *tallies;     /* utlist */
};

/* What is counted of one scaler; it stays when the last of its connections has gone. */
struct tally {
    const struct scaler *scaler;
    struct engine_stats
        stats; /* the numbers of connections are only counted where they are wanted */
    struct histogram batch_seconds;
    struct tally *next;
};

enum lane_state {
    LANE_APART,     /* no client; one will be made when a query is due, from retry_at_ms on */
    LANE_CONNECTED, /* a client */
    LANE_BROKEN,    /* no client until retry_at_ms; the error says why */
};

/* One client and the thread that owns it. */
struct lane {
    struct connection *connection;
    bool slow; /* one probe at a time */
    int bell;  /* readable: look again, the thread may have to do something sooner */
    bool rung;
    enum lane_state state;
    struct client *client;
    unsigned failures; /* since the last whole measurement */
    int64_t retry_at_ms;
    struct error error;
    struct query *queries; /* utlist */
    struct query *armed;   /* those with a waker, by its id */
    uint64_t wakers_made;
    uint64_t *disarms; /* wakers that the client is still to forget */
    size_t disarms_count;
    size_t disarms_capacity;
    bool told_unarmed; /* that arming fails was logged */
};

struct connection {
    struct engine *engine;
    char *identity;
    char label[64]; /* for people: "kafka connection 3" */
    const struct scaler *scaler;
    struct tally *tally;
    struct option_values *values;
    bool isolated;
    int64_t made_at_ms;    /* from then on each interval is a beat */
    struct query *queries; /* by identity, of both lanes */
    size_t held_queries;   /* of them, those that somebody holds */
    size_t leavers;        /* who hold one of them until they have another */
    bool in_use;           /* counted: some are held, and nobody leaves */
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
    size_t idle_watchers;     /* of them, those that wait for its first message */
    int64_t idle_interval_ms; /* while they do: between two measurements where it is not armed */

    /* arm.c's */
    uint64_t waker_id;    /* of the arm that it has, or that is being made; 0: none */
    bool armed;           /* the scaler has said so */
    int64_t arm_at_ms;    /* when to arm it, while it is not */
    bool woken;           /* since it was measured */
    bool woken_again;     /* while it is alert */
    int64_t alert_ms;     /* between two measurements after a wake; 0: it is not alert */
    int64_t alert_due_ms; /* the next of them */

    int64_t told_at_us;       /* when the source told of what is measured next; 0: it has not */
    bool due_now;             /* never asked, or the connection is back */
    int64_t asked_at_us;      /* when the last measurement began */
    int64_t slow_interval_ms; /* doubles in the slow lane */
    unsigned strikes;         /* measurements in a row that it left unanswered */
    unsigned losses;          /* ... and that cost the client */
    bool is_slow_with_all;    /* it is in the slow lane because nobody was answered, not it alone */
    struct snapshot known;

    UT_hash_handle hh;         /* among the connection's */
    UT_hash_handle hh_armed;   /* among the lane's armed ones */
    struct query *next, *prev; /* among the lane's */
};

/* lane.c: under the lock */
struct lane *lane_new(struct connection *connection, bool slow); /* NULL: no thread to be had */
void lane_wake(struct lane *lane);
void lane_set_state(struct lane *lane, enum lane_state state, struct error *error);
void lane_set_spent(struct lane *lane, const struct error *error);
void lane_set_good(struct lane *lane);

/* batch.c: on the lane's thread, under the lock, which is opened meanwhile */
void batch_measure(struct lane *lane);

/* arm.c: under the lock */
void arm_idle(struct query *query); /* somebody waits for its first message from now on */
void arm_drop(struct query *query); /* nobody does, or it leaves its lane */
int64_t arm_due_ms(const struct query *query);
struct waker arm_take(struct query *query,
                      int64_t now_ms); /* it is being measured: nobody, or to be armed */
void arm_conclude(struct query *query, const struct probe *probe);
void arm_forget_all(struct lane *lane); /* its client is gone */
void arm_wake_all(struct lane *lane);
bool arm_disarm(
    struct lane *lane); /* what was dropped; on the lane's thread. True: it opened the lock */

/* query.c: under the lock */
struct query *query_new(struct connection *connection, const struct option_values *values);
void query_free(struct query *query);
void query_hold(struct query *query, int64_t interval_ms);
int64_t query_due_ms(const struct query *query);
void query_set_reading(struct query *query, const struct reading *reading);
void query_set_failed(struct query *query, const struct error *error);

/* stats.c: under the lock */
struct tally *tally_of(struct engine *engine, const struct scaler *scaler);
void tallies_free(struct tally *tallies);

/* engine.c: under the lock */
void engine_tell_askers(struct engine *engine);      /* opens it for a moment */
void connection_free(struct connection *connection); /* has no query and no other lane any more */

#endif
