/*
 * A query of a connection: who holds and watches it, when it is due, what is known of it. What the
 * engine does with its lock held (engine.h) comes first.
 *
 * Threads: as connection.h has it.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_QUERY_H
#define BACKLOG_MEASURE_CONNECTION_QUERY_H

#include "measure/connection/state.h"

/* Found or made; held by nobody yet. The values are copied. */
struct query *connection_query(struct connection *connection, const struct option_values *values,
                               const void *connection_options);

/* `interval_ms`: as the user set it; 0: the user set none. A query that nobody holds is freed. */
void connection_hold(struct query *query, int64_t interval_ms, int64_t now_ms);
void connection_release(struct query *query, int64_t interval_ms, int64_t now_ms);

/* A caller waits for a measurement that was sent at `from_ms` or later. While a connection is
 * broken, or the query is spaced out after a time-out, callers hasten nothing. */
void connection_demand(struct query *query, int64_t from_ms, int64_t now_ms);

void connection_watch(struct query *query, struct watcher *watcher, bool is_stream, int64_t now_ms);
void connection_unwatch(struct watcher *watcher, int64_t now_ms);
void connection_set_idle(struct watcher *watcher, int64_t interval_ms, int64_t now_ms);

/* It takes the place of a query of the same source: what was known of that is known of this one,
 * until it has a reading of its own. */
void query_inherit(struct query *query, const struct snapshot *former);
void query_inherit_recent_samples(struct query *query, const struct recent_samples *former);

/* From now on it keeps its last readings, which are measured so often. */
void query_keep_recent_samples(struct query *query, int64_t interval_ms);
void query_recent_samples(const struct query *query, struct recent_samples *ret_recent);

/* Of a query that keeps recent samples. The reading that is known already comes first, where the
 * follower had none as new. */
void connection_follow(struct query *query, struct follower *follower);
void connection_unfollow(struct follower *follower);

void connection_snapshot(const struct query *query, int64_t now_ms, struct snapshot *ret_snapshot);

int64_t query_interval_ms(const struct query *query); /* 0: only when a caller waits */

/* One trigger more is answered by what was known before measuring failed, or one less. The first
 * and the last are logged. */
void connection_begin_held(struct query *query);
void connection_end_held(struct query *query, const char *why);

/* ---- for the parts of the connection ---- */

/* When it is to be measured though no caller waits, from what changed. */
void query_plan(struct query *query, int64_t now_ms);

void query_note_gap(struct query *query); /* nothing was measured for a while */
void query_set_failed(struct query *query, const struct error *error, int64_t now_ms);
void query_set_reading(struct query *query, const struct reading *reading, int64_t now_us);
void query_notify_watchers(struct query *query);
void query_free(struct query *query);

/* Of a failure at `failed_ms`: callers may have been unanswered before, or the connection broken,
 * and a hold does not begin twice. */
int64_t query_unusable_since_ms(const struct query *query, int64_t failed_ms);

#endif
