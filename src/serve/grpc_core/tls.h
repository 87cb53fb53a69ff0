/*
 * TLS on the C core: certificates, and who a client is.
 *
 * Threads: as in state.h.
 */
#ifndef BACKLOG_SERVE_GRPC_CORE_TLS_H
#define BACKLOG_SERVE_GRPC_CORE_TLS_H

#include "serve/grpc_core/state.h"

/* For the port; the caller releases them. */
grpc_server_credentials *core_tls_credentials(struct core_server *server);
void core_tls_use(struct server *server, struct tls *tls);
/* Whose certificate the core has verified; NULL: none was requested. The caller frees it. */
struct client_names *core_tls_peer(grpc_call *call);

#endif
