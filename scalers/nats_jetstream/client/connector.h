/*
 * Connects a subscriber on a thread of its own: nats.c connects no other way than by waiting for
 * it.
 *
 * Threads: one at a time. {0} is idle.
 */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_CLIENT_CONNECTOR_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_CLIENT_CONNECTOR_H

#include "base/error.h"
#include "nats_jetstream/client/connection.h"
#include "nats_jetstream/options.h"

#include <stdbool.h>
#include <stdint.h>

struct nats_connector {
    struct nats_attempt *attempt; /* NULL: idle */
};

/* The options must outlive the attempt. False with the error set: nothing was begun. */
bool nats_connector_begin(struct nats_connector *connector,
                          const struct nats_connection_options *options, int64_t deadline_ms,
                          struct error *error);

/* Readable once the attempt has ended; -1: idle. */
int nats_connector_descriptor(const struct nats_connector *connector);

/* False: idle, or it has not ended yet. Else the connector is idle again, and either the connection
 * is the caller's, or it is NULL and the error set. */
bool nats_connector_take(struct nats_connector *connector,
                         struct nats_client_connection **ret_connection, struct error *error);

/* Waits for the attempt, which ends at its deadline at the latest, and closes what it has. */
void nats_connector_done(struct nats_connector *connector);

#endif
