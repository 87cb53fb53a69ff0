/*
 * The queue of a job library (BullMQ, RQ): the keys that it consists of, and what their lengths
 * mean. They are read in one transaction, as those of a trigger are (lists.h), with the server's
 * time: jobs that fall due are waiting before a worker has moved them.
 *
 * Threads: that of the client; those with a query alone any. The query has a library.
 */
#ifndef BACKLOG_SCALERS_REDIS_REQUESTS_QUEUE_H
#define BACKLOG_SCALERS_REDIS_REQUESTS_QUEUE_H

#include "base/error.h"
#include "base/hash.h"
#include "redis/client.h"
#include "redis/options.h"

#include <stddef.h>

/* For the name of the metric. The caller frees it. */
char *redis_queue_name(const struct redis_list_query *query);

/* For an error: queue "bullmq-videos". The caller frees it. */
char *redis_queue_quoted_name(const struct redis_list_query *query);

/* A mistake where the keys are in different slots of a Cluster. */
void redis_queue_check_slots(const struct redis_list_query *query, struct error *mistakes);

/* A text in the slot of all keys, where there is no such mistake. */
const char *redis_queue_route(const struct redis_list_query *query);

/* What its keys are named by. */
void redis_queue_add_hash(const struct redis_list_query *query, struct hash *hash);

/* Reads the keys for the task, which is a command's from here on. */
void redis_queue_read(struct redis_client *client, struct redis_link *link, struct task *task);

#endif
