/* The client of a connection: when one is made, and what its end means. connection_attempts.c has
 * the attempts to measure queries. */
#include "measure/connection/connection.h"

#include "base/clock.h"
#include "measure/connection/bundle.h"
#include "measure/connection/query_internal.h"
#include "measure/connection/subscription.h"

#include <stdlib.h>
#include <sys/param.h>

enum {
    /* A query that was in flight when so many clients in a row were lost may be the cause. It is
     * spaced out like one that timed out, so that the others are measured. */
    MAX_LOSSES = 2,
    /* How many queries a walk changes between two pauses: half a millisecond's work. */
    QUERIES_AT_A_TIME = 500,
};

void connection_init(struct connection *connection, const struct connection_settings *settings,
                     const struct scaler *scaler, char *address, const struct connection_user *user,
                     int64_t now_ms)
{
    enum { ISOLATED_DEFAULT = 16 };
    size_t max_tasks = scaler->max_tasks == 0 ? SIZE_MAX : scaler->max_tasks;
    pthread_mutex_init(&connection->lock, NULL);
    connection->settings = settings;
    connection->scaler = scaler;
    connection->made_at_ms = now_ms;
    connection->completed_at_us = now_ms * 1000;
    connection->stats.counts[COUNT_CONNECTIONS] = 1;
    naming_init(&connection->naming, scaler, address, user);
    connection->log.naming = &connection->naming;
    schedule_init(&connection->schedule, max_tasks,
                  scaler->isolated == 0 ? ISOLATED_DEFAULT : scaler->isolated, now_ms);
    connection->schedule.served_from_ms = CLOCK_NEVER;
}

void connection_done(struct connection *connection)
{
    struct query *query;
    struct query *next;
    HASH_ITER(hh, connection->queries, query, next)
        query_free(query);
    schedule_done(&connection->schedule);
    free(connection->subscribed.places);
    free(connection->unsubscribes);
    naming_done(&connection->naming);
    error_done(&connection->error);
    pthread_mutex_destroy(&connection->lock);
}

enum client_state connection_client_state(const struct connection *connection)
{
    static const enum client_state clients[] = {[CONNECTION_DISCONNECTED] = CLIENT_DISCONNECTED,
                                                [CONNECTION_CONNECTING] = CLIENT_DISCONNECTED,
                                                [CONNECTION_CONNECTED] = CLIENT_CONNECTED,
                                                [CONNECTION_FAILED] = CLIENT_FAILED};
    return clients[connection->state];
}

bool connection_is_unused(const struct connection *connection)
{
    return connection->used_queries == 0;
}

/* ---- many queries at once ---- */

static void pause_after(struct connection *connection, size_t done)
{
    connection_pause_after(connection, done, QUERIES_AT_A_TIME);
}

/* With pauses, in which queries may be acquired and released. */
static void visit_all(struct connection *connection,
                      void (*visit)(struct query *query, int64_t now_ms), int64_t now_ms)
{
    size_t done = 0;
    struct query *query;
    connection->next_walked = connection->queries;
    while ((query = connection->next_walked) != NULL) {
        connection->next_walked = query->hh.next;
        visit(query, now_ms);
        pause_after(connection, ++done);
    }
}

/* ---- connecting ---- */

/* If the connection has failed, a client is made even if no query is ready. */
bool connection_wants_client(struct connection *connection, int64_t now_ms)
{
    bool may_connect =
        connection->state == CONNECTION_DISCONNECTED || connection->state == CONNECTION_FAILED;
    if (!may_connect || now_ms < connection->backoff.retry_at_ms ||
        connection_is_unused(connection))
        return false;
    return connection->state == CONNECTION_FAILED ||
           schedule_next_ms(&connection->schedule, now_ms) <= now_ms;
}

void connection_connecting(struct connection *connection)
{
    if (connection->state != CONNECTION_FAILED) /* until then calls get the connection's error */
        connection->state = CONNECTION_CONNECTING;
}

