#include "scale/inline.h"

#include "base/hash.h"
#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct used {
    char *identity; /* with its scaler's name */
    size_t triggers;
    UT_hash_handle hh;
};

struct tenant {
    char *namespace;
    struct used *used;
    UT_hash_handle hh;
};

/* Outsiders choose namespaces and identities, so the hashes are keyed. */
struct inline_connections {
    size_t max;
    struct tenant *tenants;
};

struct inline_connections *inline_connections_new(size_t max_per_namespace)
{
    struct inline_connections *connections = memory_new(sizeof(*connections));
    connections->max = max_per_namespace;
    return connections;
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
    HASH_ITER(hh, connections->tenants, tenant, next_tenant)
    {
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

bool inline_connections_acquire(struct inline_connections *connections, const char *namespace,
                                const char *scaler, const char *identity, struct error *error)
{
    struct tenant *tenant = find_tenant(connections, namespace);
    struct used *used = tenant == NULL ? NULL : find_used(tenant, scaler, identity);
    if (used == NULL) {
        if (tenant != NULL && HASH_COUNT(tenant->used) >= connections->max)
            return error_set(error, ERROR_LIMIT,
                             "all %zu inline connections of namespace \"%.*s\" are in use "
                             "(--max-inline): name connections of the connections file",
                             connections->max, (int)text_cut(namespace, 64), namespace);
        if (tenant == NULL)
            tenant = add_tenant(connections, namespace);
        used = add_used(tenant, scaler, identity);
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
    drop_used(tenant, used);
    if (tenant->used == NULL)
        drop_tenant(connections, tenant);
}
