/*
 * The server of the nghttp2 transport: its loop, its thread, and their end.
 *
 * Threads: the loop's.
 */
#ifndef BACKLOG_SERVE_H2_SERVER_H
#define BACKLOG_SERVE_H2_SERVER_H

#include "serve/h2/state.h"

/* A server that neither listens nor has a thread yet. Whoever wants none (a fuzzer) gives it
 * connections and turns of its own; server_free() frees it. */
bool h2_server_new(const struct server_options *options, const struct call_handler *handler,
                   struct h2_server **ret_server, struct error *error);
/* Waits for events unless `flags` (of event_base_loop) say otherwise, and does all that follows. */
void h2_server_turn(struct h2_server *server, int flags);

#endif
