/*
 * A call: its messages in, its beginning and its end.
 *
 * Threads: the loop's.
 */
#ifndef BACKLOG_SERVE_H2_CALL_CALL_H
#define BACKLOG_SERVE_H2_CALL_CALL_H

#include "serve/h2/state.h"

/* Takes the path out of the request. */
void h2_call_begin(struct h2_connection *connection, int32_t stream_id, struct h2_request *request);
void h2_call_receive(struct h2_call *call, struct bytes bytes);
void h2_call_half_close(struct h2_call *call);
/* Delivers what had to wait for call_read() or for its turn, for a millisecond. */
void h2_call_deliver_unread(struct h2_server *server);
/* Its stream is closed, or its session has ended: the last thing that happens to it. */
void h2_call_end(struct h2_call *call);

/* The transport's. */
void h2_call_read(struct call *call);

#endif
