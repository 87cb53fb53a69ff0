/*
 * The engine: which queries are measured, how often, and who waits for what.
 *
 * Triggers with the same query at the same source share it. Queries of one source share a
 * connection: one client and one thread, which sends what is due and publishes each reading as soon
 * as it arrives. Whoever calls here never does I/O. What is asked of a query is in
 * connection/query.h.
 *
 * The modules of measure/; each uses only those above it:
 *
 *   reading                        what one measurement found, and what can be wanted of it
 *   task                           a query that a scaler is measuring, and the feed of these
 *   scaler                         what a scaler is: its hooks, which measure and evaluate
 *   agent/agent_limits             what an agent process may use
 *   agent/frame                    messages on its socket
 *   agent/agent_messages           our structs as messages, and back
 *   agent/agent_queries            the queries whose options an agent has
 *   agent/agent_process            agents that run, what they cost, and which are killed for memory
 *   agent/agent_launch             starts and ends one
 *   agent/agent_client             the server's side of one
 *   agent/agent                    what runs in one
 *   client                         a client of a source, in this process or in an agent
 *   snapshot                       what is known of a query, copied
 *   recent_samples                 its last readings, for scaling policies
 *   history                        its readings of the last hour, for people
 *   connection_stats               what is counted of a connection
 *   query_user                     who uses a query, by name
 *   naming                         what people call a connection, in logs, metrics and pages
 *   connection/load                how busy a connection is
 *   connection/job                 a query in the schedule
 *   connection/job_heap            jobs by when they are due
 *   connection/job_groups          whose turn it is
 *   connection/schedule            which job is sent next
 *   connection/push                how one query is subscribed to
 *   connection/outage              since when a query has no usable reading
 *   connection/backoff             when a connection makes its next client
 *   connection/connection_log      what is logged of its failures, and how often
 *   connection/subscription_table  queries by the ids of their subscriptions
 *   connection/interval_set        the intervals of the users of a query
 *   connection/connection_state    the structs of a connection and its queries
 *   connection/subscription        which queries are subscribed to
 *   connection/query_plan          when a query is due
 *   connection/watcher             a call or stream that the next measurement of a query wakes
 *   connection/follower            a scaling policy, which gets each reading once
 *   connection/bundle              which queries one request measures together
 *   connection/query               a query: what is known of it, who uses it, who waits for it
 *   connection/connection          what a reply, a time-out or a lost client means
 *   connection/query_view          copies what is known of a query
 *   connection/inherit             what a query has from the one whose place it takes
 *   tenancy                        whose a connection is, for limits
 *   poller                         the thread of a connection
 *   engine                         the map of all connections; with engine_limits.c, engine_stats.c
 *   engine_connections             visits all of them, for people
 *   engine_metrics                 writes the sums in Prometheus' format
 *
 * Threads: any may call. The map of connections has a lock, each connection another one, and the
 * list of watchers with news a third; they are taken in this order, and held for copies, never
 * across I/O. Who waits does not block: it leaves a watcher, and `wake` is called when
 * engine_next_ready() has something.
 */
#ifndef BACKLOG_MEASURE_ENGINE_H
#define BACKLOG_MEASURE_ENGINE_H

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "config/option.h"
#include "measure/connection/query.h"
#include "measure/connection_stats.h"
#include "measure/history.h"
#include "measure/scaler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeros are not defaults: start from ENGINE_DEFAULTS. */
struct engine_settings {
    int64_t interval_ms; /* of streams whose trigger sets none */
    int64_t connect_timeout_ms;
    int64_t timeout_ms;     /* of a query, where its scaler sets none */
    int64_t backoff_min_ms; /* the first retry of a failed connection is at once, then after this */
    int64_t backoff_max_ms; /* ... doubling to this */
    size_t max_connections;
    size_t max_agents;    /* of them, those with an agent process */
    size_t history_bytes; /* for the readings of the last hour; 0: none are kept */
    const char *program;  /* for a scaler in an agent (agent/agent_launch.h); borrowed */
    bool all_in_agents;   /* not only the scalers that need it */
    /* The engine's clock: times of readings and failures, and when what is due. A test may move one
     * of its own. Deadlines of clients are always of base/clock.h. */
    int64_t (*now_us)(void);
    void (*wake)(void *context); /* a watcher has news; any thread, no lock held; may be NULL */
    void *wake_context;
};

#define ENGINE_DEFAULTS                                                                            \
    (struct engine_settings)                                                                       \
    {                                                                                              \
        .interval_ms = 5000, .connect_timeout_ms = 2000, .timeout_ms = 2000,                       \
        .backoff_min_ms = 250, .backoff_max_ms = 5000, .max_connections = 1024, .max_agents = 64,  \
        .program = "/proc/self/exe", .now_us = clock_now_us                                        \
    }

