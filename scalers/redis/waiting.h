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

#include <stdbool.h>
#include <stddef.h>

struct redis_link;

/* {0} is an empty list. */
struct redis_waiting {
    struct task *tasks; /* utlist */
    size_t count;
    bool was_kept_back;      /* the list: what is sent of it was not sent at once */
    bool is_sorted;          /* requests/ writes: as it sends them, until one is added */
    bool wants_subscription; /* one of them does, or of those that were in it since it was empty */
};

void redis_waiting_add(struct redis_waiting *waiting, struct task *task);
struct task *redis_waiting_take(struct redis_waiting *waiting); /* NULL: none waits */

/* The same of one that is sent now: where it was kept back, its time counts from here. */
struct task *redis_waiting_start(struct redis_waiting *waiting);

/* Moves the tasks of all commands on the link to the front: they are to be sent again. */
void redis_waiting_take_back(struct redis_waiting *waiting, struct redis_link *link);

/* They end. */
void redis_waiting_fail(struct redis_waiting *waiting, const struct error *error);
void redis_waiting_return(struct redis_waiting *waiting); /* to the feed, which gives them again */

#endif
