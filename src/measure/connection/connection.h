/*
 * A connection: the queries of one source, and the state of the client that measures them.
 *
 *     DISCONNECTED  no client; one is made when a query is ready, from retry_at_ms on
 *     CONNECTING
 *     CONNECTED     queries are taken, and end
 *     BROKEN        the error says why: every query fails with it; connecting is tried again at retry_at_ms
 *
 * It decides everything: what is sent when, what a time-out or a lost client means, who is notified. It has no
 * threads, locks, I/O or clock (time is passed in), so that a test can run a thousand of them in any order
 * of events. measure/poller.c is the thread around one, and has its lock; measure/engine.c the map of all.
 *
 * Threads: one at a time (the poller's lock).
 */
#ifndef BACKLOG_MEASURE_CONNECTION_CONNECTION_H
#define BACKLOG_MEASURE_CONNECTION_CONNECTION_H

#include "base/hash_table.h"
#include "base/metric.h"
#include "measure/connection/push.h"
#include "measure/connection/schedule.h"
#include "measure/follower.h"
#include "measure/history.h"
#include "measure/naming.h"
#include "measure/scaler.h"
#include "measure/snapshot.h"
#include "measure/watcher.h"
#include "measure/window.h"

enum {
    CONNECTION_PAUSE_MS =
        10 * 1000, /* a client that was silent for so long may have died unnoticed */
    CONNECTION_STUCK_MS = 5 * 1000, /* nothing was answered for so long: callers need not wait */
    CONNECTION_STUCK_QUERIES =
        2, /* ... and none of so many in flight: one may be a query that hangs */
    CONNECTION_MAX_DELAY_MS =
        60 * 1000, /* the effective interval of a source that cannot keep up */
};

/* What is counted of the connections of one scaler, or of one connection. */
struct scaler_stats {
    struct engine_stats counts;
    struct histogram measurement_seconds;
    double utilization;   /* of the busiest connection */
    double delay_seconds; /* of the slowest */
};

struct connection_settings {
    int64_t interval_ms;    /* where the user sets none */
    int64_t timeout_ms;     /* of a query whose scaler sets none */
    int64_t backoff_min_ms; /* the first retry of a broken connection is at once, then after this */
    int64_t backoff_max_ms; /* ... doubling to this */
    uint32_t (*jitter)(uint32_t below);
    void (*ready)(void *context, struct watcher *watcher); /* there is news for it */
    void *context;
    struct history *history; /* of the queries; NULL: none is kept */
};

struct connection {
    const struct connection_settings *settings;
    const struct scaler *scaler;
    struct feed *feed;        /* of its tasks */
    struct notifier notifier; /* of its subscriptions, but for the id */
    struct naming naming;     /* for people */
    enum connection_state { DISCONNECTED, CONNECTING, CONNECTED, BROKEN } state;
    int64_t made_at_ms; /* intervals are counted from here, so that queries are due together */
    int64_t retry_at_ms;
    int64_t broken_since_ms;
    unsigned failures;  /* since the last answer */
    struct error error; /* of the last failure, until the source has answered again */
    bool must_replace_client;
    int64_t completed_at_ms;      /* when a query was answered last, or the client connected */
    unsigned unanswered_timeouts; /* since then */

    struct schedule schedule;
    struct query *queries;    /* by identity */
    struct bundle *bundles;   /* by text */
    struct query *subscribed; /* those with a subscription, by its id */
    struct query *unanswered; /* utlist: a caller waited since they were answered last */
    size_t held_queries;
    uint64_t last_id; /* of a subscription */
    uint64_t *unsubscribes;
    size_t unsubscribes_count;
    size_t unsubscribes_capacity;
    bool has_warned_of_subscribing;
    int64_t warned_of_delay_ms;
    double round_trip_us; /* of a query, averaged over the last ones; 0: none was answered yet */
    struct scaler_stats stats;
};

/* Queries that are cheap to measure together. */
struct bundle {
    char *text;
    struct query *queries;   /* utlist */
    int64_t completed_at_ms; /* when all of them were taken along last */
    UT_hash_handle hh;
};

/* An interval that users set, and how many of those who hold the query did. */
struct interval_ref {
    int64_t interval_ms;
    size_t holds;
    struct interval_ref *next;
};

struct query {
    struct task task; /* what the scaler sees; first, so that one leads to the other */
    struct job job;   /* what the schedule sees */
    struct push push;
    struct connection *connection;
    struct option_values *values;
    struct interval_ref *intervals; /* utlist, the least first */
    size_t default_holds;           /* of those who set none */
    unsigned wants;                 /* enum reading_field, of all who ever held it */
    struct window *window;          /* NULL: nobody wants one */
    struct follower *followers;     /* utlist; not before it keeps a window */
    size_t holds;                   /* all; 0: freed as soon as it is not in flight */
    struct watcher *watchers;       /* utlist */
    size_t streams;                 /* of them */
    size_t idle_streams;            /* of these, those that wait for the first message */

