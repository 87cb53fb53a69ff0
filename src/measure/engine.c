#include "measure/engine.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

struct engine *engine_new(const struct engine_settings *settings)
{
    struct engine *engine = memory_new(sizeof(*engine));
    engine->settings = *settings;
    pthread_mutex_init(&engine->lock, NULL);
    pthread_cond_init(&engine->lane_ended, NULL);
    return engine;
}

void engine_free(struct engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    engine->stopping = true;
    const struct connection *connection;
    for (connection = engine->connections; connection != NULL; connection = connection->hh.next) {
        lane_wake(connection->main_lane);
        if (connection->slow_lane != NULL)
            lane_wake(connection->slow_lane);
    }
    while (engine->lanes > 0)
        pthread_cond_wait(&engine->lane_ended, &engine->lock);
    pthread_mutex_unlock(&engine->lock);
    if (engine->has_ended)
        pthread_join(engine->ended, NULL);

    tallies_free(engine->tallies);
    pthread_cond_destroy(&engine->lane_ended);
    pthread_mutex_destroy(&engine->lock);
    free(engine);
}

void engine_tell_askers(struct engine *engine)
{
    if (engine->ready == NULL || engine->settings.wake == NULL)
        return;
    pthread_mutex_unlock(&engine->lock);
    engine->settings.wake(engine->settings.wake_context);
    pthread_mutex_lock(&engine->lock);
}

/* Those that are left for others do not count, nor do those that nobody holds any more: a change of all
 * passwords replaces all connections, and the next one may come before the first have ended. But they are
 * threads as well, and as many of each are enough. */
static bool check_limits(const struct engine *engine, bool isolated, struct error *error)
{
    const struct engine_settings *settings = &engine->settings;
    if (engine->in_use >= settings->most_connections ||
        HASH_COUNT(engine->connections) >= 3 * settings->most_connections)
        return error_set(error, ERROR_LIMIT,
                         "all %zu connections are in use (--max-connections): triggers that name "
                         "the same source in the same words share one",
                         settings->most_connections);
    if (isolated && engine->isolated_in_use >= settings->most_isolated)
        return error_set(error, ERROR_LIMIT,
                         "all %zu connections with a process of their own are in use "
                         "(--max-isolated)",
                         settings->most_isolated);
    return true;
}

/* NULL where no thread can be started for it. */
static struct connection *connection_new(struct engine *engine, const struct scaler *scaler,
                                         const char *identity, const struct option_values *values)
{
    struct connection *connection = memory_new(sizeof(*connection));
    connection->engine = engine;
    connection->identity = text_copy(identity);
    connection->scaler = scaler;
    connection->tally = tally_of(engine, scaler);
    connection->values = option_values_new(scaler->options, scaler->sizes[OPTION_CONNECTION],
                                           OPTION_CONNECTION, (const char *const *)values->texts);
    connection->isolated = scaler->isolated || engine->settings.isolate_all;
    connection->made_at_ms = clock_now_ms();
    snprintf(connection->label, sizeof(connection->label), "%s connection %llu", scaler->name,
             (unsigned long long)++engine->connections_made);
    HASH_ADD_KEYPTR(hh, engine->connections, connection->identity, strlen(connection->identity),
                    connection);
    connection->main_lane = lane_new(connection, false);
    if (connection->main_lane != NULL)
        return connection;
    connection_free(connection);
    return NULL;
}

void connection_free(struct connection *connection)
{
    struct engine *engine = connection->engine;
    HASH_DELETE(hh, engine->connections, connection);
    option_values_free(connection->values);
    free(connection->identity);
    free(connection);
}

static bool find_connection(struct engine *engine, const struct scaler *scaler,
                            const struct option_values *values, struct connection **ret_connection,
                            struct error *error)
{
    _cleanup_(memory_free) char *identity = text_format("%s\n%s", scaler->name, values->identity);
    HASH_FIND(hh, engine->connections, identity, strlen(identity), *ret_connection);
    if (*ret_connection != NULL && (*ret_connection)->held_queries > 0)
        return true;
    if (!check_limits(engine, scaler->isolated || engine->settings.isolate_all, error))
        return false;
    if (*ret_connection != NULL)
        return true;
    *ret_connection = connection_new(engine, scaler, identity, values);
    return *ret_connection != NULL ||
           error_set(error, ERROR_LIMIT, "the machine has no thread left for another connection");
}

bool engine_hold(struct engine *engine, const struct scaler *scaler,
                 const struct option_values *connection_values,
                 const struct option_values *query_values, int64_t interval_ms,
                 struct query **ret_query, struct error *error)
{
    struct connection *connection;
    struct query *query = NULL;

    pthread_mutex_lock(&engine->lock);
    bool good = find_connection(engine, scaler, connection_values, &connection, error);
    if (good) {
        HASH_FIND(hh, connection->queries, query_values->identity, strlen(query_values->identity),
                  query);
        if (query == NULL)
            query = query_new(connection, query_values);
        query_hold(query, interval_ms);
        lane_wake(query->lane);
        *ret_query = query;
    }
    pthread_mutex_unlock(&engine->lock);
    return good;
}
