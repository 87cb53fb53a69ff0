/*
 * Measuring streams: their entries, or of a consumer group those that are pending (delivered, and
 * not acknowledged) or those that it has not been given yet (its lag). One XINFO GROUPS has the lag
 * of all groups of a stream.
 *
 * Threads: that of the client.
 */
#ifndef BACKLOG_SCALERS_REDIS_REQUESTS_STREAMS_H
#define BACKLOG_SCALERS_REDIS_REQUESTS_STREAMS_H

#include "base/error.h"
#include "measure/task.h"

#include <stdbool.h>

/* The hooks `measure` of struct scaler, of a struct redis_client and of a struct redis_cluster. */
bool redis_streams_measure(void *client, struct feed *feed, struct error *error);
bool redis_streams_measure_in_cluster(void *cluster, struct feed *feed, struct error *error);

#endif
