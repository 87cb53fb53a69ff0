/*
 * Looking up the addresses of a name: each on a thread of its own, as getaddrinfo() blocks for as
 * long as resolv.conf lets it, and the thread that asks serves all nodes of a cluster. Who wants a
 * name that is being looked up gets the same answer, so that there is one thread per name.
 *
 * Threads: any. Owner: a lookup is its callers' together, until each has released it; the thread
 * may go on for longer.
 */
#ifndef BACKLOG_SCALERS_REDIS_LINK_LOOKUP_H
#define BACKLOG_SCALERS_REDIS_LINK_LOOKUP_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* Of all connections together: the nodes of a cluster may name others, slowly. */
enum { REDIS_MAX_LOOKUPS = 512 };

struct redis_lookup;

/* False: the host is an address already. */
bool redis_lookup_is_needed(const char *host);

/* NULL: it cannot be looked up now; the error says why. */
struct redis_lookup *redis_lookup_start(const char *host, struct error *error);
void redis_lookup_release(struct redis_lookup *lookup); /* of NULL, too */

/* Readable once it is done, and from then on. */
int redis_lookup_descriptor(const struct redis_lookup *lookup);
bool redis_lookup_is_done(const struct redis_lookup *lookup);

/* Once it is done: how many addresses there are, and the one with this number, from 0 on. */
size_t redis_lookup_count(const struct redis_lookup *lookup);
const char *redis_lookup_address(const struct redis_lookup *lookup, size_t number);

/* ... and why there is none. */
const char *redis_lookup_failure(const struct redis_lookup *lookup);

#endif
