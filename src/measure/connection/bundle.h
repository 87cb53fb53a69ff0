/*
 * Bundles: queries of a connection that one request measures together.
 *
 * Threads: as connection.h has it.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_BUNDLE_H
#define BACKLOG_MEASURE_CONNECTION_BUNDLE_H

#include "measure/connection/connection_state.h"

/* The query joins its bundle, if its scaler has bundles, or leaves it. */
void bundle_join(struct query *query, const void *connection_options);
void bundle_leave(struct query *query);

/* The request for `first` answers its whole bundle. bundle_advance() then makes the other queries
 * due, too; at most every 500 ms per bundle. */
void bundle_take_along(const struct query *first, int64_t now_ms);

/* The next query of that bundle is due, unless its reading is fresh. False: there is no further
 * query. */
bool bundle_advance(struct connection *connection);

#endif
