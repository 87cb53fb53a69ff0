/*
 * Measuring: the loop that takes tasks, sends what they need and handles what is received, over all
 * links of a client, or of those of a cluster.
 *
 * A task is taken into a list of those that wait (waiting.h; in a cluster redis_cluster_route()
 * does so, with those of the node that has its key). When the link is ready it becomes one of a
 * command's, whose handler in requests/ answers or fails it, or sends the next command for it.
 * links.c times it out, returns it to be isolated, or has it wait again, to be sent on another
 * link. It is returned where another node has its key (MOVED); after ASK it is in `waiting_imports`
 * of that node. redis_client_fail() fails those of a node, or of a master that Sentinels name, and
 * links.c those whose reply is too large, or that the isolated link breaks with; those of any other
 * server end with the client. Its time counts from the link's last progress; deadline_ms is that of
 * a job library's queue, which may be read several times (requests/queue.c).
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

/* The reply is an error, or not what was expected: fails the task, naming `what` it is about. Where
 * a node of a cluster redirects, the task waits for the other one. */
void redis_measure_fail(struct redis_link *link, struct task *task, const redisReply *reply,
                        const char *what);

/* As struct scaler has it. */
bool redis_measure(struct redis_client *client, struct feed *feed,
                   const struct redis_requests *requests, struct error *error);
bool redis_measure_cluster(struct redis_cluster *cluster, struct feed *feed,
                           const struct redis_requests *requests, struct error *error);

#endif
