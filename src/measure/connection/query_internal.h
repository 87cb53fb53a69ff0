/*
 * A query of a connection, from inside: who uses it, what its measurements mean. What the engine
 * does comes first. When it is due is in query_plan.h, what it has from another one in inherit.h.
 *
 * Threads: as connection.h has it.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_QUERY_INTERNAL_H
#define BACKLOG_MEASURE_CONNECTION_QUERY_INTERNAL_H

#include "measure/connection/connection_state.h"
#include "measure/connection/query.h"
#include "measure/connection/query_plan.h"

/* Finds the query with these values, or makes it, which nobody uses yet then. The values are
 * shared. */
struct query *query_for_values(struct connection *connection, const struct option_values *values,
                               const void *connection_options);

/* A trigger uses the query from now on, or no longer. `interval_ms` is what the user set, or 0. A
 * query that nobody uses is freed. */
void query_begin_use(struct query *query, int64_t interval_ms, int64_t now_ms);
void query_end_use(struct query *query, int64_t interval_ms, int64_t now_ms);

/* A use wants this in readings (bits of enum reading_want), or no longer. */
void query_want(struct query *query, unsigned wants);
void query_end_want(struct query *query, unsigned wants);

/* A use has the query keep its last readings, which are to be so far apart, or no longer: its
 * follower has stopped by then. The shortest interval of these uses is that of the samples; others
 * may measure more often. */
void query_keep_recent_samples(struct query *query, int64_t interval_ms);
void query_end_recent_samples(struct query *query, int64_t interval_ms);

/* ---- for the parts of the connection ---- */

void query_note_gap(struct query *query); /* nothing was measured for a while */
void query_set_last_attempt(struct query *query, enum last_attempt attempt); /* which is counted */
/* A snapshot also shows what is so of its connection. */
void query_copy_known(const struct query *query, struct snapshot *ret_snapshot);
void query_set_failed(struct query *query, const struct error *error, int64_t now_ms);
void query_set_reading(struct query *query, const struct reading *reading, int64_t now_us);
void query_notify_watchers(struct query *query);
void query_free(struct query *query);

#endif
