/*
 * What a call answers: messages and a status.
 *
 * Threads: the loop's.
 */
#ifndef BACKLOG_SERVE_H2_CALL_CALL_ANSWER_H
#define BACKLOG_SERVE_H2_CALL_CALL_ANSWER_H

#include "serve/h2/state.h"

/* A DATA frame of it has left. */
void h2_call_sent(struct h2_call *call);
/* What it was to send is not kept any more. */
void h2_call_drop_message(struct h2_call *call);
/* The call ends: nghttp2 has no status text of it any more. */
void h2_call_drop_status_text(struct h2_call *call);

/* The transport's. */
bool h2_call_send(struct call *call, struct bytes message);
void h2_call_finish(struct call *call, enum status status, const char *text);

#endif
