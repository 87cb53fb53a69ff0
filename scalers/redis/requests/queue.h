/*
 * A queue of several keys: those that a trigger lists, or those of a job library. They are read in
 * one transaction (MULTI, EXEC), in which all keys of one server are of the same moment: a job that
 * moves from one key to another is in exactly one of them.
 *
 * Threads: that of the client.
 */
#ifndef BACKLOG_SCALERS_REDIS_REQUESTS_QUEUE_H
#define BACKLOG_SCALERS_REDIS_REQUESTS_QUEUE_H

#include "base/error.h"
#include "redis/client.h"
#include "redis/options.h"

/* In a Cluster one transaction can only read keys of one slot. */
void redis_queue_check_slots(const struct redis_list_query *query, struct error *mistakes);

/* A text in the slot of all of them, where those rules are kept. */
const char *redis_queue_route(const struct redis_list_query *query);

/* The memory of a subscription to its keys, or to listName. */
size_t redis_queue_subscription_bytes(const struct redis_list_query *query);

/* For the name of the metric. The caller frees it. */
char *redis_queue_name(const struct redis_list_query *query);

/* Reads the keys for the task, which is a command's from here on. */
void redis_queue_read(struct redis_client *client, struct redis_link *link, struct task *task);

#endif
