/*
 * Which idle queries of a connection are subscribed to, by which id. When one is, push.h decides.
 * Whoever changes something here plans the query again (query_plan()).
 *
 * Threads: as connection.h has it.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_SUBSCRIPTION_H
#define BACKLOG_MEASURE_CONNECTION_SUBSCRIPTION_H

#include "measure/connection/state.h"

/* A stream of the query waits for its first message, at this interval; 0: it no longer does. */
void subscription_set_idle(struct watcher *watcher, int64_t interval_ms, int64_t now_ms);

/* The query is being sent, with a notifier where it is to be subscribed to; its measurement has
 * ended. */
void subscription_take(struct query *query, int64_t now_ms);
void subscription_end(struct query *query, int64_t now_ms);

/* The source has notified by this id, and will not again. NULL: it belongs to no query any more. */
struct query *subscription_notified(struct connection *connection, uint64_t id);

void subscription_lost(struct query *query, int64_t now_ms); /* with the client */
void subscription_free(struct query *query); /* is to be ended at the source, where there is one */

#endif
