/*
 * Measuring: one loop over the sessions of a database, whose number grows while tasks wait.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_POSTGRESQL_MEASURE_H
#define BACKLOG_SCALERS_POSTGRESQL_MEASURE_H

#include "measure/scaler.h"

#include <stdbool.h>

/* The hook of struct scaler; `client` is a struct postgresql_client. */
bool postgresql_measure(void *client, struct feed *feed, struct error *error);

#endif
