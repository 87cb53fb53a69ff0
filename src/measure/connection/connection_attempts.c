/* One attempt to measure a query: when it is sent, and what its end means. */
#include "measure/connection/connection.h"

#include "base/log.h"
#include "base/memory.h"
#include "measure/connection/bundle.h"
#include "measure/connection/query_internal.h"
#include "measure/connection/subscription.h"

#include <stdlib.h>
#include <sys/param.h>

enum {
    WARN_EVERY_MS = 60 * 1000, /* that a source cannot keep up */
    /* After so many time-outs without any answer in between, the client is replaced: only a new one
     * shows whether the source is dead. A single time-out is more likely a query that hangs. */
    MAX_TIMEOUTS = 2,
};

/* ---- how the source keeps up ---- */

int64_t connection_effective_interval_ms(const struct connection *connection, int64_t now_ms)
{
    int64_t interval_ms = connection->settings->interval_ms;
    int64_t delay_ms = schedule_recent_delay_ms(&connection->schedule, now_ms);
    return MIN(interval_ms + delay_ms, MAX(interval_ms, CONNECTION_MAX_DELAY_MS));
}

static void warn_of_delay(struct connection *connection, int64_t now_ms)
{
    const struct schedule *schedule = &connection->schedule;
    if (schedule->max_tasks == SIZE_MAX ||
        now_ms - connection->warned_of_delay_ms < WARN_EVERY_MS ||
        schedule_delay_ms(schedule, now_ms) <= connection->settings->interval_ms)
        return;
    connection->warned_of_delay_ms = now_ms;
    struct log_fields fields = naming_fields(&connection->naming, NULL);
    log_about(&fields, LOG_LEVEL_WARNING,
              "%s: the source cannot keep up: its %zu queries need %.1f s per round with %zu at a "
              "time; readings are up to %.1f s old",
              connection->naming.label, (size_t)HASH_COUNT(connection->queries),
              (double)schedule->durations_ms / 1000 / (double)schedule->max_tasks,
              schedule->max_tasks,
              (double)connection_effective_interval_ms(connection, now_ms) / 1000);
}

/* ---- measuring ---- */

/* The last time, by itself. */
static bool took_long(const struct job *job)
{
    return job->duration_ms >= CONNECTION_SLOW_MS && !job->shares_request;
}

struct query *connection_take(struct connection *connection, int64_t now_us)
{
    int64_t now_ms = now_us / 1000;
    if (connection->state != CONNECTION_CONNECTED || connection->must_replace_client)
        return NULL;
    struct job *job = schedule_take(&connection->schedule, now_ms);
    if (job == NULL) {
        warn_of_delay(connection, now_ms);
        return NULL;
    }
    struct query *query = query_of_job(job);
    struct task *task = &query->task;
    query->sent_us = query->taken_us = now_us;
    query->was_away = false;
    task->feed = connection->feed;
    task->has_ended = false;
    task->last_duration_ms = query->job.duration_ms;
    task->isolate = job->is_isolated || took_long(job);
    task->wants = query->wants;
    task->is_subscribed = false;
    error_done(&task->subscribe_error);
    free(TAKE(task->note));
    subscription_sent(query, now_ms);
    bundle_take_along(query, now_ms);
    return query;
}

void connection_query_started(struct query *query, int64_t now_us)
{
    query->sent_us = now_us;
    schedule_started(&query->connection->schedule, &query->job, now_us / 1000);
}

/* The source has answered. */
static void set_working(struct connection *connection, int64_t now_us)
{
    if (!connection->must_replace_client) /* else the next client shows whether the source works */
        connection_log_answered(&connection->log, now_us / 1000);
    backoff_answered(&connection->backoff);
    error_done(&connection->error);
    connection->completed_at_us = now_us;
    connection->timeouts_since_answer = 0;
}

bool connection_client_may_have_died(const struct query *query)
{
    return !query->was_resent && query->job.timeouts == 0 &&
           query->job.sent_ms - query->connection->completed_at_us / 1000 >= CONNECTION_PAUSE_MS;
}

static void replace_client(struct connection *connection, enum log_line line, const char *what,
                           const struct error *error, int64_t now_ms)
{
    if (!connection->must_replace_client)
        connection_log_client(&connection->log, line, error, what, now_ms);
    connection->must_replace_client = true;
}

