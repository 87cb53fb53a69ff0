/*
 * Measuring lists: how many items a key has. Its length is read with the command of its type, known
 * from the last time; a key of another type answers WRONGTYPE, and its type is read. Several keys
 * are queue.c's.
 *
 * Threads: that of the client.
 */
#ifndef BACKLOG_SCALERS_REDIS_REQUESTS_LISTS_H
#define BACKLOG_SCALERS_REDIS_REQUESTS_LISTS_H

#include "base/error.h"
#include "measure/task.h"

#include <stdbool.h>

/* The hooks `measure` of struct scaler, of a struct redis_client and of a struct redis_cluster. */
bool redis_lists_measure(void *client, struct feed *feed, struct error *error);
bool redis_lists_measure_in_cluster(void *cluster, struct feed *feed, struct error *error);

#endif
