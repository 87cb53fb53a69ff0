/* Measuring a batch of probes. */
#ifndef BACKLOG_KAFKA_MEASURE_H
#define BACKLOG_KAFKA_MEASURE_H

#include "measure/scaler.h"

bool kafka_measure(void *client, struct probe *const *probes, size_t count, int64_t deadline_ms,
                   struct error *error);

#endif