    struct snapshot known;
    struct history_series series;
    int64_t notified_at_us;      /* of the first notification since it was sent; 0: none */
    int64_t sent_us;             /* the last time */
    int64_t outdated_from_us;    /* readings sent before this time are outdated by a notification */
    int64_t unanswered_since_ms; /* 0: no caller waits */
    int64_t broken_since_ms;     /* its connection was, and no reading came since; 0: neither */
    bool was_resent;             /* its client had died unnoticed */
    unsigned losses;             /* clients in a row that were lost while it was in flight */

    uint64_t subscription_id; /* the key of hh_subscribed; 0: it has none */
    bool is_subscribed;       /* and the scaler confirmed it */

    struct bundle *bundle;
    struct query *next_bundled, *prev_bundled;
    struct query *next_unanswered, *prev_unanswered;
    UT_hash_handle hh;
    UT_hash_handle hh_subscribed;
};

void connection_init(struct connection *connection, const struct connection_settings *settings,
                     const struct scaler *scaler, int64_t now_ms);
void connection_done(struct connection *connection); /* frees all queries, held ones too */

/* One trigger more is answered by what was known before measuring failed, or one less. The first and the last are
 * logged. */
void connection_begin_held(struct query *query);
void connection_end_held(struct query *query, const char *why);

/* ---- queries (query.c; connection_set_idle(): subscription.c) ---- */

/* Found or made; held by nobody yet. The values are copied. */
struct query *connection_query(struct connection *connection, const struct option_values *values,
                               const void *connection_options);

/* `interval_ms`: as the user set it; 0: the user set none. A query that nobody holds is freed. */
void connection_hold(struct query *query, int64_t interval_ms, int64_t now_ms);
void connection_release(struct query *query, int64_t interval_ms, int64_t now_ms);

/* A caller waits for a measurement that was sent at `from_ms` or later. While a connection is broken, or the
 * query is spaced out after a time-out, callers hasten nothing. */
void connection_demand(struct query *query, int64_t from_ms, int64_t now_ms);

void connection_watch(struct query *query, struct watcher *watcher, bool is_stream, int64_t now_ms);
void connection_unwatch(struct watcher *watcher, int64_t now_ms);
void connection_set_idle(struct watcher *watcher, int64_t interval_ms, int64_t now_ms);

/* It takes the place of a query of the same source: what was known of that is known of this one, until it has a
 * reading of its own. */
void query_inherit(struct query *query, const struct snapshot *former);
void query_inherit_window(struct query *query, const struct window *former);

/* From now on it keeps its last readings, which are measured so often. */
void connection_keep_window(struct query *query, int64_t interval_ms);
void connection_window(const struct query *query, struct window *ret_window);

/* Of a query that keeps a window. The reading that is known already comes first, where the follower had none as new. */
void connection_follow(struct query *query, struct follower *follower);
void connection_unfollow(struct follower *follower);

void connection_snapshot(const struct query *query, int64_t now_ms, struct snapshot *ret_snapshot);

int64_t query_interval_ms(const struct query *query); /* 0: only when a caller waits */

/* ---- the client (connection.c; notifications: subscription.c) ---- */

/* Whether a client is to be made now. */
bool connection_wants_client(struct connection *connection, int64_t now_ms);
void connection_connecting(struct connection *connection);
void connection_connected(struct connection *connection, int64_t now_ms);
void connection_refused(struct connection *connection, const struct error *error, int64_t now_ms);

/* The next query to send; NULL: none. */
struct query *connection_take(struct connection *connection, int64_t now_us);
void connection_started(struct query *query, int64_t now_us);
void connection_end(struct query *query, enum task_outcome outcome, const struct reading *reading,
                    const struct error *error, int64_t now_us);
struct query *connection_cancel(struct connection *connection, int64_t now_ms);

/* The client is of no further use (the error says why), or was replaced as must_replace_client said (NULL).
 * What was in flight fails, or is sent once more where the client may have died long ago. */
void connection_lost(struct connection *connection, const struct error *error, int64_t now_ms);

/* The source has notified; any id, however late. */
void connection_notify(struct connection *connection, uint64_t id, int64_t now_us);
bool connection_next_unsubscribe(struct connection *connection, uint64_t *ret_id);

/* When connection_take(), _cancel() or _wants_client() may have something, if nothing else happens. */
int64_t connection_next_ms(struct connection *connection, int64_t now_ms);

/* The interval that it keeps up with. */
int64_t connection_effective_interval_ms(const struct connection *connection, int64_t now_ms);

enum client_state connection_client_state(const struct connection *connection); /* for people */

bool connection_is_unused(const struct connection *connection); /* nobody holds a query of it */

#endif
