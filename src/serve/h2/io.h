/*
 * A connection's bytes in and out: its first ones, HTTP/2's, and what waits to be written.
 *
 * Threads: the loop's.
 */
#ifndef BACKLOG_SERVE_H2_IO_H
#define BACKLOG_SERVE_H2_IO_H

#include "serve/h2/state.h"

/* Takes the socket. */
void h2_io_accept(struct h2_server *server, int fd, const char *address);
/* Reads of those that can be read, of each address in turn, for the turn's share of time. */
void h2_io_read(struct h2_server *server);
/* At the end of a turn; may free it. Stays touched while it writes, so that what its own hooks
 * order now waits for the next turn. */
void h2_io_flush(struct h2_connection *connection);

#endif
