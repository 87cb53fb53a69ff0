/*
 * Connecting a client: to the server of its options, or to the master that its Sentinels name,
 * which is followed.
 *
 * Threads: that of the client.
 */
#ifndef BACKLOG_SCALERS_REDIS_CONNECT_H
#define BACKLOG_SCALERS_REDIS_CONNECT_H

#include "base/error.h"
#include "redis/client.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * As struct scaler has them. They return once the server has replied and we are authenticated:
 * connecting to a stopped one "succeeds".
 */
bool redis_connect(const void *connection_options, int64_t deadline_ms, void **ret_client,
                   struct error *error);
bool redis_connect_to_master(const void *connection_options, int64_t deadline_ms, void **ret_client,
                             struct error *error);

/* Where the Sentinels name another master, all links to this one are closed, what they had in
 * flight waits to be sent again, and subscribers are notified. False: they are about to answer, and
 * nothing may be sent until then. */
bool redis_follow_master(struct redis_client *client, int64_t now_ms);

/* The server has failed. Where there are Sentinels, which may name another master, they are asked
 * at once, and the client's tasks fail until there is one; takes the error. False: there are none,
 * none of them answers, or they have named no other for a minute. Then this is no failover: the
 * client ends, so that the engine reports the connection as failed. */
bool redis_lose_master(struct redis_client *client, struct error *error);

#endif
