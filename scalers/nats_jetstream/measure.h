/* Measuring: all consumers' requests sent at once, their answers taken as they come. */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_MEASURE_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_MEASURE_H

#include "base/error.h"
#include "measure/scaler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The hook of struct scaler; `client` is a struct nats_client. */
bool nats_measure(void *client, struct probe *const *probes, size_t count, int64_t deadline_ms,
                  struct error *error);

#endif
