/*
 * What a session has received: tasks end by it, or are queued again to run alone.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_POSTGRESQL_RESULTS_H
#define BACKLOG_SCALERS_POSTGRESQL_RESULTS_H

#include "postgresql/client.h"

#include <stdbool.h>

/* Reads all that has arrived. False: the session broke; the tasks of its entries have not ended. */
bool postgresql_results_take(struct postgresql_client *client, struct postgresql_session *session);

#endif
