#include "measure/connection/inherit.h"

#include "base/memory.h"
#include "measure/connection/query_internal.h"

#include <sys/param.h>

void query_remember(struct query *query, struct former_query *ret_former)
{
    _cleanup_(connection_unlock) struct connection *connection = connection_locked(query);
    ret_former->query = query;
    query_copy_known(query, &ret_former->snapshot);
    ret_former->recent = query->recent == NULL ? (struct recent_samples){0} : *query->recent;
    ret_former->outdated_from_us = query->outdated_from_us;
    ret_former->is_shared = query->uses > 1;
    /* The gap of an outage is noted only when the connection is back (catch_up() in connection.c),
     * of some queries at a time: of this one perhaps not yet. */
    if (connection->state == CONNECTION_FAILED || connection_is_catching_up(connection))
        recent_samples_add_gap(&ret_former->recent);
}

void former_query_done(struct former_query *former)
{
    snapshot_done(&former->snapshot);
}

/* The heir may have been measured before the notification, have inherited a reading of before it,
 * or be in flight since then. */
static void inherit_notification(struct query *query, int64_t outdated_from_us)
{
    struct query_known *known = &query->known;
    query->outdated_from_us = MAX(query->outdated_from_us, outdated_from_us);
    if (known->is_measured && known->taken_us < query->outdated_from_us)
        known->is_outdated = true;
}

static void inherit_known(struct query *query, const struct snapshot *former)
{
    struct query_known *known = &query->known;
    if (!former->known.is_measured || known->is_measured)
        return;
    query_set_last_attempt(query, former->known.last_attempt);
    query_known_done(known);
    snapshot_copy_known(&former->known, known);
    known->failed_at_ms = 0; /* the new query did not fail itself: the next call has it measured */
    outage_inherit(&query->outage, former->failing_since_ms, former->no_reading_since_ms,
                   connection_now_ms(query->connection));
}

static void inherit_samples(struct query *query, const struct recent_samples *former)
{
    if (query->recent == NULL || query->recent->count > 0 || former->count == 0)
        return;
    int64_t interval_ms = query->recent->interval_ms;
    *query->recent = *former;
    query->recent->interval_ms = interval_ms;
}

static void inherit_history(struct query *query, const struct former_query *former)
{
    struct history *history = query->connection->settings->history;
    if (former->is_shared)
        history_copy(history, &former->query->series, &query->series);
    else
        history_move(history, &former->query->series, &query->series);
}

void query_inherit(struct query *query, const struct former_query *former)
{
    if (query->number == 0)
        query->number = former->query->number;
    inherit_known(query, &former->snapshot);
    inherit_notification(query, former->outdated_from_us);
    inherit_samples(query, &former->recent);
    inherit_history(query, former);
}
