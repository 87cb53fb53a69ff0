#include "measure/engine.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/connection/connection.h"
#include "measure/connection/query_internal.h"
#include "measure/engine_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

/* ---- watchers with news ---- */

static void add_ready(void *context, struct watcher *watcher)
{
    struct engine *engine = context;
    pthread_mutex_lock(&engine->ready_lock);
    if (!watcher->is_ready) {
        watcher->is_ready = true;
        DL_APPEND2(engine->ready, watcher, prev_ready, next_ready);
    }
    pthread_mutex_unlock(&engine->ready_lock);
}

static void remove_ready(void *context, struct watcher *watcher)
{
    struct engine *engine = context;
    pthread_mutex_lock(&engine->ready_lock);
    if (watcher->is_ready)
        DL_DELETE2(engine->ready, watcher, prev_ready, next_ready);
    watcher->is_ready = false;
    pthread_mutex_unlock(&engine->ready_lock);
}

struct watcher *engine_next_ready(struct engine *engine)
{
    pthread_mutex_lock(&engine->ready_lock);
    struct watcher *watcher = engine->ready;
    if (watcher != NULL) {
        DL_DELETE2(engine->ready, watcher, prev_ready, next_ready);
        watcher->is_ready = false;
    } else
        engine->is_woken = false;
    pthread_mutex_unlock(&engine->ready_lock);
    return watcher;
}

/* Wakes whoever calls engine_next_ready(), if a watcher has news. The caller has no lock. */
static void wake_watchers(struct engine *engine)
{
    pthread_mutex_lock(&engine->ready_lock);
    bool must_wake = engine->ready != NULL && !engine->is_woken;
    engine->is_woken = engine->is_woken || must_wake;
    pthread_mutex_unlock(&engine->ready_lock);
    if (must_wake && engine->settings.wake != NULL)
        engine->settings.wake(engine->settings.wake_context);
}

/* ---- the map ---- */

static bool remove_poller(struct poller *poller)
{
    struct engine *engine = poller->settings->engine;
    pthread_mutex_lock(&engine->lock);
    pthread_mutex_lock(&poller->connection.lock);
    bool is_over = poller->is_stopping || connection_is_unused(&poller->connection);
    if (is_over) {
        HASH_DELETE(hh, engine->pollers, poller);
        engine_retire_stats(engine, &poller->connection);
        engine_limits_drop(engine, poller);
    }
    pthread_mutex_unlock(&poller->connection.lock);
    pthread_mutex_unlock(&engine->lock);
    return is_over;
}

static void free_poller(struct poller *poller)
{
    struct engine *engine = poller->settings->engine;
    pthread_mutex_lock(&engine->lock);
    poller_free(poller);
    bool has_predecessor = engine->has_ended;
    pthread_t predecessor = engine->ended;
    engine->has_ended = true;
    engine->ended = pthread_self();
    if (has_predecessor)
        pthread_join(predecessor, NULL); /* it only has to return: see struct engine */
    engine->threads--;
    pthread_cond_signal(&engine->thread_ended);
    pthread_mutex_unlock(&engine->lock);
}

struct engine *engine_new(const struct engine_settings *settings)
{
    struct engine *engine = memory_new(sizeof(*engine));
    pthread_condattr_t clock;
    engine->settings = *settings;
    engine->connection_settings = (struct connection_settings){
        .interval_ms = settings->interval_ms,
        .idle_requests = settings->idle_requests,
        .timeout_ms = settings->timeout_ms,
        .backoff = {.min_ms = settings->backoff_min_ms,
                    .max_ms = settings->backoff_max_ms,
                    .jitter = clock_jitter},
        .now_us = settings->now_us,
        .hooks = {.wake_poller = poller_wake_for,
                  .yield_lock = poller_yield_lock,
                  .watcher_ready = add_ready,
                  .watcher_not_ready = remove_ready,
                  .context = engine},
        .keeps_history = settings->keeps_history,
    };
    engine->poller_settings = (struct poller_settings){
        .connection = &engine->connection_settings,
        .connect_timeout_ms = settings->connect_timeout_ms,
        .allows_local = settings->allows_local,
        .program = settings->program,
        .published = wake_watchers,
        .remove = remove_poller,
        .ended = free_poller,
        .engine = engine,
    };
    pthread_mutex_init(&engine->lock, NULL);
    pthread_mutex_init(&engine->ready_lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&engine->thread_ended, &clock);
    pthread_condattr_destroy(&clock);
    return engine;
}

bool engine_stop(struct engine *engine, int64_t max_ms)
{
    struct timespec until = clock_monotonic_after(max_ms);
    bool is_late = false;
    pthread_mutex_lock(&engine->lock);
    for (struct poller *poller = engine->pollers; poller != NULL; poller = poller->hh.next) {
        _cleanup_(connection_unlock) struct connection *connection = poller_lock(poller);
        poller->is_stopping = true;
        poller_wake(poller);
    }
    while (engine->threads > 0 && !is_late)
        is_late = pthread_cond_timedwait(&engine->thread_ended, &engine->lock, &until) == ETIMEDOUT;
    bool has_ended = engine->threads == 0;
    pthread_mutex_unlock(&engine->lock);
    return has_ended;
}

