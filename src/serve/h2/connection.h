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
/* At once: its socket is closed, and its place is free. Its calls end in this turn or the next,
 * and own it until then; the caller must not use it any more. */
void h2_connection_free(struct h2_connection *connection);
/* Ends calls of sessions that have ended, as many as the turn has left (server->ends_left). */
void h2_connection_end_calls(struct h2_server *server);
/* Takes it out of those that wait to be read. */
void h2_connection_unready(struct h2_connection *connection);
/* Everything is sent: its calls end, and it waits for the client to close. */
void h2_connection_linger(struct h2_connection *connection);
/* Sends GOAWAY; its calls go on. */
void h2_connection_close_gracefully(struct h2_connection *connection);
/* The client has received the shutdown notice. */
void h2_connection_goaway_acknowledged(struct h2_connection *connection);
/* Before it writes: once the client has received the notice, the last GOAWAY. Not sooner: a client
 * sends the requests of before behind its answer to a ping, and those that have begun are named.
 * (Nothing is read while the socket takes nothing.) */
void h2_connection_leave(struct h2_connection *connection);
/* It exceeded a limit: sends GOAWAY, and its calls end. */
void h2_connection_terminate(struct h2_connection *connection, enum h2_limit limit);
/* Checks its time limits; may free it. */
void h2_connection_check(struct h2_connection *connection);

#endif
