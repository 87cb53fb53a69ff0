#include "measure/connection/query_internal.h"

#include "base/hash_table.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/connection/bundle.h"
#include "measure/connection/follower.h"
#include "measure/connection/subscription.h"

#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <utlist.h>

/* ---- making and freeing ---- */

struct query *query_for_values(struct connection *connection, const struct option_values *values,
                               const void *connection_options)
{
    const struct scaler *scaler = connection->scaler;
    struct query *query = NULL;
    /* Outsiders choose the identities, so the hash is keyed. */
    HASH_FIND_STR(connection->queries, values->identity, query);
    if (query != NULL)
        return query;

    query = memory_new(sizeof(*query));
    query->connection = connection;
    query->values = option_values_share(values);
    query->task.values = query->values;
    query->task.query = query->values->data;
    query->task.notifier = connection->notifier;
    query->task.has_ended = true;
    query->job = JOB_NEW;
    query->known.duration_ms = -1;
    query->known.sent_ms = INT64_MIN;
    query->history = connection->settings->keeps_history ? history_new() : NULL;
    query->task.timeout_ms =
        scaler->timeout_ms > 0 ? scaler->timeout_ms : connection->settings->timeout_ms;
    HASH_ADD_KEYPTR(hh, connection->queries, query->values->identity,
                    strlen(query->values->identity), query);
    bundle_join(query, connection_options);
    connection->stats.counts[COUNT_QUERIES]++;
    return query;
}

/* And with it COUNT_FAILING_QUERIES: nothing else changes either. */
static void set_last_attempt(struct query *query, enum last_attempt attempt)
{
    uint64_t *failing = &query->connection->stats.counts[COUNT_FAILING_QUERIES];
    *failing -= query->known.last_attempt == ATTEMPT_FAILED;
    *failing += attempt == ATTEMPT_FAILED;
    query->known.last_attempt = attempt;
}

void query_free(struct query *query)
{
    struct connection *connection = query->connection;
    subscription_drop(query);
    set_last_attempt(query, ATTEMPT_NONE);
    bundle_leave(query);
    schedule_remove(&connection->schedule, &query->job);
    if (connection->next_walked == query)
        connection->next_walked = query->hh.next;
    HASH_DELETE(hh, connection->queries, query);
    connection->stats.counts[COUNT_QUERIES]--;
    interval_set_done(&query->intervals);
    interval_set_done(&query->sample_intervals);
    interval_set_done(&query->idle_intervals);
    option_values_free(query->values);
    history_free(query->history);
    error_done(&query->task.subscribe_error);
    free(query->task.note);
    query_known_done(&query->known);
    free(query);
}

/* ---- who uses it ---- */

void query_begin_use(struct query *query, int64_t interval_ms, int64_t now_ms)
{
    query->connection->used_queries += query->uses == 0;
    query->uses++;
    if (interval_ms > 0)
        interval_set_add(&query->intervals, interval_ms);
    else
        query->uses_without_interval++;
    query_plan(query, now_ms);
}

void query_end_use(struct query *query, int64_t interval_ms, int64_t now_ms)
{
    if (interval_ms > 0)
        interval_set_remove(&query->intervals, interval_ms);
    else
        query->uses_without_interval--;
    if (--query->uses > 0) {
        query_plan(query, now_ms);
        return;
    }
    query->connection->used_queries--;
    if (query->job.state != JOB_IN_FLIGHT)
        query_free(query);
}

void query_plan_or_free(struct query *query, int64_t now_ms)
{
    if (query->uses == 0)
        query_free(query);
    else
        query_plan(query, now_ms);
}

void query_want(struct query *query, unsigned wants)
{
    for (size_t want = 0; want < READING_WANTS; want++)
        query->wanted[want] += (wants & 1U << want) != 0;
    query->wants |= wants;
}

void query_end_want(struct query *query, unsigned wants)
{
    for (size_t want = 0; want < READING_WANTS; want++)
        if ((wants & 1U << want) != 0 && --query->wanted[want] == 0)
            query->wants &= ~(1U << want);
}

void query_keep_history(struct query *query, int64_t interval_ms)
{
    interval_set_add(&query->sample_intervals, interval_ms);
    if (query->history == NULL)
        query->history = history_new();
    query->history->interval_ms = interval_set_shortest_ms(&query->sample_intervals);
}

void query_end_history(struct query *query, int64_t interval_ms)
{
    interval_set_remove(&query->sample_intervals, interval_ms);
    query->history->interval_ms = interval_set_shortest_ms(&query->sample_intervals);
    if (query->sample_intervals.count == 0 && !query->connection->settings->keeps_history)
        history_free(TAKE(query->history));
}

/* The gap of an outage is noted only when the connection is back (catch_up() in connection.c), of
 * some queries at a time: of this one perhaps not yet. */
void query_remember(const struct query *query, struct former_query *ret_former)
{
    _cleanup_(connection_unlock) struct connection *connection = connection_locked(query);
    snapshot_copy_known(&query->known, &ret_former->known);
    ret_former->number = query->number;
    ret_former->history = history_copy(query->history);
    if (connection->state == CONNECTION_FAILED || connection->next_walked != NULL)
        history_add_gap(ret_former->history);
}

