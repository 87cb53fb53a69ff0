/*
 * A query, for the parts of its connection and for the engine. When it is due is in query_plan.h.
 *
 * Threads: as connection.h has it.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_QUERY_INTERNAL_H
#define BACKLOG_MEASURE_CONNECTION_QUERY_INTERNAL_H

#include "measure/connection/connection_state.h"
#include "measure/connection/query.h"
#include "measure/connection/query_plan.h"

/* ---- for the engine ---- */

/* Finds the query with these values, or makes one, which nobody uses yet. Shares the values. */
struct query *query_for_values(struct connection *connection, const struct option_values *values,
                               const void *connection_options);

/* A trigger uses the query from now on, or no longer. `interval_ms` is what the user set, or 0.
 * After its last use the query is freed; if it is in flight, when its task has ended. */
void query_begin_use(struct query *query, int64_t interval_ms, int64_t now_ms);
void query_end_use(struct query *query, int64_t interval_ms, int64_t now_ms);

/* A use wants these fields in readings (bits of enum reading_want), or no longer. */
void query_want(struct query *query, unsigned wants);
void query_end_want(struct query *query, unsigned wants);

/* A use needs the history, with samples `interval_ms` apart, or no longer: then its follower has
 * stopped. Of these uses the shortest interval counts. The query may be measured more often for
 * other uses. */
void query_keep_history(struct query *query, int64_t interval_ms);
void query_end_history(struct query *query, int64_t interval_ms);

/* What is known of a query that measures the same at another connection, which a trigger leaves:
 * its credentials were rotated, say. Start from {0}. query_remember() takes the lock. The other one
 * has it from query_take() on, before query_begin_use(), where it was not measured. Its curves go
 * on, pages show the reading until there is a new one, for which calls wait, and whoever adds up
 * readings counts the queue once while some triggers use the one query and some the other. */
struct former_query {
    struct query_known known;
    uint64_t number;
    struct history *history; /* NULL: it had none */
};
void query_remember(const struct query *query, struct former_query *ret_former);
void query_take(struct query *query, const struct former_query *former);
void former_query_done(struct former_query *former);

/* ---- for the parts of the connection ---- */

void query_set_failed(struct query *query, const struct error *error, int64_t now_ms);
void query_set_reading(struct query *query, const struct reading *reading, int64_t now_us);
/* The attempt had a reading that does not count (zero.h): calls wait for another one. */
void query_set_in_doubt(struct query *query);
void query_notify_watchers(struct query *query);
void query_free(struct query *query);
/* An attempt has ended: plans the next one. The last use may have ended meanwhile. */
void query_plan_or_free(struct query *query, int64_t now_ms);

#endif
