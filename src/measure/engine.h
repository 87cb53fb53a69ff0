/*
 * The engine: which things are measured, how often, and who waits for what.
 *
 * Triggers that ask the same of the same source share a query; queries of one source share a
 * connection, its one client and its one poller thread, which measures what is due in one batch and
 * publishes each reading as soon as it is there. Nobody who asks ever does I/O.
 *
 * Threads: any may call. One lock guards everything here; it is held for copies, never across I/O.
 * Who waits does not block: it leaves a watcher, and is told by `wake` that engine_next_ready() has
 * something.
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
    int64_t interval_ms;      /* what failed is measured again after this at most */
    int64_t deadline_ms;      /* for one batch, and for connecting */
    int64_t backoff_first_ms; /* the first retry of a broken connection is at once, then this */
    int64_t backoff_most_ms;  /* ... doubling to this */
    int64_t slow_most_ms;     /* a query in the slow lane is asked at least this often */
    int64_t arm_again_ms;     /* a query that its source refused to arm is armed again after it */
    size_t most_connections;
    size_t most_isolated;        /* of them, those with a process of their own */
    const char *program;         /* started as `PROGRAM agent` for an isolated scaler; borrowed */
    bool isolate_all;            /* not only the scalers that ask for it */
    void (*wake)(void *context); /* a watcher became ready; any thread, no lock held; may be NULL */
    void *wake_context;
};

#define ENGINE_DEFAULTS                                                                            \
    (struct engine_settings){.interval_ms = 5000,                                                  \
                             .deadline_ms = 2000,                                                  \
                             .backoff_first_ms = 250,                                              \
                             .backoff_most_ms = 5000,                                              \
                             .slow_most_ms = 30000,                                                \
                             .arm_again_ms = 60000,                                                \
                             .most_connections = 1024,                                             \
                             .most_isolated = 64,                                                  \
                             .program = "/proc/self/exe"}

struct engine *engine_new(const struct engine_settings *settings);

/* Ends the pollers (at most one measure deadline away) and frees all, held queries too. */
void engine_free(struct engine *engine);

/*
 * Finds or makes the query for these values, which are copied. It is measured each interval, the least of
 * those who hold it, until it is released as often as it was held, each time with the same interval.
 * Fails with ERROR_LIMIT where a limit is reached.
 */
bool engine_hold(struct engine *engine, const struct scaler *scaler,
                 const struct option_values *connection_values,
                 const struct option_values *query_values, int64_t interval_ms,
                 struct query **ret_query, struct error *error);
void query_release(struct query *query, int64_t interval_ms);

/*
 * Who holds the query goes over to another one, and holds this one only until query_forget(). While anybody
 * does so its connection does not count for the limits, as the one in its place does: whatever the limits are,
 * all connections can be replaced at a time.
 */
void query_leave(struct query *query);
void query_forget(struct query *query, int64_t interval_ms);

/* The same is measured by other credentials now: what was known of it is known of `query`, as long as that
 * has no reading of its own. */
void query_inherit(struct query *query, const struct query *former);

/* What is known of a query at one moment. */
struct snapshot {
    enum { ATTEMPT_NONE, ATTEMPT_GOOD, ATTEMPT_FAILED } last_attempt;
    bool measured; /* there is a reading, of the last good attempt */
    struct reading reading;
    int64_t reading_at_ms;
    int64_t began_at_us;      /* when the source told of it, or the measurement of it began */
    int64_t failing_since_ms; /* where the last attempt failed */
    struct error error;       /* of the last attempt */
};

void query_snapshot(struct query *query, struct snapshot *ret_snapshot);
void snapshot_done(struct snapshot *snapshot);

/* How a query is measured at one moment; for people. */
struct query_state {
    char connection[64]; /* its name: "kafka connection 3" */
    enum query_client { QUERY_APART, QUERY_CONNECTED, QUERY_BROKEN } client;
    bool is_slow;  /* it is asked apart from its neighbours, because it was not answered in time */
    bool is_armed; /* the source tells us of its next message */
    int64_t interval_ms;
};

void query_state(struct query *query, struct query_state *ret_state);

/* Somebody who wants to know of a query's next attempt, and of each one after it. The structure is the
 * asker's, who must end the watch before freeing it. Start from {0}. */
struct watcher {
    void *asker;
    struct query *query;                     /* NULL: not watching */
    struct watcher *next, *prev;             /* among the query's */
    struct watcher *next_ready, *prev_ready; /* among the ready ones */
    int64_t idle_interval_ms;
    bool ready;
};

void watcher_start(struct watcher *watcher, struct query *query);
void watcher_stop(struct watcher *watcher); /* harmless where it is not watching */

/* While at least one watcher asks so, it waits for the first message of its query: this is armed, or measured
 * so often where it cannot be (see scaler.h). 0 ends it. */
void watcher_set_idle_interval(struct watcher *watcher, int64_t interval_ms);

/* The next watcher whose query had an attempt since it was handed out last; NULL where there is none. */
struct watcher *engine_next_ready(struct engine *engine);

struct engine_stats {
    size_t connections;
    size_t broken_connections;
    size_t queries;
    size_t failing_queries;
    size_t slow_queries;
    size_t armed_queries;
    uint64_t wakes;
    uint64_t failed_arms; /* refused by the source or the scaler */
    uint64_t connects;
    uint64_t failed_connects;
    uint64_t answered_probes;
    uint64_t failed_probes;     /* answered with an error */
    uint64_t unanswered_probes; /* not in time, or the client was lost */
};

/* Of all scalers together. */
void engine_stats(struct engine *engine, struct engine_stats *ret_stats);

/* By scaler, in Prometheus' format. */
void engine_write_metrics(struct engine *engine, struct text *page);

#endif
