/*
 * Requests: the tasks that were taken, each until it has ended, and those of them that wait for a
 * channel.
 *
 * What was sent for a request is remembered by its id alone, so an answer that comes after the
 * request has ended finds nothing, and is ignored.
 *
 * Threads: one at a time. Owner: the set.
 */
#ifndef BACKLOG_SCALERS_RABBITMQ_AMQP_REQUESTS_H
#define BACKLOG_SCALERS_RABBITMQ_AMQP_REQUESTS_H

#include "base/hash_table.h"
#include "measure/task.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a request is sent. */
enum rabbitmq_group {
    RABBITMQ_GROUP_SHARED,      /* channels with many requests in flight */
    RABBITMQ_GROUP_QUARANTINED, /* one at a time: queues that would close or hold up a shared one */
    RABBITMQ_GROUP_ISOLATED,    /* one at a time: tasks with `isolate` */
    RABBITMQ_GROUPS,
};

struct rabbitmq_request {
    UT_hash_handle hh;
    uint64_t id; /* the key; never reused */
    struct task *task;
    const char *queue; /* lives as long as the task */
    enum rabbitmq_group group;
    int64_t taken_ms;
    bool waits; /* for a channel of its group... */
    int64_t waits_since_ms;
    bool was_sent; /* once */
    struct rabbitmq_request *prev, *next;
};

/* Start from {0}. */
struct rabbitmq_requests {
    struct rabbitmq_request *by_id;
    uint64_t last_id;
    struct rabbitmq_request *waiting[RABBITMQ_GROUPS]; /* utlist */
    size_t waiting_count[RABBITMQ_GROUPS];
};

/* A new request of this task; it waits for nothing yet. */
struct rabbitmq_request *rabbitmq_requests_add(struct rabbitmq_requests *requests,
                                               struct task *task, const char *queue);

/* NULL where it has ended. */
struct rabbitmq_request *rabbitmq_requests_find(const struct rabbitmq_requests *requests,
                                                uint64_t id);

/* Lets it wait for a channel of this group, behind the others or in front of them. */
void rabbitmq_requests_wait(struct rabbitmq_requests *requests, struct rabbitmq_request *request,
                            enum rabbitmq_group group);
void rabbitmq_requests_wait_first(struct rabbitmq_requests *requests,
                                  struct rabbitmq_request *request, enum rabbitmq_group group);

/* The first of a group that waits; there must be one. */
struct rabbitmq_request *rabbitmq_requests_next(struct rabbitmq_requests *requests,
                                                enum rabbitmq_group group);

/* Frees the request; the caller ends its task, which it returns. */
struct task *rabbitmq_requests_remove(struct rabbitmq_requests *requests,
                                      struct rabbitmq_request *request);

/* Frees all of them; their tasks go back to the feed. */
void rabbitmq_requests_return(struct rabbitmq_requests *requests);

/* Frees all of them; their tasks are abandoned. */
void rabbitmq_requests_clear(struct rabbitmq_requests *requests);

#endif
