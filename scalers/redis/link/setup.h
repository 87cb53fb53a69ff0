/*
 * How a link begins: AUTH, SELECT, a name for CLIENT LIST, ROLE where keys are read, and a PING,
 * since connecting to a stopped server "succeeds".
 *
 * A server that Sentinels or the nodes of a cluster named must be a master by its ROLE. Any other
 * may be a replica, but not one that is not connected to its master, so far as ROLE says it. As it
 * may lose its master later, ROLE is sent again before each read.
 *
 * To a master it is not, though one that REPLICAOF demotes later is not noticed (docs/outages.md):
 * where a query hung, ROLE was the oldest command, and a busy server was taken for a dead one.
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
