#include "measure/engine_fixture.h"

#include "base/memory.h"

#include <glob.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct engine *engine;
static int64_t interval_ms; /* of the engine, and of who holds */
static atomic_int wakes_counted;

static void count_wake(void *context)
{
    (void)context;
    wakes_counted++;
}

static void start_engine(const struct engine_settings *changes)
{
    struct engine_settings settings = *changes;
    interval_ms = settings.interval_ms;
    settings.wake = count_wake;
    engine = engine_new(&settings);
}

void restart_engine(const struct engine_settings *settings)
{
    engine_free(engine);
    start_engine(settings);
}

int wakes(void)
{
    return wakes_counted;
}

int set_up(void **state)
{
    (void)state;
    struct engine_settings settings = ENGINE_DEFAULTS;
    settings.interval_ms = INTERVAL_MS;
    settings.timeout_ms = TIMEOUT_MS;
    settings.connect_timeout_ms = TIMEOUT_MS;
    settings.backoff_min_ms = 50;
    settings.backoff_max_ms = 200;
    fake_reset();
    wakes_counted = 0;
    start_engine(&settings);
    return 0;
}

int tear_down(void **state)
{
    (void)state;
    fake_set_stuck(false); /* where the test has failed */
    engine_free(engine);
    return 0;
}

void release(struct query *query)
{
    const struct query_use use = {.interval_ms = interval_ms};
    engine_release(query, &use);
}

bool try_to_acquire_of(const char *connection, const struct scaler *scaler, const char *source,
                       const char *queue, struct query *former, struct query **ret_query,
                       struct error *error)
{
    _cleanup_(fake_values_done) struct fake_values values = fake_values(source, queue);
    const struct query_request request = {
        .scaler = scaler,
        .connection_values = values.scopes[OPTION_CONNECTION],
        .query_values = values.scopes[OPTION_QUERY],
        .user = {connection, "shop", "mails"},
        .use = {.interval_ms = interval_ms},
        .former = former,
        .inherits = former != NULL,
    };
    return engine_acquire(engine, &request, ret_query, error);
}

bool try_to_acquire(const struct scaler *scaler, const char *source, const char *queue,
                    struct query *former, struct query **ret_query, struct error *error)
{
    return try_to_acquire_of(NULL, scaler, source, queue, former, ret_query, error);
}

struct query *acquire_in_place_of(struct query *former, const struct scaler *scaler,
                                  const char *source, const char *queue)
{
    _cleanup_(error_done) struct error error = {0};
    struct query *query = NULL;
    if (!try_to_acquire(scaler, source, queue, former, &query, &error))
        fail_msg("acquire: %s", error_text(&error));
    return query;
}

struct query *acquire_of(const struct scaler *scaler, const char *source, const char *queue)
{
    return acquire_in_place_of(NULL, scaler, source, queue);
}

struct query *acquire(const char *queue)
{
    return acquire_of(&fake_scaler, "a", queue);
}

void start_calm_engine(void)
{
    struct engine_settings settings = ENGINE_DEFAULTS;
    settings.timeout_ms = TIMEOUT_MS;
    settings.backoff_min_ms = 50;
    restart_engine(&settings);
}

struct query *watch_idle_of(const struct scaler *scaler, const char *queue, struct watcher *watcher,
                            int64_t idle_ms)
{
    struct query *query = acquire_of(scaler, "a", queue);
    *watcher = (struct watcher){0};
    watcher_start(watcher, query, true);
    watcher_set_idle_interval(watcher, idle_ms);
    return query;
}

struct connection_stats stats(void)
{
    struct connection_stats now;
    engine_stats(engine, &now);
    return now;
}

double waiting(struct query *query)
{
    _cleanup_(snapshot_done) struct snapshot now;
    query_snapshot(query, &now);
    return now.known.last_attempt == ATTEMPT_GOOD ? now.known.reading.waiting : NAN;
}

bool fails(struct query *query, const char *words)
{
    _cleanup_(snapshot_done) struct snapshot now;
    query_snapshot(query, &now);
    return now.known.last_attempt == ATTEMPT_FAILED &&
           strstr(error_text(&now.known.error), words) != NULL;
}

pid_t find_agent(void)
{
    pid_t agent = 0;
    glob_t lists;
    if (glob("/proc/self/task/*/children", 0, NULL, &lists) != 0)
        return 0;
    for (size_t i = 0; i < lists.gl_pathc; i++) {
        FILE *list = fopen(lists.gl_pathv[i], "r");
        char line[64];
        if (list != NULL && fgets(line, sizeof(line), list) != NULL)
            agent = (pid_t)strtol(line, NULL, 10);
        if (list != NULL)
            fclose(list);
    }
    globfree(&lists);
    return agent;
}