/* All queries of a failed connection fail, though none is measured. If a call waits, the watchers
 * are notified, and the demand is withdrawn. Others find the failure in their next snapshot. */
static void fail_with_connection(struct query *query, int64_t now_ms)
{
    struct connection *connection = query->connection;
    if (query->known.is_measured)
        history_add_failure(query->history, now_ms);
    if (query->is_awaited)
        query_notify_watchers(query);
    if (query->job.timeouts == 0) /* a retry needs no call */
        schedule_withdraw(&connection->schedule, &query->job);
    query_plan(query, now_ms);
}

static void set_failed(struct connection *connection, const struct error *error, int64_t now_ms)
{
    bool is_new = connection->state != CONNECTION_FAILED;
    connection_log_client(&connection->log, LOG_LINE_FAILURE, error, "connection failed", now_ms);
    if (connection->stats.counts[COUNT_HELD_TRIGGERS] > 0)
        connection_log_held(&connection->log, error, now_ms);
    if (is_new)
        connection->failed_since_ms = now_ms;
    error_copy(&connection->error, error);
    connection->state = CONNECTION_FAILED;
    backoff_failed(&connection->backoff, &connection->settings->backoff, error, now_ms);
    if (is_new)
        visit_all(connection, fail_with_connection, now_ms);
}

void connection_refused(struct connection *connection, const struct error *error, int64_t now_ms)
{
    if (error->code == ERROR_CANCELLED) {
        if (connection->state == CONNECTION_CONNECTING)
            connection->state = CONNECTION_DISCONNECTED;
        return;
    }
    backoff_refused(&connection->backoff);
    connection->stats.counts[COUNT_FAILED_CONNECTS] += error->code != ERROR_NOT_STARTED;
    set_failed(connection, error, now_ms);
}

/* The connection is back after an outage: what has an interval, or a stream, is due now, and calls
 * go first. */
static void catch_up(struct query *query, int64_t now_ms)
{
    struct connection *connection = query->connection;
    history_add_gap(query->history);
    if (query->losses < MAX_LOSSES)
        schedule_hasten(&connection->schedule, &query->job, now_ms);
    bool is_called = query->job.is_demanded; /* in a pause of this walk: it goes first anyway */
    if (is_called || query->job.timeouts > 0)
        return;
    query->was_away = true;
    /* What was due before is late since now, too. */
    schedule_withdraw(&connection->schedule, &query->job);
    schedule_set_due(&connection->schedule, &query->job, CLOCK_NEVER);
    query_plan(query, now_ms);
}

void connection_connected(struct connection *connection, int64_t now_ms)
{
    bool had_failed = connection->state == CONNECTION_FAILED;
    connection->state = CONNECTION_CONNECTED;
    connection->stats.counts[COUNT_CONNECTS]++;
    backoff_connected(&connection->backoff, now_ms);
    connection->completed_at_us = now_ms * 1000;
    connection->timeouts_since_answer = 0;
    connection->must_replace_client = false;
    connection->schedule.served_from_ms = now_ms;
    if (had_failed)
        visit_all(connection, catch_up, now_ms);
}

/* ---- losing the client ---- */

/* In the pauses subscriptions leave the table, but none is added or moved. */
static void forget_subscriptions(struct connection *connection, int64_t now_ms)
{
    size_t done = 0;
    for (size_t i = 0; i < connection->subscribed.count; i++) {
        struct query *query = connection->subscribed.places[i].query;
        if (query == NULL)
            continue;
        subscription_forget(query, now_ms);
        query_plan(query, now_ms);
        pause_after(connection, ++done);
    }
    connection->unsubscribes_count = 0;
}

