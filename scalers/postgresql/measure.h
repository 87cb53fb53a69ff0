/*
 * Measuring: all queries sent at once, each in a read-only transaction of its own that is rolled back, so
 * that one that fails fails alone, and none changes what another reads. The server runs them one after the
 * other, so none may take much of the time: the server stops one that does, and it is asked again once all
 * others are answered.
 */
#ifndef BACKLOG_SCALERS_POSTGRESQL_MEASURE_H
#define BACKLOG_SCALERS_POSTGRESQL_MEASURE_H

#include "base/error.h"
#include "measure/scaler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The hook of struct scaler; `client` is a struct postgresql_client. */
bool postgresql_measure(void *client, struct probe *const *probes, size_t count,
                        int64_t deadline_ms, struct error *error);

#endif
