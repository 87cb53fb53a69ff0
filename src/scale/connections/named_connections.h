/*
 * Named connections: what the connections file or a namespace's Secret says, joined with the
 * scalers' options and with a trigger's own entries.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALE_CONNECTIONS_NAMED_CONNECTIONS_H
#define BACKLOG_SCALE_CONNECTIONS_NAMED_CONNECTIONS_H

#include "base/error.h"
#include "config/connections.h"
#include "measure/scaler.h"

/* Parses every connection by its scaler's table: each gets its values, or its mistakes. One that
 * has mistakes already is left as it is. */
void named_connections_check(struct connections *connections, const struct scaler *const *scalers);

/* The values of its keys, which are parsed now where named_connections_check() was not called. Adds
 * the mistakes. The caller frees the values. */
struct option_values *named_connections_values(const struct named_connection *connection,
                                               const struct scaler *scaler, struct error *mistakes);

/*
 * The trigger's entries without those that its connection has in their place. The trigger may
 * repeat a connection key only with the same value or none: it could send the connection's password
 * to another host otherwise. A secret it may not repeat at all. Both are added to `mistakes`. The
 * values are the connection's. The caller frees the array, not the strings.
 */
struct option_entry *named_connections_entries_beside(const struct named_connection *connection,
                                                      const struct option_values *values,
                                                      const struct option_entry *entries,
                                                      size_t count, size_t *ret_count,
                                                      struct error *mistakes);

#endif
