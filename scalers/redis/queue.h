/*
 * A queue of several keys: those that a trigger lists, or those of a job library. They are read in
 * one transaction (MULTI, EXEC), in which all keys of one server are of the same moment: a job that
 * moves from one key to another is in exactly one of them.
 *
 * Threads: that of the client.
 */
#ifndef BACKLOG_SCALERS_REDIS_QUEUE_H
#define BACKLOG_SCALERS_REDIS_QUEUE_H

#include "base/error.h"
#include "config/option.h"
#include "redis/client.h"

#include <stdbool.h>
#include <stdint.h>

/* What `library` may say. The first is none. */
extern const char *const redis_library_names[];

/* What to count: of a trigger without mistakes one of list_name, keys and library is set. */
struct redis_queue {
    const char *list_name; /* one key, which is not read here */
    struct option_list keys;
    int library; /* an index of redis_library_names */
    const char *queue_name;
    const char *prefix; /* NULL: the library's own */
};

/* Rules across keys; every mistake is added to the error. */
void redis_queue_check(const struct redis_queue *queue, struct error *mistakes);

/* In a Cluster one transaction can only read keys of one slot. */
void redis_queue_check_slots(const struct redis_queue *queue, struct error *mistakes);

/* A text in the slot of all of them, where those rules are kept. */
const char *redis_queue_route(const struct redis_queue *queue);

/* For the name of the metric. The caller frees it. */
char *redis_queue_name(const struct redis_queue *queue);

/* Which jobs are in progress is part of the reading. */
bool redis_queue_has_in_flight(const struct redis_queue *queue);

/* Reads the keys for the task, which is a command's from here on. */
void redis_queue_read(struct redis_client *client, struct redis_channel *channel,
                      struct task *task);

#endif
