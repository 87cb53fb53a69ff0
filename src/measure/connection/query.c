/* The queries of a connection: who uses and watches them, when they are due, what is known of
 * them. */
#include "measure/connection/query_internal.h"

#include "base/clock.h"
#include "base/hash_table.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/connection/bundle.h"
#include "measure/connection/subscription.h"

#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <utlist.h>

/* ---- making and freeing ---- */

struct query *query_of_values(struct connection *connection, const struct option_values *values,
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
    query->task.has_ended = true;
    query->job = JOB_NEW;
    query->known.duration_ms = -1;
    query->known.sent_ms = INT64_MIN;
    query->task.timeout_ms =
        scaler->timeout_ms > 0 ? scaler->timeout_ms : connection->settings->timeout_ms;
    HASH_ADD_KEYPTR(hh, connection->queries, query->values->identity,
                    strlen(query->values->identity), query);
    bundle_join(query, connection_options);
    connection->stats.counts[COUNT_QUERIES]++;
    return query;
}

size_t query_bytes(void)
{
    return sizeof(struct query);
}

static void set_answered(struct query *query)
{
    if (query->unanswered_since_ms == 0)
        return;
    query->unanswered_since_ms = 0;
    DL_DELETE2(query->connection->unanswered, query, prev_unanswered, next_unanswered);
}

void query_free(struct query *query)
{
    struct connection *connection = query->connection;
    subscription_free(query);
    set_answered(query);
    bundle_leave(query);
    history_drop(connection->settings->history, &query->series);
    schedule_remove(&connection->schedule, &query->job);
    if (connection->next_walked == query)
        connection->next_walked = query->hh.next;
    HASH_DELETE(hh, connection->queries, query);
    connection->stats.counts[COUNT_QUERIES]--;
    connection->stats.counts[COUNT_FAILING_QUERIES] -= query->known.last_attempt == ATTEMPT_FAILED;
    free(query->intervals);
    option_values_free(query->values);
    free(query->recent);
    error_done(&query->task.subscribe_error);
    error_done(&query->known.error);
    free(query);
}

/* ---- who uses it ---- */