static void end_timed_out(struct query *query, const struct error *error, int64_t now_ms)
{
    struct connection *connection = query->connection;
    if (connection_client_may_have_died(query)) {
        query->was_resent = true;
        replace_client(connection, LOG_LINE_PAUSE,
                       "the client may have died in a pause: reconnecting before anything fails",
                       error, now_ms);
        schedule_end(&connection->schedule, &query->job, JOB_END_RETURNED, now_ms);
        return;
    }
    bool is_after_last_reply = query->sent_us >= connection->completed_at_us;
    size_t max = HASH_COUNT(connection->queries) == 1 ? 1 : MAX_TIMEOUTS;
    if (is_after_last_reply && ++connection->timeouts_since_answer >= max)
        replace_client(connection, LOG_LINE_LOSS, "nothing is answered: reconnecting", error,
                       now_ms);
    connection->stats.counts[COUNT_TIMED_OUT]++;
    query->was_resent = false;
    schedule_end(&connection->schedule, &query->job, JOB_END_TIMED_OUT, now_ms);
    query_set_failed(query, error, now_ms);
}

static void note_round_trip(struct connection *connection, int64_t duration_us)
{
    enum { SHARE = 8 }; /* of the last one in the average */
    double average_us = connection->round_trip_us;
    connection->round_trip_us = average_us == 0
                                    ? (double)duration_us
                                    : average_us + ((double)duration_us - average_us) / SHARE;
}

static bool counts(struct query *query, const struct reading *reading, int64_t now_ms)
{
    const struct query_known *known = &query->known;
    const struct zero_facts facts = {
        .reading = reading,
        .before = known->is_measured ? &known->reading : NULL,
        .has_failed = known->last_attempt == ATTEMPT_FAILED,
        .settles_ms = query->connection->scaler->zero_settles_ms,
        .client_since_ms = query->connection->schedule.served_from_ms,
        .sent_ms = query->job.sent_ms,
        .now_ms = now_ms,
    };
    return zero_counts(&query->zero, &facts);
}

static void end_answered(struct query *query, const struct reading *reading,
                         const struct error *error, int64_t now_us)
{
    struct connection *connection = query->connection;
    int64_t now_ms = now_us / 1000;
    set_working(connection, now_us);
    query->was_resent = false;
    query->losses = 0;
    note_round_trip(connection, now_us - query->sent_us);
    histogram_add(&connection->stats.measurement_seconds,
                  (double)(now_ms - query->job.sent_ms) / 1000);
    if (reading != NULL) {
        connection->stats.counts[COUNT_ANSWERED]++;
        if (counts(query, reading, now_ms))
            query_set_reading(query, reading, now_us);
        else
            query_set_in_doubt(query);
        if (!query->known.is_outdated)
            query->notified_at_us = 0;
    } else {
        connection->stats.counts[COUNT_FAILED]++;
        query_set_failed(query, error, now_ms);
    }
    schedule_end(&connection->schedule, &query->job, JOB_END_ANSWERED, now_ms);
}

void connection_query_ended(struct query *query, enum task_outcome outcome,
                            const struct reading *reading, const struct error *error,
                            int64_t now_us)
{
    struct schedule *schedule = &query->connection->schedule;
    int64_t now_ms = now_us / 1000;
    subscription_measured(query, outcome, now_ms);
    switch (outcome) {
    case TASK_ANSWERED:
    case TASK_FAILED:
        end_answered(query, reading, error, now_us);
        break;
    case TASK_TIMED_OUT:
        end_timed_out(query, error, now_ms);
        break;
    case TASK_RETURNED:
        schedule_end(schedule, &query->job, JOB_END_RETURNED, now_ms);
        break;
    case TASK_ISOLATED:
        schedule_end(schedule, &query->job, JOB_END_ISOLATED, now_ms);
        break;
    }
    query_plan_or_free(query, now_ms);
}

/* ---- notifications ---- */

void connection_notify(struct connection *connection, uint64_t id, int64_t now_us)
{
    struct query *query = subscription_take_ended(connection, id);
    if (query == NULL)
        return;
    int64_t now_ms = now_us / 1000;
    connection->stats.counts[COUNT_NOTIFICATIONS]++;
    if (query->notified_at_us == 0)
        query->notified_at_us = now_us;
    query->outdated_from_us = now_us;
    query->known.is_outdated = true;
    bool was_alert = query->push.alert_ms > 0;
    push_notify(&query->push);
    /* The attempt in flight began before the message came, whenever it counts as sent: another one
     * is needed. An alert query is measured again soon anyway (push.h). */
    if (!was_alert) {
        bool in_flight = query->job.state == JOB_IN_FLIGHT;
        schedule_demand(&connection->schedule, &query->job, in_flight ? INT64_MAX : now_ms, now_ms);
    }
    query_plan(query, now_ms);
}

void connection_lose_subscription(struct connection *connection, uint64_t id, int64_t now_ms)
{
    struct query *query = subscription_take_ended(connection, id);
    if (query == NULL)
        return;
    push_forget(&query->push, now_ms);
    query_plan(query, now_ms);
}

bool connection_next_unsubscribe(struct connection *connection, uint64_t *ret_id)
{
    if (connection->unsubscribes_count == 0 || connection->state != CONNECTION_CONNECTED)
        return false;
    *ret_id = connection->unsubscribes[--connection->unsubscribes_count];
    return true;
}
