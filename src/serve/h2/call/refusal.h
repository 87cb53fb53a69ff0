/*
 * How requests are answered that are not served: those that are no gRPC, too large, or of a
 * stranger.
 *
 * Threads: the loop's.
 */
#ifndef BACKLOG_SERVE_H2_CALL_REFUSAL_H
#define BACKLOG_SERVE_H2_CALL_REFUSAL_H

#include "serve/h2/state.h"

/* Answers what is no call that could be served; true: it is one. */
bool h2_refusal_check(struct h2_connection *connection, int32_t stream_id);
/* Notifies the service of one that was refused. */
void h2_refusal_report(const struct h2_connection *connection, enum status status);

#endif
