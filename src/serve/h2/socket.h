/*
 * A connection's bytes: the socket's, or what TLS makes of them.
 *
 * Threads: the loop's.
 */
#ifndef BACKLOG_SERVE_H2_SOCKET_H
#define BACKLOG_SERVE_H2_SOCKET_H

#include "serve/h2/state.h"

/* Whether the connection begins with a handshake. */
bool h2_socket_wrap(struct h2_connection *connection);

enum h2_handshake {
    H2_HANDSHAKE_WANTS_READ,  /* more is to come */
    H2_HANDSHAKE_WANTS_WRITE, /* the socket takes no more now */
    H2_HANDSHAKE_DONE,
    H2_HANDSHAKE_FAILED,
};

enum h2_handshake h2_socket_handshake(struct h2_connection *connection);

/* Logs, once a minute, that a client in plain text has begun a TLS handshake, if it has. */
void h2_socket_warn_no_tls(struct h2_connection *connection, const uint8_t *data, size_t length);

/* Return how many bytes there were: 0 where there can be none now, -1 where none ever will. */
ssize_t h2_socket_receive(struct h2_connection *connection, uint8_t *buffer, size_t size);
ssize_t h2_socket_send(struct h2_connection *connection, const uint8_t *data, size_t length);

/* Which events are waited for. */
void h2_socket_await(struct h2_connection *connection, bool readable, bool writable);

/* Ends TLS in order; what still arrives is of no interest. */
void h2_socket_unwrap(struct h2_connection *connection);
void h2_socket_close(struct h2_connection *connection);

#endif
