/*
 * The sessions of a client: opened where tasks wait, closed where they are idle, broken or late.
 *
 * One that the server or a pooler refuses, or that is late behind one, fails no task: it is not
 * used, and another try comes later.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_POSTGRESQL_SESSIONS_H
#define BACKLOG_SCALERS_POSTGRESQL_SESSIONS_H

#include "postgresql/client.h"

#include <stdbool.h>

/* Opens one more where it is needed, closes those that have been idle for a while. There is none
 * where the last one broke and no task waits. False: there is none, and none can be opened. */
bool postgresql_sessions_adjust(struct postgresql_client *client, struct feed *feed,
                                struct error *error);

/* Nothing is in flight, no more than one is open, and none is being opened. One that is begun is
 * opened, or late, even if the task that needed it was cancelled meanwhile. */
bool postgresql_sessions_are_idle(const struct postgresql_client *client);

/* Sends what was written to them, waits until something happens, and takes what was received.
 * False: none is left. */
bool postgresql_sessions_wait(struct postgresql_client *client, struct feed *feed,
                              struct error *error);

#endif
