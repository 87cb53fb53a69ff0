/*
 * A query in use (engine.h): what is known of it, and who waits for it. Who watches or follows it
 * is in watcher.h and follower.h. The functions are in query.c; those that copy what is known, in
 * query_view.c.
 *
 * Threads: any may call. Each function takes the lock of the query's connection, for as long as it
 * runs, and asks the clock of its connection's settings; query_history() and query_get_throughput()
 * take the history's lock only.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_QUERY_H
#define BACKLOG_MEASURE_CONNECTION_QUERY_H

#include "measure/client.h"
#include "measure/connection/follower.h"
#include "measure/connection/watcher.h"
#include "measure/history.h"
#include "measure/query_user.h"
#include "measure/recent_samples.h"
#include "measure/scaler.h"
#include "measure/snapshot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct query;

size_t query_bytes(void); /* what a query takes at least, besides its values */

void query_snapshot(const struct query *query, struct snapshot *ret_snapshot);

/* The snapshot, and under the same lock what the follower's hook `copy` makes of `copy`. The copy
 * may be one reading ahead: a reading is in a snapshot once all followers have got it. */
void query_snapshot_with(const struct query *query, const struct follower *follower,
                         struct snapshot *ret_snapshot, void *copy);

/* A caller waits for a measurement that was sent at `from_ms` or later. The query is measured once
 * for all callers, and even if they leave. While a connection has failed, or the query is spaced
 * out after a time-out, callers hasten nothing. A watcher is not notified of a failure that was
 * there before: whoever waits looks at a snapshot after the demand. */
void query_demand(struct query *query, int64_t from_ms);

/* Changes the counts of the connection, for metrics: `held` more triggers (fewer, where it is
 * negative) are answered by what was known before measuring failed, and `expired` more were, and
 * are refused now. Logs that triggers of the connection are held, and that none is any more,
 * with the reason `why`; as often as connection_log.h says. */
void query_count_held(struct query *query, int held, int expired, const char *why);

/* How a query is measured at one moment; for people. */
struct query_state {
    /* Of what is measured: it is not used again for anything else. A new query that takes the place
     * of this one with other credentials, and inherits from it, has the same number. */
    uint64_t number;
    /* `connection "orders"`, or the scaler and the host, which several connections may have. */
    char connection[256];
    uint64_t connection_number; /* engine.h */
    enum client_state client;
    bool is_isolated;    /* it timed out or was slow: it is measured where it delays no others */
    bool is_subscribed;  /* the source notifies us of its next message */
    int64_t interval_ms; /* 0: when a caller waits */
    int64_t effective_interval_ms;
};

void query_get_state(const struct query *query, struct query_state *ret_state);

/* What was measured from `from_ms` on, the oldest first; and the throughput. They are as history.h
 * says. */
size_t query_history(struct query *query, int64_t from_ms, struct history_sample **ret_samples);
void query_get_throughput(struct query *query, struct history_throughput *ret_throughput);

#endif
