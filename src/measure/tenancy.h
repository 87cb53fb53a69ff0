/*
 * Whose a connection is, for limits of all that one tenant has: a namespace's, whose triggers use
 * its queries inline; one of the connections file is a tenant of its own.
 *
 * Threads: whoever has the lock of the engine's map; who reads `tenant` and `is_named` may have the
 * connection's instead.
 */
#ifndef BACKLOG_MEASURE_TENANCY_H
#define BACKLOG_MEASURE_TENANCY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tenant;
struct tenant_use;

/* Of one connection. Start from {0}; tenancy_done() ends it. */
struct tenancy {
    uint64_t tenant;         /* 0: not known yet; after the last use whose it was */
    bool is_named;           /* it is used by its name in the connections file */
    size_t named_uses;       /* how often */
    struct tenant_use *uses; /* utlist: of namespaces */
    uint64_t last_namespace; /* that began to use it; 0: none */
};

/* A trigger of this namespace uses a query of it, and no longer does; NULL: by its name in the
 * connections file. `tenants`: all that use something inline; NULL where none does. */
void tenancy_begin_use(struct tenant **tenants, struct tenancy *tenancy, const char *identity,
                       const char *namespace);
void tenancy_end_use(struct tenant **tenants, struct tenancy *tenancy, const char *identity,
                     const char *namespace);
void tenancy_done(struct tenant **tenants, struct tenancy *tenancy);

#endif
