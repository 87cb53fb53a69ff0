/* The hooks `connect`, `measure` and `disconnect` (measure/scaler.h). */
#ifndef BACKLOG_KAFKA_MEASURE_MEASURE_H
#define BACKLOG_KAFKA_MEASURE_MEASURE_H

#include "measure/scaler.h"

bool kafka_connect(const void *connection_options, int64_t deadline_ms, void **ret_client,
                   struct error *error);
bool kafka_measure(void *client, struct feed *feed, struct error *error);
void kafka_disconnect(void *client);

#endif
