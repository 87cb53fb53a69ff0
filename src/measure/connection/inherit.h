/*
 * What a query has from the one whose place it takes: a trigger's credentials were rotated, say,
 * and the same queue is measured on another connection.
 *
 *     struct former_query former = {0};
 *     query_remember(old, &former);
 *     query_inherit(new, &former);      before this use begins (query_begin_use())
 *     former_query_done(&former);
 *
 * Until it has a reading of its own, the query has what is known of the old one. It gets the recent
 * samples, if it keeps some and has none, and the history, or a copy if others use the old one. A
 * new query has the number of the old one: so who adds up readings while triggers move from one to
 * the other counts them once.
 *
 * Threads: query_remember() takes the lock of the old query's connection; query_inherit() is called
 * with that of the new one's. The engine's map is locked in between.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_INHERIT_H
#define BACKLOG_MEASURE_CONNECTION_INHERIT_H

#include "measure/recent_samples.h"
#include "measure/snapshot.h"

struct query;

/* Start from {0}. It borrows the query. */
struct former_query {
    struct query *query;
    struct snapshot snapshot;
    struct recent_samples recent;
    bool is_shared; /* others use it, too */
};

void query_remember(struct query *query, struct former_query *ret_former);
void query_inherit(struct query *query, const struct former_query *former);
void former_query_done(struct former_query *former);

#endif
