/*
 * gRPC's Reflection service (v1 and v1alpha): the program's protos, so that clients such as grpcurl
 * need none. It answers from the descriptors that the build embeds.
 *
 * Threads: the hooks run under the server's turn lock (transport.h).
 */
#ifndef BACKLOG_SERVE_SERVICES_REFLECTION_H
#define BACKLOG_SERVE_SERVICES_REFLECTION_H

#include "serve/services/services.h"

/* Both have the same messages. They have no state, and so are never freed. */
extern const struct rpc_service reflection_v1;
extern const struct rpc_service reflection_v1alpha;

#endif