static void fail_lost(struct query *query, const struct error *error, int64_t now_ms)
{
    struct connection *connection = query->connection;
    struct schedule *schedule = &connection->schedule;
    bool is_spaced_out = ++query->losses >= MAX_LOSSES || query->job.timeouts > 0;
    connection->stats.counts[COUNT_TIMED_OUT]++;
    query->was_resent = false;
    query_set_failed(query, error, now_ms);
    schedule_end(schedule, &query->job, is_spaced_out ? JOB_END_TIMED_OUT : JOB_END_LOST, now_ms);
    /* At a random time. Otherwise all queries that were in flight are sent together again, and the
     * one that breaks the client fails the others again. */
    if (is_spaced_out)
        schedule_postpone(schedule, &query->job,
                          connection->settings->backoff.jitter(SCHEDULE_RETRY_MIN_MS));
}

/* The query was in flight. Returns whether it is sent once more. */
static bool resend_or_fail(struct query *query, const struct error *error, int64_t now_ms)
{
    bool is_resent = error == NULL || connection_client_may_have_died(query);
    query->task.has_ended = true;
    if (is_resent) {
        query->was_resent = query->was_resent || error != NULL;
        schedule_end(&query->connection->schedule, &query->job, JOB_END_RETURNED, now_ms);
    } else
        fail_lost(query, error, now_ms);
    query_plan_or_free(query, now_ms);
    return is_resent;
}

/*
 * What becomes of the queries in flight and of the connection; the first row that matches counts:
 *
 *     error == NULL                all queries in flight are sent once more, by a client that is
 *                                  made at once
 *     the client may have died     these are sent once more, by a client that is made at once. The
 *     before some were sent        others in flight fail alone, as after any failed attempt
 *     some are in flight           all of them fail, and the connection is FAILED
 *     none is in flight            nothing fails. The next client, made after backoff_hung_up(),
 *                                  shows whether the source works
 */
void connection_lost(struct connection *connection, const struct error *error, int64_t now_ms)
{
    struct schedule *schedule = &connection->schedule;
    struct job *job;
    bool any_resent = false;
    size_t done = 0;
    connection->state = CONNECTION_DISCONNECTED; /* before the first pause: there is no client */
    schedule->served_from_ms = CLOCK_NEVER;
    forget_subscriptions(connection, now_ms);
    while ((job = schedule->sent) != NULL) {
        any_resent = resend_or_fail(query_of_job(job), error, now_ms) || any_resent;
        pause_after(connection, ++done);
    }
    backoff_lost(&connection->backoff, now_ms);
    connection->must_replace_client = false;
    if (error == NULL)
        return;
    if (any_resent)
        connection_log_client(&connection->log, LOG_LINE_PAUSE, error,
                              "the client died in a pause: reconnecting before anything fails",
                              now_ms);
    else if (done > 0)
        set_failed(connection, error, now_ms);
    else {
        connection_log_client(&connection->log, LOG_LINE_LOSS, error, "reconnecting", now_ms);
        backoff_hung_up(&connection->backoff, &connection->settings->backoff, error, now_ms);
    }
}

/* ---- time ---- */

int64_t connection_advance(struct connection *connection)
{
    size_t done = 0;
    int64_t now_us = connection->settings->now_us();
    while (bundle_advance(connection) || schedule_advance(&connection->schedule, now_us / 1000)) {
        pause_after(connection, ++done);
        now_us = connection->settings->now_us();
    }
    return now_us;
}

int64_t connection_next_ms(struct connection *connection, int64_t now_ms)
{
    if (connection->must_replace_client || connection_wants_client(connection, now_ms))
        return now_ms;
    int64_t next_ms = schedule_next_ms(&connection->schedule, now_ms);
    bool is_retried = connection->state == CONNECTION_FAILED && !connection_is_unused(connection);
    int64_t retry_at_ms = connection->backoff.retry_at_ms;
    bool is_backing_off = connection->state != CONNECTION_CONNECTED && next_ms < retry_at_ms;
    return is_retried || is_backing_off ? retry_at_ms : next_ms;
}