struct engine *engine_new(const struct engine_settings *settings);

/* Has the threads end, and waits for them, for `max_ms` at most; they need one connect time-out,
 * unless a client library does not return. Each frees its connection and all queries of it: nobody
 * uses one any more. False: some still run. Nothing can be freed then, and the process may end with
 * _exit(). */
bool engine_stop(struct engine *engine, int64_t max_ms);

/* Ends the threads, however long that takes, and frees everything. NULL is none. */
void engine_free(struct engine *engine);

/* What the settings say, for those who count connections before they are made. It does not change,
 * so no lock is taken. Without an engine, as in a command that measures nothing, only what a scaler
 * says counts, and there are no connections. */
bool engine_uses_agent(const struct engine *engine, const struct scaler *scaler);
size_t engine_max_connections(const struct engine *engine);
size_t engine_max_agents(const struct engine *engine);

/* One use of a query, such as by a trigger. engine_release() gets the same as engine_acquire(). */
struct query_use {
    int64_t interval_ms;       /* what the user set; 0: nothing */
    const char *namespace;     /* whose trigger it is: those of several have their turns */
    const char *tenant;        /* whose connection it is: a namespace; NULL: nobody's but its own */
    unsigned wants;            /* bits of enum reading_want */
    bool keeps_recent_samples; /* for followers; with an interval_ms, or there is little in it */
};

struct query_request {
    const struct scaler *scaler;
    const struct option_values *connection_values; /* copied, as are those of the query */
    const struct option_values *query_values;
    struct query_use use;
    struct query *former; /* the query that this one takes the place of; NULL: none */
    bool inherits;        /* it has what is known of `former` until it has a reading, and its
                           * history: a copy, where others use `former`, too (history.h) */
};

/* What has the same identity is one connection, for the engine and for every limit of connections:
 * the scaler's name, and the identity of the connection's values. The caller frees it. */
char *engine_connection_identity(const char *scaler, const char *values_identity);

/*
 * Finds or makes the query. It lives until it is released as often as it was acquired. What several
 * tenants or namespaces use counts for the one that has the fewest, as long as that one uses it.
 *
 * Fails with ERROR_LIMIT where a limit is reached (engine_internal.h), and then changes nothing; a
 * connection that is in use may always be acquired. A poller whose client library does not return
 * keeps its thread after its last query, and goes on where it is acquired again.
 */
bool engine_acquire(struct engine *engine, const struct query_request *request,
                    struct query **ret_query, struct error *error);
void engine_release(struct query *query, const struct query_use *use);

/* These say who uses a query, for people. The user, and all that it has, is borrowed until
 * engine_remove_user(), which comes before engine_release(). Either may change the name of the
 * query's connection: what was counted before stays with the former name. */
void engine_add_user(struct query *query, struct query_user *user);
void engine_remove_user(struct query *query, struct query_user *user);

/* The next watcher (connection/watcher.h) whose query had an attempt since it was handed out last;
 * NULL where there is none. */
struct watcher *engine_next_ready(struct engine *engine);

/* Moves the watcher from one query to another (NULL: to none). It has news at once, so that its
 * caller looks at the new one. */
void engine_move_watcher(struct engine *engine, struct watcher *watcher, struct query *query);

/* A connection at one moment, for people. It is valid while it is visited. */
struct connection_info {
    uint64_t number;  /* they ascend, and are not used again */
    const char *name; /* as logs have it: `connection "orders"`, `redis at redis.shop:6379` */
    const struct scaler *scaler;
    const struct option_values *values;
    bool in_agent;
    enum client_state state;
    const char *error; /* the last, until the source has answered again; "" */
    struct connection_stats stats;
    /* How long a query takes, averaged over the last ones; NAN: none was answered yet. */
    double round_trip_seconds;
};

/* Visits all connections by ascending number, without locks: copies of some at a time, so that
 * measuring waits for no page. One that begins meanwhile is visited, too. */
void engine_connections(struct engine *engine,
                        void (*visit)(void *context, const struct connection_info *info),
                        void *context);

/* The sums of all connections. */
void engine_stats(struct engine *engine, struct connection_stats *ret_stats);
void engine_history_stats(struct engine *engine, struct history_stats *ret_stats);

/* Writes the sums of each scaler and connection of the connections file in Prometheus' format. */
void engine_write_metrics(struct engine *engine, struct text *page);

#endif
