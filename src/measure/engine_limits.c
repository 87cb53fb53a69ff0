/* How many connections there may be, and how many threads of leftovers (engine_internal.h). */
#include "measure/engine_internal.h"

#include "base/memory.h"
#include "measure/connection/connection.h"

bool engine_uses_agent(const struct engine *engine, const struct scaler *scaler)
{
    return scaler->in_agent || (engine != NULL && engine->settings.all_in_agents);
}

void engine_reserve(struct engine *engine, size_t connections, size_t agents)
{
    pthread_mutex_lock(&engine->lock);
    engine->reserved = (struct counted_connections){connections, agents};
    pthread_mutex_unlock(&engine->lock);
}

static void set_counted(struct engine *engine, struct poller *poller, bool counts)
{
    struct counted_connections *counted = &engine->counted[poller->is_named];
    size_t change = counts ? 1 : (size_t)-1;
    if (counts == poller->is_counted)
        return;
    poller->is_counted = counts;
    counted->connections += change;
    counted->agents += poller->in_agent ? change : 0;
}

void engine_limits_count(struct engine *engine, struct poller *poller)
{
    set_counted(engine, poller, !connection_is_unused(&poller->connection) && !poller->is_replaced);
}

void engine_limits_drop(struct engine *engine, struct poller *poller)
{
    set_counted(engine, poller, false);
}

void engine_limits_replace(struct engine *engine, struct poller *poller)
{
    _cleanup_(connection_unlock) struct connection *connection = poller_lock(poller);
    poller->is_replaced = true;
    poller->replaced_at_ms = connection_now_ms(connection);
    engine_limits_count(engine, poller);
}

static void end_late_replacements(struct engine *engine)
{
    enum { REPLACING_MS = 60 * 1000 };
    int64_t now_ms = engine->settings.now_us() / 1000;
    for (struct poller *poller = engine->pollers; poller != NULL; poller = poller->hh.next) {
        if (poller->is_counted)
            continue;
        _cleanup_(connection_unlock) struct connection *connection = poller_lock(poller);
        if (poller->is_replaced && now_ms >= poller->replaced_at_ms + REPLACING_MS)
            poller->is_replaced = false;
        engine_limits_count(engine, poller);
    }
}

/* Parts of the memory, as engine.h has them. */
static const double MOST_FOR_CONNECTIONS = 0.8;
static const double MOST_FOR_QUERIES = 0.9;

static size_t places(size_t max, size_t reserved)
{
    return reserved < max ? max - reserved : 0;
}

static bool refuse(size_t max, size_t reserved, const char *what, const char *advice,
                   struct error *error)
{
    return error_set(error, ERROR_LIMIT, "all %zu connections%s are in use%s%s", max, what,
                     reserved > 0 ? ", or kept for the connections file" : "", advice);
}

/* A connection of the file has its place, however many inline ones there are. */
static bool check_places(const struct engine *engine, bool in_agent, struct error *error)
{
    const struct engine_settings *settings = &engine->settings;
    const struct counted_connections *reserved = &engine->reserved;
    const struct counted_connections *counted = &engine->counted[false];
    if (counted->connections >= places(settings->max_connections, reserved->connections))
        return refuse(settings->max_connections, reserved->connections, "",
                      " (--max-connections): triggers that name the same source in the same words "
                      "share one",
                      error);
    if (in_agent && counted->agents >= places(settings->max_agents, reserved->agents))
        return refuse(settings->max_agents, reserved->agents, " with an agent process",
                      " (--max-agents)", error);
    return true;
}

/* Former connections have threads, too. */
static bool check_threads(const struct engine *engine, struct error *error)
{
    enum { PER_CONNECTION = 3 };
    if (engine->threads < PER_CONNECTION * engine->settings.max_connections)
        return true;
    return error_set(error, ERROR_LIMIT,
                     "no further connection can be made: %zu former ones have not ended yet, as "
                     "their sources keep them",
                     engine->threads - engine->counted[false].connections -
                         engine->counted[true].connections);
}

static bool has_memory(const struct engine *engine, double part)
{
    return engine->settings.has_memory == NULL || engine->settings.has_memory(part);
}

static bool refuse_memory(double part, const char *what, struct error *error)
{
    enum { PERCENT = 100 };
    return error_set(error, ERROR_LIMIT,
                     "no further %s: %.0f %% of the container's memory are in use: raise its limit",
                     what, PERCENT * part);
}

static bool is_in_use(struct poller *poller)
{
    _cleanup_(connection_unlock) struct connection *connection = poller_lock(poller);
    return !connection_is_unused(connection);
}

static bool has_query(struct poller *poller, const struct option_values *values)
{
    const struct query *query;
    _cleanup_(connection_unlock) struct connection *connection = poller_lock(poller);
    HASH_FIND_STR(connection->queries, values->identity, query);
    return query != NULL;
}

bool engine_limits_check(struct engine *engine, struct poller *poller,
                         const struct query_request *request, struct error *error)
{
    const struct poller *former = request->former == NULL ? NULL : poller_of(request->former);
    bool is_named = request->user.connection != NULL;
    bool in_agent = engine_uses_agent(engine, request->scaler);
    if (!has_memory(engine, MOST_FOR_QUERIES) && former == NULL &&
        (poller == NULL || !has_query(poller, request->query_values)))
        return refuse_memory(MOST_FOR_QUERIES, "trigger is measured", error);
    if (poller != NULL && is_in_use(poller))
        return true;
    end_late_replacements(engine);
    bool is_replacement = former != NULL && former->is_counted && former->is_named == is_named &&
                          former->in_agent >= in_agent;
    return (is_named || is_replacement || check_places(engine, in_agent, error)) &&
           (poller != NULL || (check_threads(engine, error) &&
                               (is_replacement || has_memory(engine, MOST_FOR_CONNECTIONS) ||
                                refuse_memory(MOST_FOR_CONNECTIONS, "connection is made", error))));
}
