/*
 * Which idle queries of a connection are subscribed to, and by which id. push.h decides when one
 * is. Whoever changes something here plans the query again (query_plan()).
 *
 * Threads: as connection.h has it.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_SUBSCRIPTION_H
#define BACKLOG_MEASURE_CONNECTION_SUBSCRIPTION_H

#include "measure/connection/connection_state.h"

/* A stream of the query waits for its first message at interval_ms from now on, and did at
 * former_ms before. 0: it does not wait. Of all streams the shortest interval counts. */
void subscription_set_idle(struct query *query, int64_t former_ms, int64_t interval_ms,
                           int64_t now_ms);

/* The query is being sent, with a notifier where it is to be subscribed to. */
void subscription_sent(struct query *query, int64_t now_ms);

/* The measurement has ended, and says whether the query was subscribed to. */
void subscription_measured(struct query *query, enum task_outcome outcome, int64_t now_ms);

/* The least interval of the connection's queries that are polled for their first message. */
int64_t subscription_spacing_ms(const struct connection *connection);

/* The source has ended the subscription, by a notification or without one: the query that had it.
 * NULL: no query has it any more. */
struct query *subscription_take_ended(struct connection *connection, uint64_t id);

/* The client is lost, and the query's subscription with it. */
void subscription_forget(struct query *query, int64_t now_ms);

/* Nobody needs the query's subscription any more: it is ended at the source. Nothing happens where
 * there is none. */
void subscription_drop(struct query *query);

#endif
