/*
 * Making a client: its first session, waited for, and what that one found out about the server.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_POSTGRESQL_CONNECT_H
#define BACKLOG_SCALERS_POSTGRESQL_CONNECT_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* The hook of struct scaler. The client ends with postgresql_client_disconnect(). */
bool postgresql_connect(const void *connection_options, int64_t deadline_ms, void **ret_client,
                        struct error *error);

#endif
