/*
 * How a link begins: AUTH, SELECT, a name for CLIENT LIST, ROLE where keys are read, and a PING,
 * since connecting to a stopped server "succeeds".
 *
 * A server that Sentinels or the nodes of a cluster named must be a master by its ROLE, or where it
 * does not know that command, by INFO replication. Any other may be a replica, but not one that is
 * not connected to its master, so far as it says so. As it
 * may lose its master later, ROLE is sent again before each read; to a master, which REPLICAOF may
 * demote and leave its connections, once per second. It is in front of what is read, on the same
 * link: a reading behind it is of the server that it says.
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

/* For a link that is ready, before what is read, sends ROLE again where it is time: the link breaks
 * where the server is not the master any more, or is a replica that has lost its own, and perhaps
 * its data in a synchronization that failed. */
void redis_setup_check_role(struct redis_link *link);

#endif
