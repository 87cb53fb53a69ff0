/* Measuring: each query is a question of its own, a few of them side by side. */
#ifndef BACKLOG_SCALERS_PROMETHEUS_MEASURE_H
#define BACKLOG_SCALERS_PROMETHEUS_MEASURE_H

#include "base/error.h"
#include "measure/scaler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The hook of struct scaler; `client` is a struct prometheus_client. */
bool prometheus_measure(void *client, struct probe *const *probes, size_t count,
                        int64_t deadline_ms, struct error *error);

#endif
