/*
 * What a query inherits from the query whose place it takes. For example a trigger's credentials
 * were rotated, and the same queue is measured on another connection.
 *
 *     struct former_query former = {0};
 *     query_remember(old, &former);
 *     query_inherit(new, &former);      before query_begin_use(new, ...)
 *     former_query_done(&former);
 *
 * The new query gets:
 *
 *     what is known   the reading, its outage and so on, until it has a reading of its own
 *     notifications   a notification outdates what began before it, of the new query, too
 *     history         a copy, if it keeps one and has no reading
 *     number          if it has none yet. So whoever adds up the readings of queries counts the
 *                     queue once, while some triggers use the old query and some the new one
 *
 * Threads: query_remember() takes the lock of the old query's connection. query_inherit() is called
 * with the lock of the new query's. The engine's map is locked from the one call to the other.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_INHERIT_H
#define BACKLOG_MEASURE_CONNECTION_INHERIT_H

#include "measure/snapshot.h"

struct query;

/* Start from {0}. Borrows the query. */
struct former_query {
    struct query *query;
    struct snapshot snapshot;
    struct history *history; /* a copy; NULL: it had none */
    int64_t outdated_from_us;
};

void query_remember(struct query *query, struct former_query *ret_former);
void query_inherit(struct query *query, const struct former_query *former);
void former_query_done(struct former_query *former);

#endif
