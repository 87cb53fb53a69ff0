/*
 * TLS with the keys of shared/tls_options.h, for every client library that lets us at OpenSSL's
 * context, so that certificates and keys need not pass through files.
 *
 * Threads: any; the system's authorities are kept for all.
 */
#ifndef BACKLOG_SCALERS_SHARED_TLS_H
#define BACKLOG_SCALERS_SHARED_TLS_H

#include "base/error.h"
#include "shared/tls_options.h"

#include <openssl/ssl.h>

/* Trusts the system's roots and `ca`, and shows `cert` with `key` where they are given. Reading
 * returns (SSL_ERROR_WANT_READ) after each message that is no data, and a connection with a
 * thousand of them reads as closed. */
bool tls_configure(SSL_CTX *context, const struct tls_options *options, struct error *error);

/* For client libraries that make their contexts themselves, in an agent: from now on any
 * authority that is trusted ends a chain, as those of `ca` do for tls_configure(), in all contexts
 * of the process. Before it has TLS. */
void tls_need_no_root(void);

#endif
