#include "scale/connections/inline_connections.h"

#include "base/hash_table.h"
#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

struct inline_use {
    struct inline_tenant *tenant;
    char *identity; /* with its scaler's name */
    size_t triggers;
    bool in_agent;
    UT_hash_handle hh;
};

struct inline_tenant {
    char *namespace;
    struct inline_use *used;
    size_t agents; /* of them, those in an agent */
    UT_hash_handle hh;
};

/* What tenants share: connections, or agents. */
struct pool {
    const char *kind, *flag;
    size_t max;      /* of all connections */
    size_t reserved; /* of them, those kept for the connections file */
    size_t taken;    /* those of all tenants */
};

/* Outsiders choose namespaces and identities, so the hashes are keyed. */
struct inline_connections {
    size_t max; /* of a tenant */
    struct pool all, agents;
    struct inline_tenant *tenants;
};

struct inline_connections *inline_connections_new(size_t max_per_namespace, size_t max_connections,
                                                  size_t max_agents)
{
    struct inline_connections *connections = memory_new(sizeof(*connections));
    connections->max = max_per_namespace;
    connections->all = (struct pool){"", "--max-connections", max_connections};
    connections->agents = (struct pool){" with an agent process", "--max-agents", max_agents};
    return connections;
}

void inline_connections_reserve(struct inline_connections *connections, size_t count, size_t agents)
{
    connections->all.reserved = count;
    connections->agents.reserved = agents;
}

static void drop_use(struct inline_use *used)
{
    HASH_DELETE(hh, used->tenant->used, used);
    free(used->identity);
    free(used);
}

static void drop_tenant(struct inline_connections *connections, struct inline_tenant *tenant)
{
    HASH_DELETE(hh, connections->tenants, tenant);
    free(tenant->namespace);
    free(tenant);
}

void inline_connections_free(struct inline_connections *connections)
{
    struct inline_tenant *tenant;
    struct inline_tenant *next_tenant;
    struct inline_use *used;
    struct inline_use *next;
    HASH_ITER(hh, connections->tenants, tenant, next_tenant) {
        HASH_ITER(hh, tenant->used, used, next)
            drop_use(used);
        drop_tenant(connections, tenant);
    }
    free(connections);
}

static struct inline_tenant *find_tenant(const struct inline_connections *connections,
                                         const char *namespace)
{
    struct inline_tenant *tenant;
    HASH_FIND_STR(connections->tenants, namespace, tenant);
    return tenant;
}

static struct inline_tenant *add_tenant(struct inline_connections *connections,
                                        const char *namespace)
{
    struct inline_tenant *tenant = memory_new(sizeof(*tenant));
    tenant->namespace = text_copy(namespace);
    HASH_ADD_KEYPTR(hh, connections->tenants, tenant->namespace, strlen(tenant->namespace), tenant);
    return tenant;
}

static struct inline_use *find_use(const struct inline_tenant *tenant, const char *scaler,
                                   const char *identity)
{
    _cleanup_(memory_free) char *key = text_format("%s\n%s", scaler, identity);
    struct inline_use *used;
    HASH_FIND_STR(tenant->used, key, used);
    return used;
}

static struct inline_use *add_use(struct inline_tenant *tenant, const char *scaler,
                                  const char *identity)
{
    struct inline_use *used = memory_new(sizeof(*used));
    used->tenant = tenant;
    used->identity = text_format("%s\n%s", scaler, identity);
    HASH_ADD_KEYPTR(hh, tenant->used, used->identity, strlen(used->identity), used);
    return used;
}

/* Those that nobody has, and nothing is kept of. */
static size_t left_in(const struct pool *pool)
{
    size_t taken = pool->reserved + pool->taken;
    return taken < pool->max ? pool->max - taken : 0;
}

/* May the namespace, which has `count` of the pool, have another one? */
static bool check_share(const struct pool *pool, const struct inline_connection *connection,
                        size_t count, struct error *error)
{
    size_t left = left_in(pool);
    if (left > count || (left > 0 && connection->replaces))
        return true;
    if (left == 0)
        return error_set(error, ERROR_LIMIT, "all %zu connections%s are in use%s (%s)", pool->max,
                         pool->kind, pool->reserved > 0 ? ", or kept for the connections file" : "",
                         pool->flag);
    return error_set(error, ERROR_LIMIT,
                     "namespace \"%.*s\" has %zu inline connections%s (%s), and "
                     "the %zu that are left are for other namespaces (%s): name "
                     "connections of the connections file",
                     (int)text_cut(connection->namespace, 64), connection->namespace, count,
                     pool->kind, connection->scaler, left, pool->flag);
}

/* `tenant` is NULL where the namespace has none. */
static bool may_have_another(const struct inline_connections *connections,
                             const struct inline_tenant *tenant,
                             const struct inline_connection *connection, struct error *error)
{
    size_t count = tenant == NULL ? 0 : HASH_COUNT(tenant->used);
    if (count >= connections->max)
        return error_set(error, ERROR_LIMIT,
                         "all %zu inline connections of namespace \"%.*s\" are in use "
                         "(--max-inline): name connections of the connections file",
                         connections->max, (int)text_cut(connection->namespace, 64),
                         connection->namespace);
    return check_share(&connections->all, connection, count, error) &&
           (!connection->in_agent || check_share(&connections->agents, connection,
                                                 tenant == NULL ? 0 : tenant->agents, error));
}

struct inline_use *inline_connections_acquire(struct inline_connections *connections,
                                              const struct inline_connection *connection,
                                              struct error *error)
{
    struct inline_tenant *tenant = find_tenant(connections, connection->namespace);
    struct inline_use *used =
        tenant == NULL ? NULL : find_use(tenant, connection->scaler, connection->identity);
    if (used == NULL) {
        if (!may_have_another(connections, tenant, connection, error))
            return NULL;
        if (tenant == NULL)
            tenant = add_tenant(connections, connection->namespace);
        used = add_use(tenant, connection->scaler, connection->identity);
        used->in_agent = connection->in_agent;
        tenant->agents += used->in_agent;
        connections->all.taken++;
        connections->agents.taken += used->in_agent;
    }
    used->triggers++;
    return used;
}

bool inline_connections_release(struct inline_connections *connections, struct inline_use *used)
{
    if (used == NULL || --used->triggers > 0)
        return false;
    struct inline_tenant *tenant = used->tenant;
    tenant->agents -= used->in_agent;
    connections->all.taken--;
    connections->agents.taken -= used->in_agent;
    drop_use(used);
    if (tenant->used == NULL)
        drop_tenant(connections, tenant);
    return true;
}
