/*
 * The tenant that a connection counts for, in limits of each tenant:
 *
 *     used by                                    tenant
 *     its name in the connections file           the connection itself, whoever else uses it
 *     triggers of one namespace, inline          the namespace
 *     triggers of several namespaces, inline     of these the namespace with the fewest connections
 *
 * Each function takes a step for each namespace that uses the connection. That is meant for some
 * thousand namespaces: a connection that more of them share should be in the connections file.
 *
 * Threads: whoever has the lock of the engine's map. The lock of the connection is enough to read
 *          `tenant` and `is_named`.
 */
#ifndef BACKLOG_MEASURE_TENANCY_H
#define BACKLOG_MEASURE_TENANCY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tenant;
struct tenant_use;

/* The tenant of one connection. Start from {0}; tenancy_done() ends it. */
struct tenancy {
    uint64_t tenant;         /* stays after the last use; 0: not known yet */
    bool is_named;           /* the connection is used by its name in the connections file */
    size_t named_uses;       /* how many uses are by that name */
    struct tenant_use *uses; /* utlist: the namespaces that use it inline, and how often */
    uint64_t last_namespace; /* the namespace of the last use that began; 0: it was by name */
};

/* A trigger uses a query of the connection from now on, or no longer. `namespace` is NULL if the
 * trigger uses the connection by its name. `tenants` is the table of all namespaces that use any
 * connection inline; it points to NULL while there is none. */
void tenancy_begin_use(struct tenant **tenants, struct tenancy *tenancy, const char *identity,
                       const char *namespace);
void tenancy_end_use(struct tenant **tenants, struct tenancy *tenancy, const char *identity,
                     const char *namespace);
void tenancy_done(struct tenant **tenants, struct tenancy *tenancy);

#endif
