/*
 * What is requested for tasks: the lengths of lists and of other keys (lists.h), or streams
 * (streams.h). A connection has one kind.
 *
 * Threads: that of the client.
 */
#ifndef BACKLOG_SCALERS_REDIS_REQUESTS_REQUESTS_H
#define BACKLOG_SCALERS_REDIS_REQUESTS_REQUESTS_H

#include "measure/task.h"
#include "redis/waiting.h"

#include <stdint.h>

struct redis_client;
struct redis_link;

struct redis_requests {
    /* Sends the first request of tasks that wait, on a link that is ready, as long as that has
     * capacity: they are a command's from here on. It may sort the list. Few may be sent at a time,
     * of many that wait: the others are not to be walked. */
    void (*send)(struct redis_client *client, struct redis_link *link,
                 struct redis_waiting *waiting);

    /* The key that a task reads, or one of them: its slot is that of all. */
    const char *(*key_of)(const struct task *task);

    /* Of what is requested for a task: the same where the same commands are sent. */
    uint64_t (*hash_of)(const struct task *task);

    /* What a task measures, for an error: key "jobs". The caller frees it. */
    char *(*name_of)(const struct task *task);
};

#endif
