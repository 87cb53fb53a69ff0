/*
 * When a query is to be measured though no caller waits: at its interval, or for its first message.
 *
 * Threads: as connection.h has it.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_QUERY_PLAN_H
#define BACKLOG_MEASURE_CONNECTION_QUERY_PLAN_H

#include <stdint.h>

struct query;

int64_t query_interval_ms(const struct query *query); /* 0: only when a caller waits */

/* Tells the schedule when the query is due. Whoever changes something that this depends on calls
 * it: its uses and streams, its subscription, its last attempt, due_after_outage_ms.
 * `wanted_from_ms`, of connection_now_ms(), is since when it is wanted like that: now, or earlier
 * after an outage. It is not late before that. */
void query_plan(struct query *query, int64_t wanted_from_ms);

#endif
