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

/* Whose one connection is. Start from {0}; tenancy_done() ends it. */
struct tenancy {
    uint64_t tenant;         /* stays after the last use; 0: not known yet */
    bool is_named;           /* it is used by its name in the connections file */
    size_t named_uses;       /* how often it is used by its name */
    struct tenant_use *uses; /* utlist: of namespaces */
    uint64_t last_namespace; /* the last one that began to use it; 0: none did */
};

/* A trigger uses a query of the connection from now on, or no longer. `namespace` is NULL where it
 * uses the connection by its name in the connections file. `tenants` is the list of all namespaces
 * that use something inline; it points to NULL where none does. */
void tenancy_begin_use(struct tenant **tenants, struct tenancy *tenancy, const char *identity,
                       const char *namespace);
void tenancy_end_use(struct tenant **tenants, struct tenancy *tenancy, const char *identity,
                     const char *namespace);
void tenancy_done(struct tenant **tenants, struct tenancy *tenancy);

#endif
