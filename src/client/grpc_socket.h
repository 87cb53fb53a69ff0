/*
 * A TCP connection to a gRPC server, plain or TLS, that does not block. For grpc_client.c.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_CLIENT_GRPC_SOCKET_H
#define BACKLOG_CLIENT_GRPC_SOCKET_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct grpc_socket_tls {
    bool is_on;
    const char *ca;          /* PEM file; NULL: the authorities of the machine */
    const char *certificate; /* PEM file, its chain behind it; NULL: none is shown */
    const char *key;         /* PEM file; with a certificate */
    const char *server_name; /* that the server must prove; NULL: the host of the address */
    bool skips_verification; /* KEDA's unsafeSsl */
    bool trusts_own;         /* the server may show the certificate that is shown to it */
};

/* Can its files be used? Fails as grpc_socket_open() would, without a server. */
bool grpc_socket_tls_check(const struct grpc_socket_tls *tls, struct error *error);

struct grpc_socket;

/* Resolves and connects, and shakes hands, until the deadline. The caller frees it. `address` is
 * host:port. */
bool grpc_socket_open(const char *address, const struct grpc_socket_tls *tls, int64_t deadline_ms,
                      struct grpc_socket **ret_socket, struct error *error);
void grpc_socket_free(struct grpc_socket *socket); /* NULL is none */

int grpc_socket_fd(const struct grpc_socket *socket);

/* Bytes moved, 0 where it would block, -1 where the connection is gone. */
ptrdiff_t grpc_socket_read(struct grpc_socket *socket, void *buffer, size_t size);
ptrdiff_t grpc_socket_write(struct grpc_socket *socket, const void *bytes, size_t length);

#endif
