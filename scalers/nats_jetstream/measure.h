/*
 * Measuring, as struct scaler has it: over the NATS protocol a request to $JS.API.CONSUMER.INFO for
 * each task, all of them at once; over HTTP, where the client has `monitoring`, by that. Returns
 * when nothing is in flight, the feed is stopping, or the connection is of no further use, with the
 * error.
 *
 * Threads: the measuring thread.
 */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_MEASURE_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_MEASURE_H

#include "base/error.h"
#include "measure/task.h"

#include <stdbool.h>

bool nats_measure(void *client, struct feed *feed, struct error *error);

#endif
