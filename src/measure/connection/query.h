/*
 * What a trigger can do with a query that it has acquired (engine.h): demand a measurement, and
 * read what is known. How to wait for measurements is in watcher.h, how to get each reading once in
 * follower.h. The functions are in query.c; those that copy what is known are in query_view.c.
 *
 * Threads: any may call. Each function takes the lock of the query's connection while it runs.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_QUERY_H
#define BACKLOG_MEASURE_CONNECTION_QUERY_H

#include "measure/client.h"
#include "measure/connection/follower.h"
#include "measure/connection/watcher.h"
#include "measure/history.h"
#include "measure/scaler.h"
#include "measure/snapshot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct query;

size_t query_bytes(void); /* what a query takes at least, besides its values */

void query_snapshot(const struct query *query, struct snapshot *ret_snapshot);

/* Makes a snapshot and, under the same lock, has the follower's hook `copy` fill in `copy`. The
 * follower may have got one more reading than the snapshot shows, never one less: a new reading is
 * given to all followers, with pauses in which others get the lock, before a snapshot shows it. A
 * reading that lacks what the follower wants is outdated for it, or none if it got none yet. */
void query_snapshot_with(const struct query *query, const struct follower *follower,
                         struct snapshot *ret_snapshot, void *copy);

/* A caller waits for a measurement that was sent at `from_ms` or later. The query is measured once
 * for all callers, even if they leave meanwhile. A demand hastens nothing while the connection has
 * failed, or while the query is spaced out after a time-out. Watchers are notified only of attempts
 * that end after the demand: so the caller looks at a snapshot after it, and may find a failure. */
void query_demand(struct query *query, int64_t from_ms);

/* Somebody looks at a page that shows it. If a stream watches it, it is measured at the standard
 * interval meanwhile: now, unless it was just measured. */
void query_look(struct query *query);

/* Adds to COUNT_HELD_TRIGGERS and COUNT_EXPIRED_TRIGGERS of the connection; either number may be
 * negative. Logs that triggers of the connection are held, with the failure of this query or, if
 * there is none, `why`; and when none is any more, with the reason `why`; as often as
 * connection_log.h says. */
void query_count_held(struct query *query, int held, int expired, const char *why);

/* How a query is measured at one moment; for people. */
struct query_state {
    /* Never used again, but for a query that takes the place of this one. */
    uint64_t number;
    /* `connection "orders"`, or the scaler and the host, which several connections may have. */
    char connection[256];
    uint64_t connection_number; /* engine.h */
    enum client_state client;
    bool is_isolated;    /* it timed out or was slow: it takes one of the few isolated places */
    bool is_subscribed;  /* the source notifies us of its next message */
    int64_t interval_ms; /* 0: it is measured only when a caller waits */
    int64_t effective_interval_ms;
};

void query_get_state(const struct query *query, struct query_state *ret_state);

/* As history_read() and history_rates() of history.h; nothing where no history is kept. */
size_t query_history(const struct query *query, int64_t from_ms,
                     struct history_sample **ret_samples);
struct history_rates query_rates(const struct query *query);

#endif
