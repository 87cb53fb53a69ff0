/*
 * What to do where a link does not reply. It also times tasks out, and opens and closes the
 * isolated link. Redis has no request numbers: a late reply holds up all that was sent behind it on
 * the same connection.
 *
 * The shared link stalls where its oldest command has been without a reply for longer than usual,
 * while another link, the standby, gets replies to what it sent later: the server works, so it is
 * this command. Its tasks are isolated; what is behind is sent again on the standby, which takes
 * the place of the shared link. A server that replies to nobody is not a stall: all wait, until the
 * deadline of the oldest command says that the connection is lost.
 *
 * Threads: that of the client.
 */
#ifndef BACKLOG_SCALERS_REDIS_STALL_H
#define BACKLOG_SCALERS_REDIS_STALL_H

#include "base/error.h"
#include "redis/client.h"

#include <stdbool.h>
#include <stdint.h>

/* Each returns when to look again (*next_ms, which they only lower): at once where tasks have
 * ended, since the feed may have others then. */

/* False: the client is of no further use. */
bool redis_stall_check_shared(struct redis_client *client, int64_t now_ms, int64_t *next_ms,
                              struct error *error);
void redis_stall_check_standby(struct redis_client *client, int64_t now_ms, int64_t *next_ms);
void redis_stall_check_isolated(struct redis_client *client, int64_t now_ms, int64_t *next_ms);

/* A link is of no further use, and is closed. What the shared one had in flight is sent again, a
 * few times; false: the client is of no further use, too. Links that do not live long are opened
 * again after a while only. */
bool redis_stall_lose_shared(struct redis_client *client);
void redis_stall_lose_standby(struct redis_client *client);
void redis_stall_lose_isolated(struct redis_client *client, const struct error *error);

/* Else redis_stall_check_shared() returns when. */
bool redis_stall_may_open_shared(const struct redis_client *client, int64_t now_ms);

/* All links are closed, and what they had in flight is sent again, somewhere else. */
void redis_stall_leave(struct redis_client *client);

#endif
