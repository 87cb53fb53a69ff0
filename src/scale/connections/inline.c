#include "scale/connections/inline.h"

#include "base/hash.h"
#include "base/hash_table.h"
#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

struct used {
    char *identity; /* with its scaler's name */
    size_t triggers;
    bool in_agent;
    UT_hash_handle hh;
};

struct tenant {
    char *namespace;
    struct used *used;
    size_t agents; /* of them, those in an agent */
    UT_hash_handle hh;
};

/* Outsiders choose namespaces and identities, so the hashes are keyed. */
struct inline_connections {
    size_t max;
    size_t max_agents; /* of all connections */
    size_t reserved;   /* of them, those kept for the connections file */
    size_t agents;     /* those of all tenants */
    struct tenant *tenants;
};

struct inline_connections *inline_connections_new(size_t max_per_namespace, size_t max_agents)
{
    struct inline_connections *connections = memory_new(sizeof(*connections));
    connections->max = max_per_namespace;
    connections->max_agents = max_agents;
    return connections;
}

void inline_connections_reserve(struct inline_connections *connections, size_t agents)
{
    connections->reserved = agents;
}

static void drop_used(struct tenant *tenant, struct used *used)
{
    HASH_DELETE(hh, tenant->used, used);
    free(used->identity);
    free(used);
}

static void drop_tenant(struct inline_connections *connections, struct tenant *tenant)
{
    HASH_DELETE(hh, connections->tenants, tenant);
    free(tenant->namespace);
    free(tenant);
}

void inline_connections_free(struct inline_connections *connections)
{
    struct tenant *tenant;
    struct tenant *next_tenant;
    struct used *used;
    struct used *next;
    HASH_ITER(hh, connections->tenants, tenant, next_tenant) {
        HASH_ITER(hh, tenant->used, used, next)
            drop_used(tenant, used);
        drop_tenant(connections, tenant);
    }
    free(connections);
}

static struct tenant *find_tenant(const struct inline_connections *connections,
                                  const char *namespace)
{
    struct tenant *tenant;
    HASH_FIND_BYHASHVALUE(hh, connections->tenants, namespace, strlen(namespace),
                          (unsigned)hash_text(namespace), tenant);
    return tenant;
}

static struct tenant *add_tenant(struct inline_connections *connections, const char *namespace)
{
    struct tenant *tenant = memory_new(sizeof(*tenant));
    tenant->namespace = text_copy(namespace);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, connections->tenants, tenant->namespace,
                                strlen(tenant->namespace), (unsigned)hash_text(namespace), tenant);
    return tenant;
}

static struct used *find_used(const struct tenant *tenant, const char *scaler, const char *identity)
{
    _cleanup_(memory_free) char *key = text_format("%s\n%s", scaler, identity);
    struct used *used;
    HASH_FIND_BYHASHVALUE(hh, tenant->used, key, strlen(key), (unsigned)hash_text(key), used);
    return used;
}

static struct used *add_used(struct tenant *tenant, const char *scaler, const char *identity)
{
    struct used *used = memory_new(sizeof(*used));
    used->identity = text_format("%s\n%s", scaler, identity);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, tenant->used, used->identity, strlen(used->identity),
                                (unsigned)hash_text(used->identity), used);
    return used;
}

/* Agents that nobody has, and nothing is kept of. */
static size_t free_agents(const struct inline_connections *connections)
{
    size_t taken = connections->reserved + connections->agents;
    return taken < connections->max_agents ? connections->max_agents - taken : 0;
}

/* `tenant` is NULL where the namespace has none. */
static bool may_have_another(const struct inline_connections *connections,
                             const struct tenant *tenant,
                             const struct inline_connection *connection, struct error *error)
{
    const char *namespace = connection->namespace;
    int cut = (int)text_cut(namespace, 64);
    size_t agents = tenant == NULL ? 0 : tenant->agents;
    size_t left = free_agents(connections);
    if (tenant != NULL && HASH_COUNT(tenant->used) >= connections->max)
        return error_set(error, ERROR_LIMIT,
                         "all %zu inline connections of namespace \"%.*s\" are in use "
                         "(--max-inline): name connections of the connections file",
                         connections->max, cut, namespace);
    if (!connection->in_agent || agents < left)
        return true;
    if (left == 0)
        return error_set(error, ERROR_LIMIT,
                         "all %zu connections with an agent process are in use%s (--max-isolated)",
                         connections->max_agents,
                         connections->reserved > 0 ? ", or kept for the connections file" : "");
    return error_set(
        error, ERROR_LIMIT,
        "namespace \"%.*s\" has %zu inline connections with an agent process (%s), and "
        "the %zu that are left are for other namespaces (--max-isolated): name "
        "connections of the connections file",
        cut, namespace, agents, connection->scaler, left);
}

bool inline_connections_acquire(struct inline_connections *connections,
                                const struct inline_connection *connection, struct error *error)
{
    struct tenant *tenant = find_tenant(connections, connection->namespace);
    struct used *used =
        tenant == NULL ? NULL : find_used(tenant, connection->scaler, connection->identity);
    if (used == NULL) {
        if (!may_have_another(connections, tenant, connection, error))
            return false;
        if (tenant == NULL)
            tenant = add_tenant(connections, connection->namespace);
        used = add_used(tenant, connection->scaler, connection->identity);
        used->in_agent = connection->in_agent;
        tenant->agents += used->in_agent;
        connections->agents += used->in_agent;
    }
    used->triggers++;
    return true;
}

void inline_connections_release(struct inline_connections *connections, const char *namespace,
                                const char *scaler, const char *identity)
{
    struct tenant *tenant = find_tenant(connections, namespace);
    struct used *used = tenant == NULL ? NULL : find_used(tenant, scaler, identity);
    if (used == NULL || --used->triggers > 0)
        return;
    tenant->agents -= used->in_agent;
    connections->agents -= used->in_agent;
    drop_used(tenant, used);
    if (tenant->used == NULL)
        drop_tenant(connections, tenant);
}
