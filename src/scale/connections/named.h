/*
 * Named connections: what the connections file says, joined with what the scalers know and what a
 * trigger asks.
 */
#ifndef BACKLOG_SCALE_CONNECTIONS_NAMED_H
#define BACKLOG_SCALE_CONNECTIONS_NAMED_H

#include "base/error.h"
#include "config/connections.h"
#include "measure/scaler.h"

/* Is every connection right by its scaler's table? Adds the mistakes of each to it; not where it
 * has some. */
void named_check(struct connections *connections, const struct scaler *const *scalers);

/*
 * The trigger's entries with its connection's in place of its own. The trigger may repeat a
 * connection key only with the same value or none: it could send the connection's password to
 * another host otherwise. A secret it may not repeat at all. Both are added to `mistakes`. The
 * caller frees the array, not the strings.
 */
struct option_entry *named_join(const struct named_connection *connection,
                                const struct option *table, const struct option_entry *entries,
                                size_t count, size_t *ret_count, struct error *mistakes);

/* Adds why there is no scaler of this name, and those there are; `name` is NULL where none was
 * given. */
void scaler_add_unknown(const struct scaler *const *scalers, const char *name,
                        struct error *mistakes);

#endif
