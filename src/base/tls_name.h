/*
 * Which name the peer of a TLS session must have.
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_BASE_TLS_NAME_H
#define BACKLOG_BASE_TLS_NAME_H

#include <openssl/ssl.h>

/* The certificate must be for this host name or IP address. A name is sent, too (SNI); an address
 * must not be (RFC 6066, section 3). A dot at the end is of DNS, and of neither. Before the
 * handshake, in a session that verifies its peer. */
void tls_expect_name(SSL *session, const char *name);

#endif
