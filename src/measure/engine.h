/*
 * The engine: all connections to sources, and the queries that are measured on them.
 *
 * Triggers with the same query at the same source share the query. Queries at the same source share
 * a connection: one client and one thread. The thread sends each query when it is due, and
 * publishes its reading as soon as the reply arrives. The functions of this header do no I/O. What
 * can be asked of one query is in connection/query.h.
 *
 * The modules of measure/; each uses only those above it:
 *
 *   reading                        what one measurement found, and which fields a trigger wants
 *   task                           a query that a scaler is measuring, and the feed of tasks
 *   scaler                         one kind of source: its options, and hooks that measure
 *   agent/agent_limits             what an agent process may use
 *   agent/frame                    messages on its socket
 *   agent/agent_messages           our structs as messages, and back
 *   agent/agent_queries            the queries whose options an agent has
 *   agent/agent_process            agents that run: their costs, and which are killed for memory
 *   agent/agent_launch             starts and ends an agent
 *   agent/agent_client             the server's side of an agent
 *   agent/agent                    what runs in an agent
 *   client                         a client of a source, in this process or in an agent
 *   snapshot                       what is known of a query, copied
 *   history                        the samples of a query, for policies and people
 *   connection_stats               what is counted of a connection
 *   naming                         what people call a connection, in logs, metrics and pages
 *   connection/load                how busy a connection is
 *   connection/job                 a query in the schedule
 *   connection/schedule            which job is sent next
 *   connection/push                how one query is subscribed to
 *   connection/zero                whether a reading of nothing counts already
 *   connection/backoff             when a connection makes its next client
 *   connection/connection_log      what is logged of a connection's failures, and how often
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
 *   poller                         the thread of a connection
 *   engine                         the map of all connections; with engine_limits.c, engine_stats.c
 *   engine_connections             visits all connections, for people
 *   engine_metrics                 writes the sums in Prometheus' format
 *
 * Threads: any may call.
 * Locks:   of the map of connections, then of one connection, then of the list of watchers that
 *          have news. They are taken in this order, and never held during I/O.
 * Waiting: nobody blocks. A caller that waits adds a watcher. `wake` is called when
 *          engine_next_ready() has a watcher with news.
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
#include "measure/naming.h"
#include "measure/scaler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeros are not defaults: start from ENGINE_DEFAULTS. */
struct engine_settings {
    int64_t interval_ms; /* of slow queries whose trigger sets none; streams have multiples of it */
    int64_t idle_requests; /* per second and connection, for idle queries that are polled */
    int64_t connect_timeout_ms;
    int64_t timeout_ms;     /* of a query, where its scaler sets none */
    int64_t backoff_min_ms; /* the first retry of a failed connection is at once, then after this */
    int64_t backoff_max_ms; /* ... doubling to this */
    size_t max_connections;
    size_t max_agents; /* connections with an agent process; they count as connections, too */
    /* Whether at most this part of the memory is in use; NULL: always. A new connection needs it to
     * be four fifths, a new query nine tenths. What is served goes on. Called on any thread. */
    bool (*has_memory)(double part);
    bool keeps_history;  /* of all queries; otherwise of those with a policy */
    const char *program; /* that runs as an agent (agent/agent_launch.h); borrowed */
    bool all_in_agents;  /* every scaler runs in an agent, not only those with `in_agent` */
    bool allows_local;   /* scaler_allows_local() also where a connection is not in the connections
                          file */
    /* The engine's clock: for the times of readings and failures, and for what is due. A test may
     * have a clock that it moves. The deadlines of clients are always of base/clock.h. */
    int64_t (*now_us)(void);
    /* A watcher has news. Called on any thread, without a lock. May be NULL. */
    void (*wake)(void *context);
    void *wake_context;
};

#define ENGINE_DEFAULTS                                                                            \
    (struct engine_settings)                                                                       \
    {                                                                                              \
        .interval_ms = 5000, .idle_requests = 250, .connect_timeout_ms = 2000, .timeout_ms = 2000, \
        .backoff_min_ms = 250, .backoff_max_ms = 5000, .max_connections = 1024, .max_agents = 64,  \
        .program = "/proc/self/exe", .now_us = clock_now_us                                        \
    }

