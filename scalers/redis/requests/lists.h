/*
 * Measuring lists, sets, sorted sets and hashes: how many items the keys of a trigger have, or
 * those of a job library's queue (queue.h). A length is read with the command of its key's type,
 * known from the last time; a key of another type answers WRONGTYPE, and its type is read. Several
 * keys are read in one transaction (MULTI, EXEC), in which all are of the same moment: a job that
 * moves from one to another is in exactly one of them.
 *
 * Threads: that of the client; those with a query alone any.
 */
#ifndef BACKLOG_SCALERS_REDIS_REQUESTS_LISTS_H
#define BACKLOG_SCALERS_REDIS_REQUESTS_LISTS_H

#include "base/error.h"
#include "measure/task.h"
#include "redis/options.h"

#include <stdbool.h>
#include <stddef.h>

/* For the name of the metric. The caller frees it. */
char *redis_list_name(const struct redis_list_query *query);

/* In a Cluster one transaction can only read keys of one slot. */
void redis_list_check_slots(const struct redis_list_query *query, struct error *mistakes);

/* The hooks `measure` of struct scaler, of a struct redis_client and of a struct redis_cluster. */
bool redis_lists_measure(void *client, struct feed *feed, struct error *error);
bool redis_lists_measure_in_cluster(void *cluster, struct feed *feed, struct error *error);

#endif
