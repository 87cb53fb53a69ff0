/*
 * Measuring: each query is a request of its own, a few of them side by side; more where queries
 * wait.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_PROMETHEUS_MEASURE_H
#define BACKLOG_SCALERS_PROMETHEUS_MEASURE_H

#include "measure/scaler.h"

#include <stdbool.h>

/* The hook of struct scaler; `client` is a struct prometheus_client. */
bool prometheus_measure(void *client, struct feed *feed, struct error *error);

#endif
