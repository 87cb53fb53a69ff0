/*
 * One call on the C core.
 *
 * Threads: as in state.h.
 */
#ifndef BACKLOG_SERVE_GRPC_CORE_CALL_H
#define BACKLOG_SERVE_GRPC_CORE_CALL_H

#include "serve/grpc_core/state.h"

/* Has the core hand us one more call, when one arrives. */
void core_call_request(struct core_server *server);

/* Orders of the core what the call needs next; ends the call, and frees it, once all is over. */
void core_call_advance(struct core_call *call);

/* Takes the next call off the list of touched ones; NULL when there is none. */
struct core_call *core_call_touched(struct core_server *server);

/* The transport's. */
void core_call_read(struct call *call);
bool core_call_send(struct call *call, struct bytes message);
void core_call_finish(struct call *call, enum status status, const char *text);

#endif
