#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_MEASURE_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_MEASURE_H

#include "base/error.h"
#include "measure/task.h"

#include <stdbool.h>

/* The hook of struct scaler: a request to $JS.API.CONSUMER.INFO for each task, all of them at once.
 */
bool nats_measure(void *client, struct feed *feed, struct error *error);

#endif
