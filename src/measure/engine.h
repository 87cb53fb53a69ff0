/*
 * The engine: which queries are measured, how often, and who waits for what.
 *
 * Triggers that ask the same source the same share a query. Queries of one source share a connection: one
 * client and one thread, which sends what is due and publishes each reading as soon as it arrives. Whoever
 * calls here never does I/O.
 *
 * Threads: any may call. Each connection has a lock, the map of connections another one, and the list of
 * watchers with news a third; they are taken in this order, and held for copies, never across I/O.
 * Who waits does not block: it leaves a watcher, and `wake` says that engine_next_ready() has something.
 */
#ifndef BACKLOG_MEASURE_ENGINE_H
#define BACKLOG_MEASURE_ENGINE_H

#include "base/error.h"
#include "base/text.h"
#include "config/option.h"
#include "measure/scaler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct engine;
struct query;

/* Zeros are not defaults: start from ENGINE_DEFAULTS. */
struct engine_settings {
    int64_t interval_ms; /* of streams whose trigger sets none */
    int64_t connect_timeout_ms;
    int64_t timeout_ms;     /* of a query, where its scaler says none */
    int64_t backoff_min_ms; /* the first retry of a broken connection is at once, then after this */
    int64_t backoff_max_ms; /* ... doubling to this */
    size_t max_connections;
    size_t max_agents;           /* of them, those with an agent process */
    const char *program;         /* started as `PROGRAM agent` for a scaler in an agent; borrowed */
    bool all_in_agents;          /* not only the scalers that ask for it */
    void (*wake)(void *context); /* a watcher has news; any thread, no lock held; may be NULL */
    void *wake_context;
};

#define ENGINE_DEFAULTS                                                                            \
    (struct engine_settings){.interval_ms = 5000,                                                  \
                             .connect_timeout_ms = 2000,                                           \
                             .timeout_ms = 2000,                                                   \
                             .backoff_min_ms = 250,                                                \
                             .backoff_max_ms = 5000,                                               \
                             .max_connections = 1024,                                              \
                             .max_agents = 64,                                                     \
                             .program = "/proc/self/exe"}

struct engine *engine_new(const struct engine_settings *settings);

/* Ends the threads (at most one connect time-out away) and frees everything, held queries too. */
void engine_free(struct engine *engine);

/*
 * Finds or makes the query for these values, which are copied, until it is released as often as it was held,
 * each time with the same interval: what the user set, 0 where the user set none.
 *
 * `former` is the query that this one takes the place of, or NULL; its connection does not count for the limits
 * any more, so that all connections can be replaced at a time whatever the limits are. Where `inherits`, what
 * was known of it is known of this query, until that has a reading of its own.
 *
 * Fails with ERROR_LIMIT where a limit is reached.
 */
struct query_request {
    const struct scaler *scaler;
    const struct option_values *connection_values;
    const struct option_values *query_values;
    int64_t interval_ms;
    struct query *former;
    bool inherits;
};

bool engine_hold(struct engine *engine, const struct query_request *request,
                 struct query **ret_query, struct error *error);
void query_release(struct query *query, int64_t interval_ms);

/* What is known of a query at one moment. */
struct snapshot {
    enum { ATTEMPT_NONE, ATTEMPT_GOOD, ATTEMPT_FAILED } last_attempt;
    bool is_measured; /* there is a reading, of the last good attempt */
    struct reading reading;
    int64_t sent_ms;             /* when the source was asked for the reading */
    int64_t began_at_us;         /* the same, or when the source notified us, whichever was first */
    int64_t duration_ms;         /* of the last good attempt; -1: not known */
    bool is_outdated;            /* the source has notified us since */
    int64_t failed_at_ms;        /* where the last attempt failed: when */
    int64_t failing_since_ms;    /* ... and since when all did */
    bool is_retried;             /* ... and it is tried again by itself, whoever asks */
    struct error error;          /* of the last attempt */
    int64_t unanswered_since_ms; /* since when a caller has been waiting; 0: none is */
    int64_t effective_interval_ms; /* what the source keeps up with */
    int64_t
        stuck_for_ms; /* requests are in flight, and nothing was answered for so long; 0: it works */
};

void query_snapshot(struct query *query, struct snapshot *ret_snapshot);
void snapshot_done(struct snapshot *snapshot);

/* A caller waits for a measurement that was sent at `from_ms` or later. Measured once for all callers, and even
 * if they leave. */
void query_demand(struct query *query, int64_t from_ms);

/* How a query is measured at one moment; for people. */
struct query_state {
    char connection[64]; /* its name: "kafka connection 3" */
    enum client_state { CLIENT_DISCONNECTED, CLIENT_CONNECTED, CLIENT_BROKEN } client;
    bool is_isolated;    /* it timed out or was slow: it is measured where it delays no others */
    bool is_subscribed;  /* the source notifies us of its next message */
    int64_t interval_ms; /* 0: when a caller waits */
    int64_t effective_interval_ms;
};

void query_state(struct query *query, struct query_state *ret_state);

/* Somebody who wants to know of a query's next attempt, and of each one after it. The structure is the
 * asker's, who must end the watch before freeing it. Start from {0}. */
struct watcher {
    void *asker;
    struct engine *engine; /* NULL: it never watched */
    struct query *query;   /* NULL: not watching */
    bool
        is_stream; /* it wants measurements at the interval; others wait for one that was demanded */
    int64_t idle_interval_ms;

    struct watcher *next, *prev;             /* among the query's */
    struct watcher *next_ready, *prev_ready; /* among those with news */
    struct watcher *next_owned, *prev_owned; /* for whoever has several of them */
    bool is_ready;
};

void watcher_start(struct watcher *watcher, struct query *query, bool is_stream);
void watcher_stop(struct watcher *watcher); /* harmless where it is not watching */

/* From one query to another (NULL: none), whose news it gets; and it gets news of that. */
void watcher_move(struct engine *engine, struct watcher *watcher, struct query *query);

/* While at least one stream has an interval here, it waits for the first message of its query: this is
 * subscribed to, or measured so often where it cannot be (see scaler.h). 0 ends it. */
void watcher_set_idle_interval(struct watcher *watcher, int64_t interval_ms);

/* The next watcher whose query had an attempt since it was handed out last; NULL where there is none. */
struct watcher *engine_next_ready(struct engine *engine);

struct engine_stats {
    size_t connections;
    size_t broken_connections;
    size_t queries;
    size_t failing_queries;
    size_t isolated_queries; /* in flight, or due: slow, or timed out last */
    size_t subscribed_queries;
    uint64_t notifications;
    uint64_t failed_subscriptions; /* refused by the source or the scaler */
    uint64_t connects;
    uint64_t failed_connects;
    uint64_t answered;
    uint64_t failed;     /* answered with an error */
    uint64_t unanswered; /* not in time, or the client was lost */
};

/* Of all scalers together. */
void engine_stats(struct engine *engine, struct engine_stats *ret_stats);

/* By scaler, in Prometheus' format. */
void engine_write_metrics(struct engine *engine, struct text *page);

#endif
