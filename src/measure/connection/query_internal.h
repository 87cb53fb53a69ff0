/*
 * A query of a connection, from inside: who uses it, what its measurements mean. What the engine
 * does comes first. When it is due is in query_plan.h.
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

/* A trigger begins to use the query, and ends to. `interval_ms` is what the user set, or 0. A query
 * that nobody uses is freed. */
void query_begin_use(struct query *query, int64_t interval_ms, int64_t now_ms);
void query_end_use(struct query *query, int64_t interval_ms, int64_t now_ms);

/* From now on it keeps its last readings, which are measured so often. */
void query_keep_recent_samples(struct query *query, int64_t interval_ms);

/* What is known of a query, for another one of the same source that takes its place, and has it
 * until it has a reading of its own. query_remember() takes the lock. */
struct former_query {
    struct snapshot known;
    struct recent_samples recent;
    bool is_shared; /* others use it, too */
};

void query_remember(const struct query *query, struct former_query *ret_former);
void query_inherit(struct query *query, const struct former_query *former);
void former_query_done(struct former_query *former);

/* ---- for the parts of the connection ---- */

void query_note_gap(struct query *query); /* nothing was measured for a while */
void query_set_failed(struct query *query, const struct error *error, int64_t now_ms);
void query_set_reading(struct query *query, const struct reading *reading, int64_t now_us);
void query_notify_watchers(struct query *query);
void query_free(struct query *query);

#endif
