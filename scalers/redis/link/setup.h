/*
 * How a link begins: AUTH, SELECT, a name for CLIENT LIST, ROLE where Sentinels or the nodes of a
 * cluster named the server, and a PING, since connecting to a stopped server "succeeds".
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

#endif
