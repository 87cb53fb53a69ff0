/*
 * Tasks that wait to be sent, the first one first. A task that was taken from the feed has one
 * owner at a time: such a list, and then a command that was sent for it (link/link.h), until it
 * ends.
 *
 * Threads: that of the client.
 */
#ifndef BACKLOG_SCALERS_REDIS_WAITING_H
#define BACKLOG_SCALERS_REDIS_WAITING_H

#include "base/error.h"
#include "measure/task.h"
#include "redis/requests/requests.h"

#include <stddef.h>

/* {0} is an empty list. */
struct redis_waiting {
    struct task *tasks; /* utlist */
    size_t count;
};

void redis_waiting_add(struct redis_waiting *waiting, struct task *task);
struct task *redis_waiting_take(struct redis_waiting *waiting); /* NULL: none waits */

/* Moves the tasks of all commands on the link to the front: they are to be sent again. */
void redis_waiting_take_back(struct redis_waiting *waiting, struct redis_link *link);

/* Those that are sent leave it. */
void redis_waiting_send(struct redis_waiting *waiting, const struct redis_requests *requests,
                        struct redis_client *client, struct redis_link *link);

/* They end. */
void redis_waiting_fail(struct redis_waiting *waiting, const struct error *error);
void redis_waiting_return(struct redis_waiting *waiting); /* to the feed, which gives them again */

#endif