static void take_known(struct query *query, const struct query_known *former)
{
    if (query->known.is_measured || !former->is_measured)
        return;
    set_last_attempt(query, former->last_attempt);
    query_known_done(&query->known);
    snapshot_copy_known(former, &query->known);
    query->known.is_outdated = true;
    query->known.failed_at_ms = 0; /* it did not fail itself: the next call has it measured */
}

static void take_history(struct query *query, const struct history *former)
{
    if (query->history == NULL || query->history->last.at_ms != INT64_MIN || former == NULL)
        return;
    int64_t interval_ms = query->history->interval_ms;
    history_free(query->history);
    query->history = history_copy(former);
    query->history->interval_ms = interval_ms;
}

void query_take(struct query *query, const struct former_query *former)
{
    query->number = query->number == 0 ? former->number : query->number;
    take_known(query, &former->known);
    take_history(query, former->history);
}

void former_query_done(struct former_query *former)
{
    query_known_done(&former->known);
    history_free(former->history);
}

/* ---- who waits for it ---- */

void query_demand(struct query *query, int64_t from_ms)
{
    _cleanup_(connection_unlock) struct connection *connection = connection_locked(query);
    int64_t now_ms = connection_now_ms(connection);
    query->is_awaited = true;
    if (connection->state != CONNECTION_FAILED)
        schedule_demand(&connection->schedule, &query->job, from_ms, now_ms);
    connection->settings->hooks.wake_poller(connection);
}

void query_look(struct query *query)
{
    _cleanup_(connection_unlock) struct connection *connection = connection_locked(query);
    int64_t now_ms = connection_now_ms(connection);
    int64_t sent_ms = query->job.sent_ms;
    bool is_new = sent_ms == INT64_MIN; /* then it is due */
    if (query->streams == 0 || is_new || now_ms - sent_ms < connection->settings->interval_ms)
        return;
    schedule_set_due(&connection->schedule, &query->job, now_ms);
    connection->settings->hooks.wake_poller(connection);
}

void query_notify_watchers(struct query *query)
{
    const struct connection_settings *settings = query->connection->settings;
    struct watcher *watcher;
    DL_FOREACH(query->watchers, watcher)
        settings->hooks.watcher_ready(settings->hooks.context, watcher);
}

/* ---- what is known of it ---- */

static void add_sample(struct query *query, const struct reading *reading)
{
    int64_t last_ms = INT64_MIN;
    /* Once, unless in a pause all uses with a history end, and others begin with a new one. */
    while (query->history != NULL && last_ms < query->job.sent_ms) {
        query->history->duration_ms = query->known.duration_ms; /* of the reading before this one */
        query->history->waited_ms = schedule_waited_ms(&query->connection->schedule, &query->job);
        query->history->wants = query->task.wants;
        history_add(query->history, query->job.sent_ms, reading);
        follower_hand_out(query);
        last_ms = query->history == NULL ? last_ms : query->history->sent_ms;
    }
}

void query_set_reading(struct query *query, const struct reading *reading, int64_t now_us)
{
    struct query_known *known = &query->known;
    add_sample(query, reading); /* first: no snapshot is newer than what a follower got */
    error_done(&known->error);
    set_last_attempt(query, ATTEMPT_GOOD);
    known->is_measured = true;
    known->reading = *reading;
    free(known->note);
    known->note = TAKE(query->task.note);
    known->wants = query->task.wants;
    known->sent_ms = query->job.sent_ms;
    known->duration_ms = MAX(now_us / 1000 - query->job.sent_ms, 0);
    known->began_at_us = query->sent_us;
    known->taken_us = query->taken_us;
    known->is_outdated = query->taken_us < query->outdated_from_us;
    if (query->notified_at_us > 0 && query->notified_at_us < known->began_at_us)
        known->began_at_us = query->notified_at_us;
    query->is_awaited = false;
    query_notify_watchers(query);
}

void query_set_in_doubt(struct query *query)
{
    query->known.is_outdated = true;
}

void query_set_failed(struct query *query, const struct error *error, int64_t now_ms)
{
    struct query_known *known = &query->known;
    set_last_attempt(query, ATTEMPT_FAILED);
    known->failed_at_ms = now_ms;
    error_copy(&known->error, error);
    zero_end(&query->zero);
    history_add_failure(query->history, now_ms);
    query->is_awaited = false;
    if (query->held_triggers > 0)
        connection_log_held(&query->connection->log, error, now_ms);
    query_notify_watchers(query);
}

/* ---- for people ---- */

static void log_held(const struct query *query, const char *why)
{
    struct connection *connection = query->connection;
    bool has_failed = connection->state == CONNECTION_FAILED || !error_is_set(&query->known.error);
    const struct error *error = has_failed ? &connection->error : &query->known.error;
    _cleanup_(error_done) struct error unanswered = {0};
    if (!error_is_set(error)) {
        error_unavailable(&unanswered, "%s", why);
        error = &unanswered;
    }
    connection_log_held(&connection->log, error, connection_now_ms(connection));
}

void query_count_held(struct query *query, int held, int expired, const char *why)
{
    _cleanup_(connection_unlock) struct connection *connection = connection_locked(query);
    uint64_t *counts = connection->stats.counts;
    query->held_triggers += held;
    counts[COUNT_HELD_TRIGGERS] += held;
    counts[COUNT_EXPIRED_TRIGGERS] += expired;
    if (held > 0)
        log_held(query, why);
    else if (counts[COUNT_HELD_TRIGGERS] == 0)
        connection_log_hold_over(&connection->log, why);
}
