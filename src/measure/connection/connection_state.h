/*
 * The structs of a connection and of a query. They are for the parts of this folder, the poller
 * (which has a connection in its own struct), the engine and tests. All of these may read every
 * field.
 *
 * Which files write a field is in the comment on its line or, if that has no files, in the comment
 * above it: this one is for all fields to the next empty line, or the next comment above a field. A
 * file may be the module of the field's type: others then write by calling its functions, as those
 * of schedule.c. tools/layers.py compares the files with the assignments.
 *
 * Threads: as connection.h has it.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_CONNECTION_STATE_H
#define BACKLOG_MEASURE_CONNECTION_CONNECTION_STATE_H

#include "base/hash_table.h"
#include "measure/connection/backoff.h"
#include "measure/connection/connection_log.h"
#include "measure/connection/interval_set.h"
#include "measure/connection/push.h"
#include "measure/connection/schedule.h"
#include "measure/connection/subscription_table.h"
#include "measure/connection/zero.h"
#include "measure/connection_stats.h"
#include "measure/history.h"
#include "measure/naming.h"
#include "measure/scaler.h"
#include "measure/snapshot.h"
#include "measure/task.h"

#include <pthread.h>

enum {
    /* A client that measured nothing for so long may have died unnoticed. */
    CONNECTION_PAUSE_MS = 10 * 1000,
    /* A query that takes so long is slow: it must not delay others, and no poll waits for it. */
    CONNECTION_SLOW_MS = 1000,
    /* stuck_for_ms() in query_view.c. */
    CONNECTION_STUCK_QUERIES = 2,
    CONNECTION_STUCK_MS = 5 * 1000,
    /* The longest effective interval of a source that cannot keep up. */
    CONNECTION_MAX_DELAY_MS = 60 * 1000,
};

struct connection;
struct follower;
struct watcher;

/* What a connection calls of its owner. The lock is held in the first three. */
struct connection_hooks {
    void (*wake_poller)(struct connection *connection);            /* something is due sooner */
    void (*watcher_ready)(void *context, struct watcher *watcher); /* it has news */
    void (*yield_lock)(struct connection *connection); /* a pause (connection.h); NULL: no pauses */
    void (*watcher_not_ready)(void *context, struct watcher *watcher); /* it wants no news */
    void *context;
};

struct connection_settings {
    int64_t interval_ms;   /* query_plan.c has how often it is measured */
    int64_t timeout_ms;    /* of a query whose scaler sets none */
    int64_t idle_requests; /* per second, for the first messages of queries that are polled */
    struct backoff_settings backoff;
    int64_t (*now_us)(void);
    struct connection_hooks hooks;
    bool keeps_history; /* of all queries; otherwise of those with a use that keeps it */
    /* How many queries or followers a walk visits between two pauses (connection.h). 0: as many as
     * the walk has by default; tests set 1. */
    size_t at_a_time;
};

struct connection {
    /* connection.c */
    pthread_mutex_t lock; /* guards the connection and its queries */
    const struct connection_settings *settings;
    const struct scaler *scaler;
    struct feed *feed;        /* of its tasks; poller.c */
    struct notifier notifier; /* of its subscriptions, but for the id; poller.c */
    struct naming naming;     /* for people; naming.c */
    uint64_t number;          /* ascending; engine.c, before there are queries */

    /* connection.c: the client. */
    enum connection_state {
        CONNECTION_DISCONNECTED,
        CONNECTION_CONNECTING,
        CONNECTION_CONNECTED,
        CONNECTION_FAILED
    } state;
    int64_t made_at_ms;      /* intervals are counted from here, so that queries are due together */
    int64_t failed_since_ms; /* when it became FAILED the last time */
    struct backoff backoff;  /* when the next client is made; backoff.c */

    /* connection.c, connection_attempts.c: whether the client works. */
    struct error error;             /* of the last failure, until a query is answered */
    bool must_replace_client;       /* no query is taken any more, and the poller ends the client */
    int64_t completed_at_us;        /* when a query was answered last, or the client connected */
    unsigned timeouts_since_answer; /* time-outs of queries that were sent since completed_at_us */

    struct schedule schedule;  /* schedule.c; served_from_ms: connection.c */
    struct query *queries;     /* by identity; query.c */
    struct query *next_walked; /* where a walk over all queries goes on; connection.c, query.c */
    struct bundle *bundles;    /* by text; bundle.c */
    struct query *next_along;  /* where a walk over a bundle goes on; bundle.c */
    size_t used_queries;       /* how many have a use; query.c */

    /* subscription.c: which queries are subscribed to. */
    struct subscription_table subscribed; /* the queries whose push.id is set */
    size_t idle_queries;                  /* how many a stream waits for the first message of */
    uint64_t *unsubscribes;               /* ids of subscriptions that the scaler is to end */
    /* subscription.c; connection_attempts.c takes from them, connection.c drops all. */
    size_t unsubscribes_count;
    size_t unsubscribes_capacity;   /* subscription.c */
    bool has_warned_of_subscribing; /* subscription.c */

