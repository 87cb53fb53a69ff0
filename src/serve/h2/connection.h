/*
 * A connection's life: its beginning, its time limits, and its ways to end.
 *
 * Threads: the loop's.
 */
#ifndef BACKLOG_SERVE_H2_CONNECTION_H
#define BACKLOG_SERVE_H2_CONNECTION_H

#include "serve/h2/state.h"

/* Takes the socket. Nothing is read of it yet. */
struct h2_connection *h2_connection_new(struct h2_server *server, int fd, const char *address);
void h2_connection_enter(struct h2_connection *connection, enum h2_phase phase);
/* At once; its calls end. */
void h2_connection_free(struct h2_connection *connection);
/* All is said: waits for the client to close. */
void h2_connection_linger(struct h2_connection *connection);
/* Closes it in order: GOAWAY, and its calls go on. */
void h2_connection_leave(struct h2_connection *connection);
/* The client has seen that it is to leave. */
void h2_connection_left(struct h2_connection *connection);
/* Closes it for good reason: GOAWAY, and its calls end. */
void h2_connection_doom(struct h2_connection *connection, enum h2_limit limit);
/* The grace is over: says GOAWAY if the socket takes it, and is gone. */
void h2_connection_cut(struct h2_connection *connection);
/* Looks at its time limits; may free it. */
void h2_connection_check(struct h2_connection *connection);

#endif
