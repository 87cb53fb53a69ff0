/*
 * gRPC's Health service, for Kubernetes' grpc probes and clients that watch it. It knows
 *
 *   liveness                                         serving while it can be called
 *   "" (the server), readiness, and a given service   serving until the server drains
 *
 * A source that cannot be measured changes nothing here: others can be, and what to answer without
 * a measurement is decided for each call.
 *
 * Threads: the hooks run under the server's turn lock (transport.h).
 */
#ifndef BACKLOG_SERVE_SERVICES_HEALTH_H
#define BACKLOG_SERVE_SERVICES_HEALTH_H

#include "serve/services/services.h"

struct health;

/* `service` is borrowed. */
struct health *health_new(const char *service);
void health_free(struct health *health);

const struct rpc_service *health_service(const struct health *health);

#endif
