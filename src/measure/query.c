#include "measure/inside.h"

#include "base/clock.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

struct query *query_new(struct connection *connection, const struct option_values *values)
{
    const struct scaler *scaler = connection->scaler;
    struct query *query = memory_new(sizeof(*query));
    query->connection = connection;
    query->lane = connection->main_lane;
    query->values = option_values_new(scaler->options, scaler->sizes[OPTION_QUERY], OPTION_QUERY,
                                      (const char *const *)values->texts);
    query->due_now = true;
    HASH_ADD_KEYPTR(hh, connection->queries, query->values->identity,
                    strlen(query->values->identity), query);
    DL_APPEND(query->lane->queries, query);
    connection->tally->stats.queries++;

    /* Callers never hasten a retry: who joins a broken connection is refused as its neighbours are. */
    if (query->lane->state == LANE_BROKEN)
        query_set_failed(query, &query->lane->error);
    return query;
}

void query_free(struct query *query)
{
    struct engine_stats *stats = &query->connection->tally->stats;
    arm_drop(query);
    stats->queries--;
    stats->slow_queries -= query->lane->slow;
    stats->failing_queries -= query->known.last_attempt == ATTEMPT_FAILED;
    HASH_DELETE(hh, query->connection->queries, query);
    DL_DELETE(query->lane->queries, query);
    struct pace *pace;
    struct pace *next;
    LL_FOREACH_SAFE(query->paces, pace, next)
    free(pace);
    option_values_free(query->values);
    snapshot_done(&query->known);
    free(query);
}

/* Where the interval belongs among the paces: it is there, or would be before what is. */
static struct pace **find_pace(struct query *query, int64_t interval_ms)
{
    struct pace **place = &query->paces;
    while (*place != NULL && (*place)->interval_ms < interval_ms)
        place = &(*place)->next;
    return place;
}

/* After a change of what it follows from. */
static void count_use(struct connection *connection)
{
    struct engine *engine = connection->engine;
    bool in_use = connection->held_queries > 0 && connection->leavers == 0;
    size_t change = in_use ? 1 : (size_t)-1;
    if (in_use == connection->in_use)
        return;
    connection->in_use = in_use;
    engine->in_use += change;
    engine->isolated_in_use += connection->isolated ? change : 0;
}

void query_hold(struct query *query, int64_t interval_ms)
{
    if (query->paces == NULL)
        query->connection->held_queries++;
    count_use(query->connection);
    struct pace **place = find_pace(query, interval_ms);
    if (*place == NULL || (*place)->interval_ms != interval_ms) {
        struct pace *pace = memory_new(sizeof(*pace));
        *pace = (struct pace){.interval_ms = interval_ms, .next = *place};
        *place = pace;
    }
    (*place)->holds++;
}

static void let_go(struct query *query, int64_t interval_ms)
{
    struct pace **place = find_pace(query, interval_ms);
    struct pace *pace = *place;
    if (pace == NULL || --pace->holds > 0)
        return;
    *place = pace->next;
    free(pace);
    if (query->paces == NULL)
        query->connection->held_queries--;
}

static int64_t least(int64_t one, int64_t other)
{
    return one < other ? one : other;
}

/* A long interval says for how long a reading is good enough; an error never is, nor is that there is nothing
 * for who waits for the first message. */
static int64_t current_interval_ms(const struct query *query)
{
    int64_t standard = query->connection->engine->settings.interval_ms;
    if (query->lane->slow)
        return query->slow_interval_ms;

    int64_t interval = query->paces == NULL ? standard : query->paces->interval_ms;
    if (query->known.last_attempt == ATTEMPT_FAILED)
        interval = least(interval, standard);
    if (query->idle_watchers == 0)
        return interval;
    bool is_told = query->armed || query->alert_ms > 0;
    return least(interval, is_told ? standard : query->idle_interval_ms);
}

/* All queries of a connection beat together, whenever they came: going once for many is the point. */
static int64_t beat_due_ms(const struct query *query)
{
    int64_t interval = current_interval_ms(query);
    int64_t asked_at_ms = query->asked_at_us / 1000;
    if (query->lane->slow)
        return asked_at_ms + interval;
    int64_t since_beat = (asked_at_ms - query->connection->made_at_ms) % interval;
    return asked_at_ms - since_beat + interval;
}

int64_t query_due_ms(const struct query *query)
{
    if (query->due_now)
        return 0;
    return least(beat_due_ms(query), arm_due_ms(query));
}

static void make_watchers_ready(struct query *query)
{
    struct engine *engine = query->connection->engine;
    struct watcher *watcher;
    DL_FOREACH(query->watchers, watcher)
    {
        if (watcher->ready)
            continue;
        watcher->ready = true;
        DL_APPEND2(engine->ready, watcher, prev_ready, next_ready);
    }
}

void query_set_reading(struct query *query, const struct reading *reading)
{
    struct snapshot *known = &query->known;
    error_done(&known->error);
    query->connection->tally->stats.failing_queries -= known->last_attempt == ATTEMPT_FAILED;
    known->last_attempt = ATTEMPT_GOOD;
    known->measured = true;
    known->reading = *reading;
    known->reading_at_ms = clock_now_ms();
    known->began_at_us = query->told_at_us > 0 ? query->told_at_us : query->asked_at_us;
    query->told_at_us = 0;
    query->strikes = 0;
    query->losses = 0;
    make_watchers_ready(query);
}

