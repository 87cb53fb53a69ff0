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

/* Plans when the query is due. Whoever changes something that this depends on calls it. */
void query_plan(struct query *query, int64_t now_ms);

#endif
