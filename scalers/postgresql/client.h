/*
 * The client: one session of a database in libpq's pipeline mode, and nothing that blocks longer than
 * it may (but looking up a host's name, which is the resolver's).
 *
 * Threads: one at a time. A client whose session broke is thrown away.
 */
#ifndef BACKLOG_SCALERS_POSTGRESQL_CLIENT_H
#define BACKLOG_SCALERS_POSTGRESQL_CLIENT_H

#include "base/error.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

struct postgresql_client {
    PGconn *session;
    char *address; /* for errors: host:port */
};

/* The hooks of struct scaler. */
bool postgresql_client_connect(const void *connection_options, int64_t deadline_ms,
                               void **ret_client, struct error *error);
void postgresql_client_disconnect(void *client);

/* Waits until the socket can be read, or written where that is wanted; false at the deadline. */
bool postgresql_client_wait(const struct postgresql_client *client, short events,
                            int64_t deadline_ms);

/* Set the error that says why the session is of no further use. Return false. */
bool postgresql_client_broken(const struct postgresql_client *client, struct error *error);
bool postgresql_client_silent(const struct postgresql_client *client, struct error *error);

#endif
