/* What the parts of a connection share: connection.c, query.c, subscription.c and bundle.c only. */
#ifndef BACKLOG_MEASURE_CONNECTION_CONNECTION_INTERNAL_H
#define BACKLOG_MEASURE_CONNECTION_CONNECTION_INTERNAL_H

#include "measure/connection/connection.h"

void connection_warn(const struct connection *connection, const struct error *error,
                     const char *what);

/* ---- a query (query.c) ---- */

/* When it is to be measured though no caller waits, from what changed. */
void query_plan(struct query *query, int64_t now_ms);
void query_note_gap(struct query *query); /* nothing was measured for a while */
void query_set_failed(struct query *query, const struct error *error, int64_t now_ms);
void query_set_reading(struct query *query, const struct reading *reading, int64_t now_us);
void query_notify_watchers(struct query *query);
void query_free(struct query *query);

/* ---- subscriptions (subscription.c) ---- */

/* The query is being sent, with a notifier where it is to be subscribed to; its measurement has ended. */
void subscription_take(struct query *query, int64_t now_ms);
void subscription_end(struct query *query, int64_t now_ms);

void subscription_drop(struct query *query, uint64_t id); /* ended at the source later; 0: none */
void subscriptions_forget(struct connection *connection, int64_t now_ms); /* the client is lost */

/* ---- bundles (bundle.c) ---- */

/* The query becomes one of its bundle, where its scaler has bundles, and leaves it. */
void bundle_join(struct query *query, const void *connection_options);
void bundle_leave(struct query *query);

/* One request will answer the whole bundle: its other queries are due, too. */
void bundle_take_along(const struct query *first, int64_t now_ms);

#endif
