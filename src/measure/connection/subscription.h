/*
 * Which idle queries of a connection are subscribed to, and by which id. When a query is subscribed
 * to is decided in push.h. After a change the caller calls query_plan(), as the query may be due at
 * another time.
 *
 * Threads: as connection.h has it.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_SUBSCRIPTION_H
#define BACKLOG_MEASURE_CONNECTION_SUBSCRIPTION_H

#include "measure/connection/connection_state.h"

/* A stream of the query waits for the first message: it wants measurements every interval_ms from
 * now on, and wanted them every former_ms before. 0: it does not wait. Of all streams the shortest
 * interval counts. False: that is what it was, and the query's plan stays. */
bool subscription_set_idle(struct query *query, int64_t former_ms, int64_t interval_ms,
                           int64_t now_ms);

/* The query is being sent. Its task gets a notifier if it is to be subscribed to. */
void subscription_sent(struct query *query, int64_t now_ms);

/* The measurement has ended. Its task says whether the source confirmed the subscription. */
void subscription_measured(struct query *query, enum task_outcome outcome, int64_t now_ms);

/* The shortest interval at which a query is polled for its first message: it grows with the number
 * of such queries of the connection. */
int64_t subscription_spacing_ms(const struct connection *connection);

/* The source has ended the subscription, by a notification or without one. Returns the query that
 * had it; NULL: no query has it any more. */
struct query *subscription_take_ended(struct connection *connection, uint64_t id);

/* The client is lost, and the query's subscription with it. */
void subscription_forget(struct query *query, int64_t now_ms);

/* The query is being freed: its subscription, if it has one, is ended at the source. */
void subscription_drop(struct query *query);

#endif