    /* connection_attempts.c: what people see. */
    struct connection_log log; /* connection.c makes it; connection_log.c */
    int64_t warned_of_delay_ms;
    double round_trip_us; /* of the last queries, averaged; 0: none was answered yet */
    /* connection.c, connection_attempts.c, query.c, subscription.c, engine_stats.c. */
    struct connection_stats stats;
};

/* Queries that are cheap to measure together; bundle.c. */
struct bundle {
    char *text;
    struct query *queries;  /* utlist */
    int64_t taken_along_ms; /* of the last bundle_take_along(); INT64_MIN: none yet */
    UT_hash_handle hh;
};

/* A query. Its task is what the scaler sees of it, its job is what the schedule sees of it.
 *
 * The fields that each measurement reads or writes come first: with ten thousand queries, fetching
 * this memory takes most of a measurement's time. So fields of several files alternate. */
struct query {
    /* First: query_of_task() is a cast. query.c makes it; when the query is sent,
     * connection_attempts.c fills it in, and subscription.c its notifier.id; then task.c and the
     * scaler write it; connection.c ends it with the client. */
    struct task task;
    /* query.c makes it; then schedule.c and its parts write it; bundle.c: shares_request. */
    struct job job;
    struct push push;              /* how it is subscribed to; push.c */
    struct connection *connection; /* query.c */
    struct bundle *bundle;         /* bundle.c; NULL: it is in none */
    struct watcher *watchers;      /* utlist; watcher.c */
    /* query.c makes it, connection.c and follower.c add to it; NULL: none is kept. */
    struct history *history;
    size_t uses;                   /* by triggers; after the last one it is freed; query.c */
    size_t uses_without_interval;  /* how many of these triggers set no interval; query.c */
    size_t streams;                /* how many watchers are streams; watcher.c */
    size_t held_triggers;          /* of its uses, how many hold an answer; query.c */
    struct interval_set intervals; /* of its uses; query.c */
    unsigned wants;                /* bits of enum reading_want, of all its uses; query.c */
    /* Clients in a row that were lost while it was in flight; connection.c,
     * connection_attempts.c. */
    unsigned losses;
    /* It was sent again as its client may have died unnoticed, and was not answered and did not
     * fail since; connection.c, connection_attempts.c. */
    bool was_resent;
    bool is_subscribed; /* the scaler has confirmed the subscription push.id; subscription.c */
    /* When the first notification came, since a reading that no notification has outdated; 0: none
     * came; connection_attempts.c. */
    int64_t notified_at_us;
    int64_t sent_us; /* when it was sent last; connection_attempts.c */
    /* When the scaler took it last: some of what it measures may be as old as that, though it was
     * started later, as by a second request; connection_attempts.c. */
    int64_t taken_us;
    /* A notification outdates readings whose measurement began before this time;
     * connection_attempts.c. */
    int64_t outdated_from_us;
    bool is_awaited; /* by a call, since the last attempt ended; query.c */
    /* Its connection is back after an outage, and it was not sent since; connection.c,
     * connection_attempts.c. */
    bool was_away;
    struct zero zero; /* a reading of 0 that does not count yet; zero.c */
    /* query.c; is_outdated: connection_attempts.c, too. */
    struct query_known known;

    uint64_t number;                      /* of struct query_state; engine.c, query.c */
    struct option_values *values;         /* query.c */
    struct interval_set sample_intervals; /* of the uses that keep its history; query.c */
    uint32_t wanted[READING_WANTS];       /* by how many uses, each enum reading_want; query.c */
    struct follower *followers;           /* utlist; with a history only; follower.c */
    struct follower *next_followed;       /* while they get a reading; follower.c */
    struct interval_set idle_intervals;   /* of streams that await a message; subscription.c */
    struct query *next_bundled, *prev_bundled; /* bundle.c */
    UT_hash_handle hh;                         /* query.c */
};

static inline int64_t connection_now_ms(const struct connection *connection)
{
    return connection->settings->now_us() / 1000;
}

/* A walk has visited `done` items so far. It pauses after each `at_a_time` items, or after as many
 * as the settings say. */
static inline void connection_pause_after(struct connection *connection, size_t done,
                                          size_t at_a_time)
{
    const struct connection_settings *settings = connection->settings;
    if (settings->at_a_time > 0)
        at_a_time = settings->at_a_time;
    if (done % at_a_time == 0 && settings->hooks.yield_lock != NULL)
        settings->hooks.yield_lock(connection);
}

static inline struct query *query_of_job(struct job *job)
{
    return (struct query *)((char *)job - offsetof(struct query, job));
}

static inline struct query *query_of_task(struct task *task)
{
    return (struct query *)task;
}

/* Locks the query's connection, and returns it. _cleanup_(connection_unlock) unlocks it. */
static inline struct connection *connection_locked(const struct query *query)
{
    pthread_mutex_lock(&query->connection->lock);
    return query->connection;
}

static inline void connection_unlock(struct connection **connection)
{
    pthread_mutex_unlock(&(*connection)->lock);
}

#endif
