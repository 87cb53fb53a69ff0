/*
 * The client: one connection to NATS, with limits on whatever could block; or, as for KEDA, a monitoring
 * port.
 *
 * Threads: nats.c reads the socket on a thread of its own and queues the answers; everything here is
 * called on one thread, never two at a time. nats.c does not reconnect: a client whose connection
 * broke is thrown away.
 */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_CLIENT_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_CLIENT_H

#include "base/error.h"

#include <nats/nats.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nats_monitoring;
struct nats_arms;
struct nats_connection_options;

struct nats_client {
    natsConnection *connection;
    struct nats_monitoring *monitoring; /* asked instead of the connection, which is NULL then */
    const struct nats_connection_options *options;
    struct nats_arms *arms; /* arm.c's; NULL: none was ever wanted */
    char *servers;          /* for errors: host:port, without user info */
};

/* The hooks of struct scaler. */
bool nats_client_connect(const void *connection_options, int64_t deadline_ms, void **ret_client,
                         struct error *error);
void nats_client_disconnect(void *client);

/* Sets the error that says why the connection is of no further use. Returns false. */
bool nats_client_broken(const struct nats_client *client, natsStatus status, struct error *error);

#endif
