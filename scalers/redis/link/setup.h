/*
 * How a link begins: AUTH, SELECT, a name for CLIENT LIST, ROLE where keys are read, and a PING,
 * since connecting to a stopped server "succeeds".
 *
 * A server that Sentinels or the nodes of a cluster named must be a master by its ROLE. Another may
 * be a replica, but is refused while that is not connected to its master; so far as ROLE says it.
 * Such a replica is asked again before each read, as it may lose its master later. A master is not:
 * one that REPLICAOF demotes later is not noticed (docs/outages.md). With ROLE before its reads,
 * too, that was the oldest command wherever a query hung: a busy server was taken for a dead one.
 *
 * Threads: that of the client.
 */
#ifndef BACKLOG_SCALERS_REDIS_LINK_SETUP_H
#define BACKLOG_SCALERS_REDIS_LINK_SETUP_H

#include "base/error.h"
#include "redis/link/link.h"

#include <stdbool.h>
#include <stdint.h>

/* For link->on_connected. */
void redis_setup_send(struct redis_link *link);

/* For a link that is ready and `is_of_replica`, before what is read: where the replica has lost its
 * master since, and perhaps its data in a synchronization that failed, the link breaks. */
void redis_setup_send_role(struct redis_link *link);

#endif