struct engine *engine_new(const struct engine_settings *settings);

/* Ends the threads, and waits for them for `max_ms` at most. A thread needs one connect time-out,
 * unless its client library does not return. It frees its connection and all its queries, which
 * nobody may use any more. False: some threads still run. Then the engine cannot be freed, and the
 * process may end with _exit(). */
bool engine_stop(struct engine *engine, int64_t max_ms);

/* Ends the threads, however long that takes, and frees the engine. `engine` may be NULL. */
void engine_free(struct engine *engine);

/* So many connections that are named by the connections file always find a place; of these so many
 * have an agent process. */
void engine_reserve(struct engine *engine, size_t connections, size_t agents);

/* Whether connections of the scaler have an agent process. `engine` is NULL in a command that
 * measures nothing: then a scaler uses an agent where its own struct says so. */
bool engine_uses_agent(const struct engine *engine, const struct scaler *scaler);
int64_t engine_now_ms(const struct engine *engine); /* of its clock, which snapshots have */

/* One use of a query, such as by a trigger. engine_release() gets the same as engine_acquire(). */
struct query_use {
    int64_t interval_ms; /* that the user set; 0: none */
    unsigned wants;      /* bits of enum reading_want */
    /* Its history is kept, for followers. Without an interval_ms the query is measured only when a
     * caller waits, so that there are few samples. */
    bool keeps_history;
};

struct query_request {
    const struct scaler *scaler;
    const struct option_values *connection_values; /* copied, as are those of the query */
    const struct option_values *query_values;
    struct connection_user user; /* the name, if any, is a part of the connection's identity */
    struct query_use use;
    struct query *former; /* the query that this one replaces; NULL: none */
    /* The query has what is known of `former` until it is measured, and its history. */
    bool inherits;
};

/*
 * Finds or makes the query. It lives until it is released as often as it was acquired. Queries with
 * the same scaler, name in the connections file and values share a connection.
 *
 * Fails with ERROR_LIMIT where a limit is reached (engine_internal.h), and then changes nothing. A
 * connection that is in use may always be acquired. Where a client library does not return, the
 * thread of the connection stays after the last query is released. If the connection is acquired
 * again, that thread goes on with it.
 */
bool engine_acquire(struct engine *engine, const struct query_request *request,
                    struct query **ret_query, struct error *error);
void engine_release(struct query *query, const struct query_use *use);

/* The values of the query's connection, as long as that is. */
struct option_values *engine_connection_values(const struct query *query);

/* The next watcher (connection/watcher.h) that has news: its query had an attempt since the watcher
 * was returned last. NULL: there is none. */
struct watcher *engine_next_ready(struct engine *engine);

/* Moves the watcher from one query to another (NULL: to none). The watcher has news at once, so
 * that its caller looks at the new query. */
void engine_move_watcher(struct engine *engine, struct watcher *watcher, struct query *query);

/* A connection at one moment, for people. It is valid while it is visited. */
struct connection_info {
    uint64_t number;  /* later connections have higher numbers; a number is never reused */
    const char *name; /* as in logs: `connection "orders"`, `redis at redis.shop:6379` */
    const struct scaler *scaler;
    const struct option_values *values;
    bool in_agent;
    enum client_state state;
    const char *error; /* the last one; "" once the source has answered again */
    struct connection_stats stats;
    /* How long a query takes: an average of the last ones. NAN: none was answered yet. */
    double round_trip_seconds;
};

/* Visits all connections by ascending number. It copies some connections at a time, and visits the
 * copies without a lock, so that no measurement waits for a page. A connection that is made
 * meanwhile is visited, too. */
void engine_connections(struct engine *engine,
                        void (*visit)(void *context, const struct connection_info *info),
                        void *context);

/* The sums of all connections. */
void engine_stats(struct engine *engine, struct connection_stats *ret_stats);

/* Writes the sums of each scaler, and of each connection of the connections file, in Prometheus'
 * format. */
void engine_write_metrics(struct engine *engine, struct text *page);

#endif
