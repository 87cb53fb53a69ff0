/* Copies of what is known of a query and of its connection. */
#include "base/memory.h"
#include "base/text.h"
#include "measure/connection/connection.h"
#include "measure/connection/query_internal.h"

#include <stdio.h>
#include <sys/param.h>

/*
 * For how long the source has answered nothing, if waiting for this query is of no use; 0: it may
 * be answered. Waiting is of no use if nothing was answered for CONNECTION_STUCK_MS, in which
 * these were in flight:
 *
 *     this query, or
 *     CONNECTION_STUCK_QUERIES others: a single one may be a query that hangs. A query that timed
 *     out last does not count. One that took long the last time counts after SLOW_TIMES as long
 *
 * The walk is in the order of sending. It ends with the second query that counts, or with one that
 * was sent less than CONNECTION_STUCK_MS ago: it visits at most the scaler's max_tasks.
 */
static int64_t stuck_for_ms(const struct query *query, int64_t now_ms)
{
    enum { SLOW_TIMES = 2 };
    const struct connection *connection = query->connection;
    struct job *job;
    unsigned stuck = 0;
    int64_t for_ms = 0;
    int64_t completed_at_ms = connection->completed_at_us / 1000;
    if (now_ms - completed_at_ms < CONNECTION_STUCK_MS)
        return 0;
    for (job = connection->schedule.sent; job != NULL && stuck < CONNECTION_STUCK_QUERIES;
         job = job->next) {
        int64_t silent_ms = now_ms - MAX(job->sent_ms, completed_at_ms);
        if (silent_ms < CONNECTION_STUCK_MS)
            break;
        bool is_own = job == &query->job;
        bool is_slow = silent_ms < SLOW_TIMES * query_of_job(job)->known.duration_ms;
        if (!is_own && (job->timeouts > 0 || is_slow))
            continue;
        for_ms = MAX(for_ms, silent_ms);
        stuck += is_own ? CONNECTION_STUCK_QUERIES : 1;
    }
    return stuck < CONNECTION_STUCK_QUERIES ? 0 : for_ms;
}

static void copy_known(const struct query *query, struct snapshot *ret_snapshot)
{
    struct connection *connection = query->connection;
    int64_t now_ms = connection_now_ms(connection);
    bool has_failed = connection->state == CONNECTION_FAILED;
    *ret_snapshot = (struct snapshot){
        .known = query->known,
        .is_retried = has_failed || query->job.timeouts > 0,
        .zero_since_ms = query->zero.since_ms,
        .effective_interval_ms = connection_effective_interval_ms(connection, now_ms),
        .stuck_for_ms = stuck_for_ms(query, now_ms),
    };
    if (has_failed) {
        ret_snapshot->known.last_attempt = ATTEMPT_FAILED;
        ret_snapshot->known.failed_at_ms = now_ms;
    }
    snapshot_copy_known(&ret_snapshot->known, &ret_snapshot->known);
    if (has_failed)
        error_copy(&ret_snapshot->known.error, &connection->error);
}

void query_snapshot(const struct query *query, struct snapshot *ret_snapshot)
{
    _cleanup_(connection_unlock) struct connection *guard = connection_locked(query);
    copy_known(query, ret_snapshot);
}

/* A reading without what the follower wants is none for it: it waits for the next one. */
static void hide_from(const struct follower *follower, struct query_known *known)
{
    if ((follower->wants & ~known->wants) == 0)
        return;
    known->is_outdated = true;
    known->is_measured = known->is_measured && follower->last_reading_ms > 0;
}

void query_snapshot_with(const struct query *query, const struct follower *follower,
                         struct snapshot *ret_snapshot, void *copy)
{
    _cleanup_(connection_unlock) struct connection *guard = connection_locked(query);
    copy_known(query, ret_snapshot);
    hide_from(follower, &ret_snapshot->known);
    follower->copy(follower, copy);
}

void query_get_state(const struct query *query, struct query_state *ret_state)
{
    _cleanup_(connection_unlock) struct connection *connection = connection_locked(query);
    *ret_state = (struct query_state){
        .number = query->number,
        .connection_number = connection->number,
        .client = connection_client_state(connection),
        .is_isolated = query->job.is_isolated || query->job.timeouts > 0,
        .is_subscribed = query->is_subscribed,
        .interval_ms = query_interval_ms(query),
        .effective_interval_ms =
            connection_effective_interval_ms(connection, connection_now_ms(connection)),
    };
    const char *title = connection->naming.title;
    snprintf(ret_state->connection, sizeof(ret_state->connection), "%.*s",
             (int)text_cut(title, sizeof(ret_state->connection) - 1), title);
}

size_t query_history(const struct query *query, int64_t from_ms,
                     struct history_sample **ret_samples)
{
    _cleanup_(connection_unlock) struct connection *guard = connection_locked(query);
    return history_read(query->history, from_ms, ret_samples);
}

struct history_rates query_rates(const struct query *query)
{
    _cleanup_(connection_unlock) struct connection *guard = connection_locked(query);
    return history_rates(query->history);
}
