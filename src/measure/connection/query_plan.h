/*
 * When a query is measured although no caller waits: at its interval, for its first message, or to
 * confirm a 0.
 *
 * Threads: as connection.h has it.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_QUERY_PLAN_H
#define BACKLOG_MEASURE_CONNECTION_QUERY_PLAN_H

#include <stdint.h>

struct query;

int64_t query_interval_ms(const struct query *query); /* 0: only when a caller waits */

/* Sets in the schedule when the query is due. Called after each change of what that depends on: the
 * query's uses and streams, its subscription, its last attempt, a 0 of it that is in doubt,
 * was_away. The query is not late before `wanted_from_ms`: the time of the change. */
void query_plan(struct query *query, int64_t wanted_from_ms);

#endif
