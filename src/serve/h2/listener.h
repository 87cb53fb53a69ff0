/*
 * The address that is listened on: new connections, and those that there is no place for.
 *
 * Threads: the loop's.
 */
#ifndef BACKLOG_SERVE_H2_LISTENER_H
#define BACKLOG_SERVE_H2_LISTENER_H

#include "serve/h2/state.h"

/* "host:port". */
bool h2_listener_open(struct h2_server *server, const char *address, struct error *error);
/* Again, after it had to stop for want of descriptors. */
void h2_listener_resume(struct h2_server *server);
void h2_listener_close(struct h2_server *server);

#endif
