/*
 * The private key of the TLS keys, which may be encrypted. One that takes long to decrypt is
 * refused (base/pem.h).
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_SCALERS_SHARED_TLS_KEY_H
#define BACKLOG_SCALERS_SHARED_TLS_KEY_H

#include "base/error.h"
#include "shared/tls_options.h"

#include <openssl/types.h>

/* Reads `key`, by `keyPassword` where it is encrypted. NULL with an error; the caller frees it. */
EVP_PKEY *tls_key_read(const struct tls_options *options, struct error *error);

/* The same as PEM without a password, for client libraries that take no other. The caller frees it.
 */
char *tls_key_plain(const struct tls_options *options, struct error *error);

#endif