void query_set_failed(struct query *query, const struct error *error)
{
    struct snapshot *known = &query->known;
    if (known->last_attempt != ATTEMPT_FAILED) {
        known->failing_since_ms = clock_now_ms();
        query->connection->tally->stats.failing_queries++;
    }
    known->last_attempt = ATTEMPT_FAILED;
    error_copy(&known->error, error);
    make_watchers_ready(query);
}

static void release(struct query *query, int64_t interval_ms, bool was_left)
{
    struct engine *engine = query->connection->engine;
    pthread_mutex_lock(&engine->lock);
    query->connection->leavers -= was_left;
    let_go(query, interval_ms);
    count_use(query->connection);
    if (query->paces == NULL)
        lane_wake(query->lane);
    pthread_mutex_unlock(&engine->lock);
}

void query_release(struct query *query, int64_t interval_ms)
{
    release(query, interval_ms, false);
}

void query_leave(struct query *query)
{
    struct engine *engine = query->connection->engine;
    pthread_mutex_lock(&engine->lock);
    query->connection->leavers++;
    count_use(query->connection);
    pthread_mutex_unlock(&engine->lock);
}

void query_forget(struct query *query, int64_t interval_ms)
{
    release(query, interval_ms, true);
}

void query_inherit(struct query *query, const struct query *former)
{
    struct engine *engine = query->connection->engine;
    const struct snapshot *old = &former->known;
    pthread_mutex_lock(&engine->lock);
    struct snapshot *known = &query->known;
    if (old->measured && !known->measured) {
        known->measured = true;
        known->reading = old->reading;
        known->reading_at_ms = old->reading_at_ms;
        known->began_at_us = old->began_at_us;
    }
    if (known->last_attempt == ATTEMPT_NONE) {
        known->last_attempt = old->last_attempt;
        known->failing_since_ms = old->failing_since_ms;
        error_copy(&known->error, &old->error);
        query->connection->tally->stats.failing_queries += known->last_attempt == ATTEMPT_FAILED;
    }
    pthread_mutex_unlock(&engine->lock);
}

void query_snapshot(struct query *query, struct snapshot *ret_snapshot)
{
    struct engine *engine = query->connection->engine;
    pthread_mutex_lock(&engine->lock);
    *ret_snapshot = query->known;
    ret_snapshot->error = (struct error){0};
    error_copy(&ret_snapshot->error, &query->known.error);
    pthread_mutex_unlock(&engine->lock);
}

void snapshot_done(struct snapshot *snapshot)
{
    error_done(&snapshot->error);
}

void query_state(struct query *query, struct query_state *ret_state)
{
    static const enum query_client clients[] = {[LANE_APART] = QUERY_APART,
                                                [LANE_CONNECTED] = QUERY_CONNECTED,
                                                [LANE_BROKEN] = QUERY_BROKEN};
    const struct connection *connection = query->connection;
    pthread_mutex_lock(&connection->engine->lock);
    *ret_state = (struct query_state){
        .client = clients[query->lane->state],
        .is_slow = query->lane->slow,
        .is_armed = query->armed,
        .interval_ms = current_interval_ms(query),
    };
    snprintf(ret_state->connection, sizeof(ret_state->connection), "%s", connection->label);
    pthread_mutex_unlock(&connection->engine->lock);
}

void watcher_start(struct watcher *watcher, struct query *query)
{
    struct engine *engine = query->connection->engine;
    pthread_mutex_lock(&engine->lock);
    watcher->query = query;
    DL_APPEND(query->watchers, watcher);
    pthread_mutex_unlock(&engine->lock);
}

/* The least interval counts; triggers of one query hardly ever differ in it. True: the query may be due
 * sooner than its lane knows. */
static bool set_idle(struct watcher *watcher, int64_t interval_ms)
{
    struct query *query = watcher->query;
    bool was_idle = query->idle_watchers > 0;
    bool sooner = false;
    if (watcher->idle_interval_ms > 0)
        query->idle_watchers--;
    if (interval_ms > 0) {
        sooner = query->idle_watchers == 0 || interval_ms < query->idle_interval_ms;
        if (sooner)
            query->idle_interval_ms = interval_ms;
        query->idle_watchers++;
    }
    watcher->idle_interval_ms = interval_ms;
    if (was_idle && query->idle_watchers == 0)
        arm_drop(query);
    else if (!was_idle && query->idle_watchers > 0)
        arm_idle(query);
    return sooner;
}

void watcher_set_idle_interval(struct watcher *watcher, int64_t interval_ms)
{
    if (watcher->idle_interval_ms == interval_ms)
        return;
    struct engine *engine = watcher->query->connection->engine;
    pthread_mutex_lock(&engine->lock);
    if (set_idle(watcher, interval_ms))
        lane_wake(watcher->query->lane);
    pthread_mutex_unlock(&engine->lock);
}

void watcher_stop(struct watcher *watcher)
{
    if (watcher->query == NULL)
        return;
    struct engine *engine = watcher->query->connection->engine;
    pthread_mutex_lock(&engine->lock);
    set_idle(watcher, 0);
    DL_DELETE(watcher->query->watchers, watcher);
    if (watcher->ready)
        DL_DELETE2(engine->ready, watcher, prev_ready, next_ready);
    watcher->ready = false;
    watcher->query = NULL;
    pthread_mutex_unlock(&engine->lock);
}

struct watcher *engine_next_ready(struct engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    struct watcher *watcher = engine->ready;
    if (watcher != NULL) {
        DL_DELETE2(engine->ready, watcher, prev_ready, next_ready);
        watcher->ready = false;
    }
    pthread_mutex_unlock(&engine->lock);
    return watcher;
}
