/* How many connections there may be, and how many threads of leftovers (engine_internal.h). */
#include "measure/engine_internal.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/text.h"
#include "measure/connection/connection.h"

bool engine_uses_agent(const struct engine *engine, const struct scaler *scaler)
{
    return scaler->in_agent || (engine != NULL && engine->settings.all_in_agents);
}

size_t engine_max_connections(const struct engine *engine)
{
    return engine == NULL ? 0 : engine->settings.max_connections;
}

size_t engine_max_agents(const struct engine *engine)
{
    return engine == NULL ? 0 : engine->settings.max_agents;
}

static void set_counted(struct engine *engine, struct poller *poller, bool counts)
{
    size_t change = counts ? 1 : (size_t)-1;
    if (counts == poller->is_counted)
        return;
    poller->is_counted = counts;
    engine->counted += change;
    engine->counted_agents += poller->in_agent ? change : 0;
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

struct leftovers {
    size_t all;
    size_t own;     /* of the tenant */
    size_t counted; /* connections of the tenant that count: no leftovers */
};

static struct leftovers count_leftovers(const struct engine *engine, const char *tenant)
{
    struct leftovers found = {0};
    uint64_t own = tenant == NULL ? 0 : hash_text(tenant);
    for (const struct poller *poller = engine->pollers; poller != NULL; poller = poller->hh.next) {
        bool is_own = tenant != NULL && poller->tenancy.last_namespace == own;
        found.all += !poller->is_counted;
        found.own += is_own && !poller->is_counted;
        found.counted += is_own && poller->is_counted;
    }
    return found;
}

/* A tenant may have as many leftovers as it has connections that count: so all of its connections
 * can be replaced at a time. It may have more while these are fewer than max_connections minus all
 * leftovers. Example: with a maximum of 1,024 and 1,000 leftovers in all, a tenant gets a further
 * connection while it has fewer than 24 leftovers. So connections of the connections file always
 * find a thread. */
static bool check_leftovers(const struct engine *engine, const struct leftovers *leftovers,
                            const char *tenant, struct error *error)
{
    size_t max = engine->settings.max_connections;
    size_t left = leftovers->all < max ? max - leftovers->all : 0;
    if (tenant == NULL || leftovers->own < leftovers->counted || leftovers->own < left)
        return true;
    return error_set(error, ERROR_LIMIT,
                     "%zu former connections of namespace \"%.*s\" have not ended yet, as their "
                     "sources keep them",
                     leftovers->own, (int)text_cut(tenant, 64), tenant);
}

/* Whether a further connection may count. It may always replace a former one that counts, also if
 * more connections than the limit count. */
static bool check_counted(const struct engine *engine, const struct scaler *scaler,
                          const struct poller *former, struct error *error)
{
    const struct engine_settings *settings = &engine->settings;
    bool is_replacement = former != NULL && former->is_counted;
    if (!is_replacement && engine->counted >= settings->max_connections)
        return error_set(error, ERROR_LIMIT,
                         "all %zu connections are in use (--max-connections): triggers that name "
                         "the same source in the same words share one",
                         settings->max_connections);
    if (engine_uses_agent(engine, scaler) && !(is_replacement && former->in_agent) &&
        engine->counted_agents >= settings->max_agents)
        return error_set(error, ERROR_LIMIT,
                         "all %zu connections with an agent process are in use (--max-agents)",
                         settings->max_agents);
    return true;
}

/* Whether a further thread may run. Leftovers have threads, too. */
static bool check_threads(const struct engine *engine, const struct leftovers *leftovers,
                          const char *tenant, struct error *error)
{
    if (engine->threads >= 3 * engine->settings.max_connections)
        return error_set(error, ERROR_LIMIT,
                         "no further connection can be made: %zu former ones have not ended yet, "
                         "as their sources keep them",
                         engine->threads - engine->counted);
    return check_leftovers(engine, leftovers, tenant, error);
}

static bool is_in_use(struct poller *poller)
{
    _cleanup_(connection_unlock) struct connection *connection = poller_lock(poller);
    return !connection_is_unused(connection);
}

bool engine_limits_check(struct engine *engine, struct poller *poller,
                         const struct query_request *request, struct error *error)
{
    const struct poller *former = request->former == NULL ? NULL : poller_of(request->former);
    if (poller != NULL && is_in_use(poller))
        return true;
    end_late_replacements(engine);
    const struct leftovers leftovers = count_leftovers(engine, request->use.tenant);
    return check_counted(engine, request->scaler, former, error) &&
           (poller != NULL || check_threads(engine, &leftovers, request->use.tenant, error));
}
