/*
 * Bundles: queries of a connection that one request measures together.
 *
 * Threads: as connection.h has it.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_BUNDLE_H
#define BACKLOG_MEASURE_CONNECTION_BUNDLE_H

#include "measure/connection/connection_state.h"

/* The query joins its bundle, where its scaler has bundles, and leaves it. */
void bundle_join(struct query *query, const void *connection_options);
void bundle_leave(struct query *query);

/* The request for this query answers its whole bundle: the others are due, too, once
 * bundle_advance() has come to them. */
void bundle_take_along(const struct query *first, int64_t now_ms);

/* The next query of that bundle is due, unless it is fresh. False: there is none. */
bool bundle_advance(struct connection *connection, int64_t now_ms);

#endif
