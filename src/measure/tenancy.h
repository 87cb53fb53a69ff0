/*
 * Whose a connection is, for limits of all that one tenant has: a namespace's, whose triggers hold
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
struct tenant_hold;

/* Of one connection. Start from {0}; tenancy_done() ends it. */
struct tenancy {
    uint64_t tenant;           /* 0: not known yet; after the last hold whose it was */
    bool is_named;             /* it is held by its name in the connections file */
    size_t named_holds;        /* how often */
    struct tenant_hold *holds; /* utlist: of namespaces */
    uint64_t last_namespace;   /* that began to hold it; 0: none */
};

/* A trigger of this namespace holds a query of it, and no longer does; NULL: by its name in the
 * connections file. `tenants`: all that hold something inline; NULL where none does. */
void tenancy_begin_hold(struct tenant **tenants, struct tenancy *tenancy, const char *identity,
                        const char *namespace);
void tenancy_end_hold(struct tenant **tenants, struct tenancy *tenancy, const char *identity,
                      const char *namespace);
void tenancy_done(struct tenant **tenants, struct tenancy *tenancy);

#endif
