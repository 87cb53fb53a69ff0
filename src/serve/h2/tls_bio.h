/*
 * The socket, as OpenSSL reads and writes it. OpenSSL allocates a handshake message as soon as it
 * knows its length, and believes 128 KiB of a ClientHello, without a setting: whoever has not even
 * said hello would cost 154 KiB. So lengths are read here first.
 *
 * Threads: the loop's.
 */
#ifndef BACKLOG_SERVE_H2_TLS_BIO_H
#define BACKLOG_SERVE_H2_TLS_BIO_H

#include <openssl/ssl.h>

/* Of messages in plain text; those that are encrypted have OpenSSL's own limits. A ClientHello with
 * post-quantum keys has 2 KiB; a chain of certificates in TLS 1.2, 4 to 8. */
enum { TLS_MAX_MESSAGE_BYTES = 8 << 10 };

/* For SSL_set_bio(). Both are borrowed; the descriptor is not closed. */
BIO *tls_bio_new(const SSL *tls, int fd);

#endif
