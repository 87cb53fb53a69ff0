/*
 * The limits of connections. Each of the engine's map is one of these:
 *
 *     counted    a query of it is used, and it is not replaced: it counts for --max-connections,
 *                and for --max-agents
 *     replaced   its queries are moving to another connection, as its credentials were rotated. It
 *                does not count, so that all connections can be replaced at a time within any
 *                limits; if it is still used after a minute, it does again
 *     leftover   nobody uses it any more, but its thread has not ended: its client library does not
 *                return. Those that are replaced are leftovers, too, until they count again
 *
 * Threads: with the lock of the engine's map. Those that say so are called with that of the poller,
 * too.
 */
#ifndef BACKLOG_MEASURE_ENGINE_LIMITS_H
#define BACKLOG_MEASURE_ENGINE_LIMITS_H

#include "measure/engine_internal.h"

/* Its queries move to another connection from now on, or do not after all. */
void engine_limits_set_replaced(struct engine *engine, struct poller *poller, bool is_replaced);

/* The leftovers, before one more connection is replaced, which will be one of them. */
struct leftovers {
    size_t all;
    size_t own;     /* of the tenant */
    size_t counted; /* the tenant's connections that count */
};

struct leftovers engine_limits_leftovers(struct engine *engine, const char *tenant);

/* Whether the query may be acquired, on this poller or, if it is NULL, on a new one. False with an
 * ERROR_LIMIT. */
bool engine_limits_check(const struct engine *engine, const struct poller *poller,
                         const struct leftovers *leftovers, const struct query_request *request,
                         struct error *error);

/* A query of it is used now, or no longer. With both locks. */
void engine_limits_count(struct engine *engine, struct poller *poller);
/* It leaves the map. With both locks. */
void engine_limits_drop(struct engine *engine, struct poller *poller);

#endif