/* Where it is, or belongs: one namespace may set ten thousand of them. */
static size_t find_interval(const struct query *query, int64_t interval_ms)
{
    size_t low = 0;
    size_t high = query->intervals_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (query->intervals[middle].interval_ms < interval_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool has_interval(const struct query *query, size_t at, int64_t interval_ms)
{
    return at < query->intervals_count && query->intervals[at].interval_ms == interval_ms;
}

static void add_interval(struct query *query, int64_t interval_ms)
{
    size_t at = find_interval(query, interval_ms);
    if (!has_interval(query, at, interval_ms)) {
        query->intervals = memory_grow(query->intervals, &query->intervals_capacity,
                                       query->intervals_count + 1, sizeof(*query->intervals));
        memmove(query->intervals + at + 1, query->intervals + at,
                (query->intervals_count++ - at) * sizeof(*query->intervals));
        query->intervals[at] = (struct interval_ref){.interval_ms = interval_ms};
    }
    query->intervals[at].uses++;
}

static void remove_interval(struct query *query, int64_t interval_ms)
{
    size_t at = find_interval(query, interval_ms);
    if (!has_interval(query, at, interval_ms) || --query->intervals[at].uses > 0)
        return;
    memmove(query->intervals + at, query->intervals + at + 1,
            (--query->intervals_count - at) * sizeof(*query->intervals));
}

void query_begin_use(struct query *query, int64_t interval_ms, int64_t now_ms)
{
    query->connection->used_queries += query->uses == 0;
    query->uses++;
    if (interval_ms > 0)
        add_interval(query, interval_ms);
    else
        query->uses_without_interval++;
    query_plan(query, now_ms);
}

void query_end_use(struct query *query, int64_t interval_ms, int64_t now_ms)
{
    if (interval_ms > 0)
        remove_interval(query, interval_ms);
    else
        query->uses_without_interval--;
    if (query->recent != NULL && query->intervals_count > 0)
        query->recent->interval_ms = query_shortest_interval_ms(query);
    if (--query->uses > 0) {
        query_plan(query, now_ms);
        return;
    }
    query->connection->used_queries--;
    if (query->job.state != JOB_IN_FLIGHT)
        query_free(query);
}

/* ---- when it is due ---- */

/* Who set an interval gets measurements at it, and so does a stream. Polls alone are measured when
 * they come; but what takes longer than a caller likes to wait is measured beforehand. */
int64_t query_interval_ms(const struct query *query)
{
    int64_t standard_ms = query->connection->settings->interval_ms;
    int64_t interval_ms = query_shortest_interval_ms(query);
    if (query->streams > 0 && query->uses_without_interval > 0)
        interval_ms = MIN(interval_ms, standard_ms);
    if (query->known.duration_ms >= SCHEDULE_SLOW_MS)
        interval_ms = MIN(interval_ms, standard_ms);
    if (interval_ms == INT64_MAX)
        return 0;
    /* A long interval means for how long a reading is good enough; an error never is. */
    return query->known.last_attempt == ATTEMPT_FAILED ? MIN(interval_ms, standard_ms)
                                                       : interval_ms;
}

/* Queries of one interval are due together, whenever they came: one round trip measures many. */
static int64_t interval_due_ms(const struct query *query, int64_t now_ms)
{
    int64_t interval_ms = query_interval_ms(query);
    int64_t made_at_ms = query->connection->made_at_ms;
    int64_t sent_ms = query->job.sent_ms;
    if (interval_ms == 0)
        return CLOCK_NEVER;
    if (sent_ms == INT64_MIN)
        return now_ms;
    /* Somebody waits for the first message, and is not to wait longer than usual. */
    if (query->push.idle_interval_ms > 0)
        interval_ms = MIN(interval_ms, query->connection->settings->interval_ms);
    return sent_ms - (sent_ms - made_at_ms) % interval_ms + interval_ms;
}

void query_plan(struct query *query, int64_t now_ms)
{
    int64_t due_ms = interval_due_ms(query, now_ms);
    due_ms = MIN(due_ms, push_due_ms(&query->push, query->job.sent_ms,
                                     subscription_spacing_ms(query->connection)));
    schedule_want(&query->connection->schedule, &query->job, due_ms, now_ms);
}

void query_demand(struct query *query, int64_t from_ms)
{
    _cleanup_(connection_unlock) struct connection *connection = connection_locked(query);
    int64_t now_ms = connection->settings->now_ms();
    if (query->unanswered_since_ms == 0) {
        query->unanswered_since_ms = now_ms;
        DL_APPEND2(connection->unanswered, query, prev_unanswered, next_unanswered);
    }
    if (connection->state != CONNECTION_FAILED)
        schedule_demand(&connection->schedule, &query->job, from_ms, now_ms);
    connection->settings->wake(connection);
}

/* ---- who watches it ---- */

void query_notify_watchers(struct query *query)
{
    const struct connection_settings *settings = query->connection->settings;
    struct watcher *watcher;
    DL_FOREACH(query->watchers, watcher)
        settings->ready(settings->context, watcher);
}

void watcher_start(struct watcher *watcher, struct query *query, bool is_stream)
{
    _cleanup_(connection_unlock) struct connection *connection = connection_locked(query);
    watcher->settings = connection->settings;
    watcher->query = query;
    watcher->is_stream = is_stream;
    DL_APPEND(query->watchers, watcher);
    query->streams += is_stream;
    if (!is_stream)
        return;
    query_plan(query, connection->settings->now_ms());
    connection->settings->wake(connection);
}

void watcher_set_idle_interval(struct watcher *watcher, int64_t interval_ms)
{
    struct query *query = watcher->query;
    if (query == NULL || watcher->idle_interval_ms == interval_ms)
        return;
    _cleanup_(connection_unlock) struct connection *connection = connection_locked(query);
    int64_t now_ms = connection->settings->now_ms();
    subscription_set_idle(watcher, interval_ms, now_ms);
    query_plan(query, now_ms);
    connection->settings->wake(connection);
}

static void unwatch(struct watcher *watcher)
{
    struct query *query = watcher->query;
    _cleanup_(connection_unlock) struct connection *connection = connection_locked(query);
    DL_DELETE(query->watchers, watcher);
    query->streams -= watcher->is_stream;
    watcher->query = NULL;
    query_plan(query, connection->settings->now_ms());
}

void watcher_stop(struct watcher *watcher)
{
    watcher_set_idle_interval(watcher, 0);
    if (watcher->query != NULL)
        unwatch(watcher);
    if (watcher->settings != NULL)
        watcher->settings->forget(watcher->settings->context, watcher);
}

/* ---- who follows its readings ---- */

static int64_t last_sample_ms(const struct recent_samples *recent)
{
    return recent->count == 0 ? INT64_MIN : recent->samples[recent->count - 1].at_ms;
}

static void step_follower(struct query *query, struct follower *follower)
{
    int64_t last_ms = last_sample_ms(query->recent);
    if (last_ms <= follower->stepped_ms)
        return;
    follower->stepped_ms = last_ms;
    follower->step(follower, query->recent);
}

/* Others get the lock in between: a policy decides for a trigger in some microseconds, and one
 * namespace may have thousands of them on a query. */
static void step_all(struct query *query)
{
    enum { FOLLOWERS_AT_A_TIME = 50 };
    struct connection *connection = query->connection;
    size_t done = 0;
    struct follower *follower;
    query->next_followed = query->followers;
    while ((follower = query->next_followed) != NULL) {
        query->next_followed = follower->next;
        step_follower(query, follower);
        if (++done % FOLLOWERS_AT_A_TIME == 0 && connection->settings->pause != NULL)
            connection->settings->pause(connection);
    }
}

/* A reading may have come before anybody wanted samples. */
void query_follow(struct query *query, struct follower *follower)
{
    _cleanup_(connection_unlock) struct connection *connection = connection_locked(query);
    follower->query = query;
    DL_APPEND(query->followers, follower);
    if (query->known.is_measured && query->known.sent_ms > last_sample_ms(query->recent))
        recent_samples_add(query->recent, query->known.sent_ms, &query->known.reading);
    step_follower(query, follower);
}

void query_unfollow(struct follower *follower)
{
    if (follower->query == NULL)
        return;
    _cleanup_(connection_unlock) struct connection *connection = connection_locked(follower->query);
    struct query *query = TAKE(follower->query);
    if (query->next_followed == follower)
        query->next_followed = follower->next;
    DL_DELETE(query->followers, follower);
}

/* ---- what is known of it ---- */

void query_set_reading(struct query *query, const struct reading *reading, int64_t now_us)
{
    struct snapshot *known = &query->known;
    uint64_t *counts = query->connection->stats.counts;
    if (query->recent != NULL) { /* first: in a pause no decision is older than the reading */
        query->recent->duration_ms = known->duration_ms; /* of the one before */
        recent_samples_add(query->recent, query->job.sent_ms, reading);
        step_all(query);
    }
    error_done(&known->error);
    counts[COUNT_FAILING_QUERIES] -= known->last_attempt == ATTEMPT_FAILED;
    known->last_attempt = ATTEMPT_GOOD;
    known->is_measured = true;
    known->reading = *reading;
    query->connection_failed_ms = 0;
    known->sent_ms = query->job.sent_ms;
    known->duration_ms = MAX(now_us / 1000 - query->job.sent_ms, 0);
    known->began_at_us = query->sent_us;
    known->is_outdated = query->sent_us < query->outdated_from_us;
    if (query->notified_at_us > 0 && query->notified_at_us < known->began_at_us)
        known->began_at_us = query->notified_at_us;
    history_add(query->connection->settings->history, &query->series, reading, now_us / 1000);
    set_answered(query);
    query_notify_watchers(query);
}

int64_t query_unusable_since_ms(const struct query *query, int64_t failed_ms)
{
    int64_t since_ms = failed_ms;
    if (query->unanswered_since_ms > 0)
        since_ms = MIN(since_ms, query->unanswered_since_ms);
    if (query->connection_failed_ms > 0)
        since_ms = MIN(since_ms, query->connection_failed_ms);
    return since_ms;
}

void query_note_gap(struct query *query)
{
    if (query->recent != NULL)
        recent_samples_add_gap(query->recent);
}

void query_set_failed(struct query *query, const struct error *error, int64_t now_ms)
{
    struct snapshot *known = &query->known;
    if (known->last_attempt != ATTEMPT_FAILED) {
        known->failing_since_ms = query_unusable_since_ms(query, now_ms);
        query->connection->stats.counts[COUNT_FAILING_QUERIES]++;
    }
    known->last_attempt = ATTEMPT_FAILED;
    known->failed_at_ms = now_ms;
    error_copy(&known->error, error);
    history_add(query->connection->settings->history, &query->series, NULL, now_ms);
    query_note_gap(query);
    set_answered(query);
    query_notify_watchers(query);
}

void query_keep_recent_samples(struct query *query, int64_t interval_ms)
{
    if (query->recent == NULL)
        query->recent = memory_new(sizeof(*query->recent));
    if (query->recent->interval_ms == 0 || interval_ms < query->recent->interval_ms)
        query->recent->interval_ms = interval_ms;
}

/* ---- what it inherits ---- */

static void inherit_known(struct query *query, const struct snapshot *former)
{
    struct snapshot *known = &query->known;
    uint64_t *failing = &query->connection->stats.counts[COUNT_FAILING_QUERIES];
    if (!former->is_measured || known->is_measured)
        return;
    *failing -= known->last_attempt == ATTEMPT_FAILED;
    error_done(&known->error);
    *known = *former;
    known->error = (struct error){0};
    error_copy(&known->error, &former->error);
    *failing += known->last_attempt == ATTEMPT_FAILED;
}

void query_inherit(struct query *query, const struct former *former)
{
    inherit_known(query, &former->known);
    if (query->recent != NULL && query->recent->count == 0 && former->recent.count > 0) {
        int64_t interval_ms = query->recent->interval_ms;
        *query->recent = former->recent;
        query->recent->interval_ms = interval_ms;
    }
}

/* ---- for people ---- */

void query_add_user(struct query *query, struct query_user *user)
{
    _cleanup_(connection_unlock) struct connection *connection = connection_locked(query);
    naming_add(&connection->naming, user);
}

void query_remove_user(struct query *query, struct query_user *user)
{
    _cleanup_(connection_unlock) struct connection *connection = connection_locked(query);
    naming_remove(&connection->naming, user);
}

void query_count_held(struct query *query, int held, int expired, const char *why)
{
    _cleanup_(connection_unlock) struct connection *connection = connection_locked(query);
    uint64_t *counts = connection->stats.counts;
    uint64_t held_before = counts[COUNT_HELD_TRIGGERS];
    counts[COUNT_HELD_TRIGGERS] += held;
    counts[COUNT_EXPIRED_TRIGGERS] += expired;
    if (held_before == 0 && counts[COUNT_HELD_TRIGGERS] > 0)
        naming_warn(&connection->naming,
                    connection->state == CONNECTION_FAILED ? &connection->error
                                                           : &query->known.error,
                    "measuring fails, so the last answers of active triggers are held");
    if (held_before > 0 && counts[COUNT_HELD_TRIGGERS] == 0) {
        struct log_fields fields = naming_fields(&connection->naming, NULL);
        log_about(&fields, LOG_LEVEL_INFO, "%s: no answers are held any more: %s",
                  connection->naming.label, why);
    }
}
