/*
 * The Peers service (peers.proto): what this replica would hold, in pages, for another one that
 * starts.
 *
 * Threads: the hooks run under the server's turn lock (transport.h).
 */
#ifndef BACKLOG_SERVE_SERVICES_PEERS_SERVICE_H
#define BACKLOG_SERVE_SERVICES_PEERS_SERVICE_H

#include "scale/answer/peer_values.h"
#include "scale/table/triggers.h"
#include "serve/services/services.h"

#define PEERS_HELD_PATH "/backlog.peers.Peers/Held"

struct peers_service;

/* Both are borrowed. */
struct peers_service *peers_service_new(struct triggers *triggers, struct peer_values *values);
void peers_service_free(struct peers_service *service); /* NULL is harmless */

const struct rpc_service *peers_service_rpcs(const struct peers_service *service);

#endif
