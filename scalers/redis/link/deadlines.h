/*
 * The deadlines of a link that is ready: of its tasks or, where it has none, of a PING for its
 * subscriptions. A task's time counts from when its command is the oldest on the link.
 *
 * Threads: that of the client.
 */
#ifndef BACKLOG_SCALERS_REDIS_LINK_DEADLINES_H
#define BACKLOG_SCALERS_REDIS_LINK_DEADLINES_H

#include "redis/link/link.h"

#include <stdbool.h>
#include <stdint.h>

/* Times out the tasks of the oldest command whose time is over. Returns when the next one's is. */
int64_t redis_deadlines_time_out(const struct redis_link *link, const struct redis_command *command,
                                 int64_t now_ms);

/* How long the oldest command may take. One without tasks has the time of those behind it. */
int64_t redis_deadlines_oldest_ms(const struct redis_link *link);

/* A reply of any kind will do. */
void redis_deadlines_ping(struct redis_link *link);

/* A link with subscriptions on which no task waits for a reply: changes of what was read on it are
 * reported as long as the connection exists, and something on the way may have closed it. So it is
 * pinged. True: there was no reply. Lowers *next_ms to when to call it again. */
bool redis_deadlines_is_silent(struct redis_link *link, int64_t now_ms, int64_t *next_ms);

/* A link without tasks and subscriptions, that has not replied since then: nobody would notice that
 * its server is gone. */
bool redis_deadlines_is_idle(const struct redis_link *link, int64_t since_ms);

/* The client measures again: its deadlines count from now on, as nobody has read replies. NULL: no
 * link. */
void redis_deadlines_resume(struct redis_link *link, int64_t now_ms);

#endif
