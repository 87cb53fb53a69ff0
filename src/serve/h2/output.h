/*
 * What a connection writes.
 *
 * Threads: the loop's.
 */
#ifndef BACKLOG_SERVE_H2_OUTPUT_H
#define BACKLOG_SERVE_H2_OUTPUT_H

#include "serve/h2/state.h"

/* What the socket takes now. False: the connection is broken. */
bool h2_output_write(struct h2_connection *connection);

/* Sends what the socket takes now: answers that are ready, then GOAWAY. Frees the connection.
 * Returns how many of its calls have ended without their answer. */
size_t h2_output_abort(struct h2_connection *connection);

#endif
