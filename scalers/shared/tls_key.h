/*
 * The private key of the TLS keys, which may be encrypted.
 *
 * Decrypting one may take a second of CPU time, or 32 MiB. That is done for one key at a time, of
 * one tenant (scaler_tenant()) after the other, and once: the key is kept, and so is it that the
 * password is wrong, until it was not used for ten minutes and another such key is read.
 *
 * Threads: any; may wait for others' keys.
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
