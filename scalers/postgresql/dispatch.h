/*
 * Which of the waiting tasks goes to which session: quick ones and those of an unknown duration are
 * sent many at a time, each slow one has a session for itself while it runs.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_POSTGRESQL_DISPATCH_H
#define BACKLOG_SCALERS_POSTGRESQL_DISPATCH_H

#include "postgresql/client.h"

/* A task of the feed. */
void postgresql_dispatch_add(struct postgresql_client *client, struct task *task);

/* Sends what can be sent. */
void postgresql_dispatch(struct postgresql_client *client);

#endif
