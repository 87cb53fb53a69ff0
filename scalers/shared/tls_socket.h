/*
 * TLS on a connected socket that does not block, for client libraries that have no TLS of their
 * own, or another in each version. The caller polls the socket for tls_socket_events() or for what
 * it wants to write.
 *
 * Threads: one at a time. OpenSSL's queue of errors is empty afterwards.
 */
#ifndef BACKLOG_SCALERS_SHARED_TLS_SOCKET_H
#define BACKLOG_SCALERS_SHARED_TLS_SOCKET_H

#include "base/error.h"
#include "shared/tls_options.h"

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

/* What all connections to a source share, by tls_configure() of shared/tls.h. NULL with an error;
 * the caller frees it. */
SSL_CTX *tls_context_new(const struct tls_options *options, struct error *error);

struct tls_socket;

/* Sends `host` as SNI, unless it is an address, and expects a certificate for it. The socket stays
 * the caller's. NULL: out of memory. */
struct tls_socket *tls_socket_new(SSL_CTX *context, const char *host, int socket);
/* Says that nothing follows, while the socket is still open: without it RabbitMQ waits for more. Of
 * NULL, too, as the next one. */
void tls_socket_shut_down(struct tls_socket *tls);
void tls_socket_free(struct tls_socket *tls);

enum tls_result {
    TLS_DONE,
    TLS_WAITING, /* for the socket */
    TLS_CLOSED,  /* by the other side */
    TLS_BROKEN,  /* for the reason that tls_socket_reason() has */
};

/* To be repeated until it is done. */
enum tls_result tls_socket_handshake(struct tls_socket *tls);
short tls_socket_events(const struct tls_socket *tls); /* during the handshake */

/* A buffer of TLS_RECORD_BYTES takes all that OpenSSL has taken off the socket, so that poll()
 * knows what is left. */
enum { TLS_RECORD_BYTES = 16 * 1024 };
enum tls_result tls_socket_read(struct tls_socket *tls, void *buffer, size_t size,
                                size_t *ret_length);
enum tls_result tls_socket_write(struct tls_socket *tls, const void *bytes, size_t length,
                                 size_t *ret_length);

/* In OpenSSL's words; until the next call. */
const char *tls_socket_reason(const struct tls_socket *tls);

#endif
