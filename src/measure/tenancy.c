#include "measure/tenancy.h"

#include "base/hash.h"
#include "base/hash_table.h"
#include "base/memory.h"

#include <stdlib.h>

struct tenant {
    uint64_t id;
    size_t connections; /* that it uses, alone or together with other tenants */
    UT_hash_handle hh;
};

struct tenant_use {
    struct tenant *tenant;
    size_t count;
    struct tenant_use *next;
};

/* Of several namespaces that use a connection inline, it counts for the one with the fewest
 * connections. If it counted for another one, a namespace with many connections could use a
 * neighbour's connection, too, which would then share the exhausted limits of that namespace. If it
 * counted for a tenant of its own, two namespaces would get further limits with each connection
 * that both use. */
static void choose_tenant(struct tenancy *tenancy, const char *identity)
{
    const struct tenant *fewest = NULL;
    if (tenancy->named_uses == 0 && tenancy->uses == NULL)
        return;
    for (const struct tenant_use *use = tenancy->uses; use != NULL; use = use->next) {
        const struct tenant *tenant = use->tenant;
        if (fewest == NULL || tenant->connections < fewest->connections ||
            (tenant->connections == fewest->connections && tenant->id == tenancy->tenant))
            fewest = tenant;
    }
    tenancy->is_named = tenancy->named_uses > 0;
    tenancy->tenant = tenancy->is_named ? hash_text(identity) : fewest->id;
}

static struct tenant_use **find_use(struct tenancy *tenancy, uint64_t id)
{
    struct tenant_use **link = &tenancy->uses;
    while (*link != NULL && (*link)->tenant->id != id)
        link = &(*link)->next;
    return link;
}

static void add_use(struct tenant **tenants, struct tenancy *tenancy, uint64_t id)
{
    struct tenant_use *use = memory_new(sizeof(*use));
    HASH_FIND(hh, *tenants, &id, sizeof(id), use->tenant);
    if (use->tenant == NULL) {
        use->tenant = memory_new(sizeof(*use->tenant));
        use->tenant->id = id;
        HASH_ADD(hh, *tenants, id, sizeof(use->tenant->id), use->tenant);
    }
    use->tenant->connections++;
    use->count = 1;
    use->next = tenancy->uses;
    tenancy->uses = use;
}

static void remove_use(struct tenant **tenants, struct tenant_use **link)
{
    struct tenant_use *use = *link;
    struct tenant *tenant = use->tenant;
    *link = use->next;
    free(use);
    if (--tenant->connections > 0)
        return;
    HASH_DEL(*tenants, tenant);
    free(tenant);
}

void tenancy_begin_use(struct tenant **tenants, struct tenancy *tenancy, const char *identity,
                       const char *namespace)
{
    tenancy->last_namespace = namespace == NULL ? 0 : hash_text(namespace);
    if (namespace == NULL)
        tenancy->named_uses++;
    else {
        struct tenant_use *use = *find_use(tenancy, tenancy->last_namespace);
        if (use != NULL)
            use->count++;
        else
            add_use(tenants, tenancy, tenancy->last_namespace);
    }
    choose_tenant(tenancy, identity);
}

void tenancy_end_use(struct tenant **tenants, struct tenancy *tenancy, const char *identity,
                     const char *namespace)
{
    if (namespace == NULL)
        tenancy->named_uses--;
    else {
        struct tenant_use **link = find_use(tenancy, hash_text(namespace));
        if (*link != NULL && --(*link)->count == 0)
            remove_use(tenants, link);
    }
    choose_tenant(tenancy, identity);
}

void tenancy_done(struct tenant **tenants, struct tenancy *tenancy)
{
    while (tenancy->uses != NULL)
        remove_use(tenants, &tenancy->uses);
}
