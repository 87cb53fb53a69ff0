/*
 * Measuring: the loop that takes tasks, sends what they need and handles what is received, over all
 * links of a client, or of those of a cluster.
 *
 * Threads: that of the client.
 */
#ifndef BACKLOG_SCALERS_REDIS_MEASURE_H
#define BACKLOG_SCALERS_REDIS_MEASURE_H

#include "base/error.h"
#include "measure/task.h"
#include "redis/client.h"
#include "redis/cluster/cluster.h"

#include <stdbool.h>

/* Sends the first request of each task (utlist) on a link that is ready. Each becomes a command's.
 */
typedef void redis_send_tasks(struct redis_client *client, struct redis_link *link,
                              struct task *tasks);

/* As struct scaler has it. */
bool redis_measure(struct redis_client *client, struct feed *feed, redis_send_tasks *send,
                   struct error *error);
bool redis_measure_cluster(struct redis_cluster *cluster, struct feed *feed, redis_send_tasks *send,
                           redis_key_of *key_of, struct error *error);

#endif
