/*
 * The socket of a connection over AMQP, with or without TLS. It never blocks once it is open, so
 * that nothing that a broker sends, however much, keeps the thread from looking at its deadlines.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_RABBITMQ_AMQP_SOCKET_H
#define BACKLOG_SCALERS_RABBITMQ_AMQP_SOCKET_H

#include "rabbitmq/options.h"
#include "rabbitmq/url.h"
#include "shared/tls_socket.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rabbitmq_socket {
    int fd;
    SSL_CTX *context;
    struct tls_socket *tls; /* NULL: none */
};

/* Connects, and over TLS does the handshake. Whatever it returned, end it with
 * rabbitmq_socket_close().
 */
bool rabbitmq_socket_open(struct rabbitmq_socket *ret_socket, const struct rabbitmq_url *url,
                          const struct tls_options *tls, int64_t deadline_ms, struct error *error);
void rabbitmq_socket_close(struct rabbitmq_socket *socket);

/* Waits for the events of poll(); false at the deadline. */
bool rabbitmq_socket_wait(const struct rabbitmq_socket *socket, short events, int64_t deadline_ms);

/* What is there, once: 0 bytes where nothing is. With a buffer of TLS_RECORD_BYTES poll() knows
 * whether there is more. False where the connection is lost, with the reason. */
bool rabbitmq_socket_read(const struct rabbitmq_socket *socket, void *buffer, size_t size,
                          size_t *ret_length, const char **ret_reason);

/* As much as the kernel takes. */
bool rabbitmq_socket_write(const struct rabbitmq_socket *socket, const char *bytes, size_t length,
                           size_t *ret_length, const char **ret_reason);

#endif
