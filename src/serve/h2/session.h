/*
 * HTTP/2: nghttp2's callbacks, and limits on frames.
 *
 * Threads: the loop's.
 */
#ifndef BACKLOG_SERVE_H2_SESSION_H
#define BACKLOG_SERVE_H2_SESSION_H

#include "serve/h2/state.h"

void h2_session_prepare(struct h2_server *server);
/* Begins HTTP/2: our SETTINGS. */
nghttp2_session *h2_session_new(struct h2_connection *connection);

#endif
