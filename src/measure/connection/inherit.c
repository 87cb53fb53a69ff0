#include "measure/connection/inherit.h"

#include "base/memory.h"
#include "measure/connection/query_internal.h"

#include <sys/param.h>

void query_remember(struct query *query, struct former_query *ret_former)
{
    _cleanup_(connection_unlock) struct connection *connection = connection_locked(query);
    ret_former->query = query;
    query_copy_known(query, &ret_former->snapshot);
    ret_former->history = history_copy(query->history);
    ret_former->outdated_from_us = query->outdated_from_us;
    /* The gap of an outage is noted only when the connection is back (catch_up() in connection.c),
     * of some queries at a time: of this one perhaps not yet. */
    if (connection->state == CONNECTION_FAILED || connection_is_catching_up(connection))
        history_add_gap(ret_former->history);
}

void former_query_done(struct former_query *former)
{
    snapshot_done(&former->snapshot);
    history_free(former->history);
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

static void inherit_history(struct query *query, const struct history *former)
{
    if (query->history == NULL || query->history->last.at_ms != INT64_MIN || former == NULL)
        return;
    int64_t interval_ms = query->history->interval_ms;
    history_free(query->history);
    query->history = history_copy(former);
    query->history->interval_ms = interval_ms;
}

void query_inherit(struct query *query, const struct former_query *former)
{
    if (query->number == 0)
        query->number = former->query->number;
    inherit_known(query, &former->snapshot);
    inherit_notification(query, former->outdated_from_us);
    inherit_history(query, former->history);
}
