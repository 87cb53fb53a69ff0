/*
 * The client: a connection to NATS and, where queries are to notify, a subscriber; or, as for KEDA,
 * a monitoring port.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_CLIENT_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_CLIENT_H

#include "base/error.h"
#include "nats_jetstream/client/connection.h"
#include "nats_jetstream/client/subscriber.h"
#include "nats_jetstream/monitoring/monitoring.h"

#include <stdbool.h>
#include <stdint.h>

struct nats_client {
    struct nats_monitoring *monitoring; /* instead of the connection, which is NULL then */
    struct nats_connection *connection;
    struct nats_subscriber subscriber;
};

/* The hooks of struct scaler. */
bool nats_client_connect(const void *connection_options, int64_t deadline_ms, void **ret_client,
                         struct error *error);
void nats_client_disconnect(void *client);

#endif
