#include "measure/tenancy.h"

#include "base/hash.h"
#include "base/hash_table.h"
#include "base/memory.h"

#include <stdlib.h>

struct tenant {
    uint64_t id;
    size_t connections; /* that it holds, with others or alone */
    UT_hash_handle hh;
};

struct tenant_hold {
    struct tenant *tenant;
    size_t holds;
    struct tenant_hold *next;
};

/* One that several namespaces hold is the one's that has the fewest connections: so whoever names
 * another's, too, does not make it one of many, and connections that are named from two namespaces
 * are not tenants of their own. */
static void choose(struct tenancy *tenancy, const char *identity)
{
    const struct tenant *fewest = NULL;
    if (tenancy->named_holds == 0 && tenancy->holds == NULL)
        return;
    for (const struct tenant_hold *hold = tenancy->holds; hold != NULL; hold = hold->next) {
        const struct tenant *tenant = hold->tenant;
        if (fewest == NULL || tenant->connections < fewest->connections ||
            (tenant->connections == fewest->connections && tenant->id == tenancy->tenant))
            fewest = tenant;
    }
    tenancy->is_named = tenancy->named_holds > 0;
    tenancy->tenant = tenancy->is_named ? hash_text(identity) : fewest->id;
}

static struct tenant_hold **find(struct tenancy *tenancy, uint64_t id)
{
    struct tenant_hold **link = &tenancy->holds;
    while (*link != NULL && (*link)->tenant->id != id)
        link = &(*link)->next;
    return link;
}

static void add(struct tenant **tenants, struct tenancy *tenancy, uint64_t id)
{
    struct tenant_hold *hold = memory_new(sizeof(*hold));
    HASH_FIND(hh, *tenants, &id, sizeof(id), hold->tenant);
    if (hold->tenant == NULL) {
        hold->tenant = memory_new(sizeof(*hold->tenant));
        hold->tenant->id = id;
        HASH_ADD(hh, *tenants, id, sizeof(hold->tenant->id), hold->tenant);
    }
    hold->tenant->connections++;
    hold->holds = 1;
    hold->next = tenancy->holds;
    tenancy->holds = hold;
}

static void remove_at(struct tenant **tenants, struct tenant_hold **link)
{
    struct tenant_hold *hold = *link;
    struct tenant *tenant = hold->tenant;
    *link = hold->next;
    free(hold);
    if (--tenant->connections > 0)
        return;
    HASH_DEL(*tenants, tenant);
    free(tenant);
}

void tenancy_begin_hold(struct tenant **tenants, struct tenancy *tenancy, const char *identity,
                        const char *namespace)
{
    tenancy->last_namespace = namespace == NULL ? 0 : hash_text(namespace);
    if (namespace == NULL)
        tenancy->named_holds++;
    else {
        struct tenant_hold *hold = *find(tenancy, tenancy->last_namespace);
        if (hold != NULL)
            hold->holds++;
        else
            add(tenants, tenancy, tenancy->last_namespace);
    }
    choose(tenancy, identity);
}

void tenancy_end_hold(struct tenant **tenants, struct tenancy *tenancy, const char *identity,
                      const char *namespace)
{
    if (namespace == NULL)
        tenancy->named_holds--;
    else {
        struct tenant_hold **link = find(tenancy, hash_text(namespace));
        if (*link != NULL && --(*link)->holds == 0)
            remove_at(tenants, link);
    }
    choose(tenancy, identity);
}

void tenancy_done(struct tenant **tenants, struct tenancy *tenancy)
{
    while (tenancy->holds != NULL)
        remove_at(tenants, &tenancy->holds);
}