void engine_free(struct engine *engine)
{
    enum { HOUR_MS = 3600 * 1000 };
    if (engine == NULL)
        return;
    while (!engine_stop(engine, HOUR_MS))
        continue;
    pthread_mutex_lock(&engine->lock);
    engine_free_rows(TAKE(engine->retired));
    pthread_mutex_unlock(&engine->lock);
    if (engine->has_ended)
        pthread_join(engine->ended, NULL);
    pthread_cond_destroy(&engine->thread_ended);
    pthread_mutex_destroy(&engine->ready_lock);
    pthread_mutex_destroy(&engine->lock);
    free(engine);
}

/* The caller has the map's lock. Takes the identity. */
static struct poller *add_poller(struct engine *engine, const struct query_request *request,
                                 char *identity, struct error *error)
{
    engine->threads++;
    struct poller *poller = poller_new(&engine->poller_settings, request->scaler,
                                       engine_uses_agent(engine, request->scaler), identity,
                                       request->connection_values, &request->user);
    if (poller == NULL) {
        engine->threads--;
        error_set(error, ERROR_LIMIT, "no further connection can be made: %s",
                  errno == EMFILE || errno == ENFILE ? "no file descriptor is left (ulimit -n)"
                                                     : "the machine has no thread or memory left");
        return NULL;
    }
    poller->connection.number = ++engine->pollers_made;
    HASH_ADD_KEYPTR(hh, engine->pollers, poller->identity, strlen(poller->identity), poller);
    return poller;
}

static struct poller *find_poller(const struct engine *engine, const char *identity)
{
    struct poller *poller;
    HASH_FIND_STR(engine->pollers, identity, poller);
    return poller;
}

static struct query *acquire_on(struct engine *engine, struct poller *poller,
                                const struct query_request *request,
                                const struct former_query *former)
{
    const struct query_use *use = &request->use;
    _cleanup_(connection_unlock) struct connection *connection = poller_lock(poller);
    struct query *query = query_for_values(connection, request->query_values, poller->values->data);
    query_want(query, use->wants);
    if (use->keeps_history)
        query_keep_history(query, use->interval_ms);
    query_take(query, former);
    if (query->number == 0)
        query->number = ++engine->queries_made;
    query_begin_use(query, use->interval_ms, connection_now_ms(connection));
    poller->is_replaced = false;
    engine_limits_count(engine, poller);
    poller_wake(poller);
    return query;
}

int64_t engine_now_ms(const struct engine *engine)
{
    return engine->settings.now_us() / 1000;
}

static char *identity_of(const struct query_request *request)
{
    const char *name = request->user.connection;
    return text_format("%s\n%s\n%s", request->scaler->name, name == NULL ? "" : name,
                       request->connection_values->identity);
}

bool engine_acquire(struct engine *engine, const struct query_request *request,
                    struct query **ret_query, struct error *error)
{
    _cleanup_(former_query_done) struct former_query former = {0};
    _cleanup_(memory_free) char *identity = identity_of(request);
    pthread_mutex_lock(&engine->lock);
    struct poller *poller = find_poller(engine, identity);
    bool may = engine_limits_check(engine, poller, request, error);
    if (may && poller == NULL)
        poller = add_poller(engine, request, TAKE(identity), error);
    may = may && poller != NULL;
    if (may && request->former != NULL) {
        if (request->inherits)
            query_remember(request->former, &former);
        engine_limits_replace(engine, poller_of(request->former));
    }
    if (may)
        *ret_query = acquire_on(engine, poller, request, &former);
    pthread_mutex_unlock(&engine->lock);
    return may;
}

void engine_release(struct query *query, const struct query_use *use)
{
    struct poller *poller = poller_of(query);
    struct engine *engine = poller->settings->engine;
    pthread_mutex_lock(&engine->lock);
    pthread_mutex_lock(&poller->connection.lock);
    query_end_want(query, use->wants);
    if (use->keeps_history)
        query_end_history(query, use->interval_ms);
    query_end_use(query, use->interval_ms, connection_now_ms(&poller->connection));
    engine_limits_count(engine, poller);
    poller_wake(poller);
    pthread_mutex_unlock(&poller->connection.lock);
    pthread_mutex_unlock(&engine->lock);
}

struct option_values *engine_connection_values(const struct query *query)
{
    return poller_of(query)->values;
}

void engine_move_watcher(struct engine *engine, struct watcher *watcher, struct query *query)
{
    bool is_stream = watcher->is_stream;
    watcher_stop(watcher);
    watcher->settings = &engine->connection_settings;
    if (query != NULL)
        watcher_start(watcher, query, is_stream);
    add_ready(engine, watcher);
    wake_watchers(engine);
}
