/*
 * PEM texts for OpenSSL's context: authorities to trust, a certificate to show with its chain, a
 * private key.
 *
 * Texts rather than files: what was checked is what is used, also where a file changes meanwhile.
 * Nobody is prompted for a password on the terminal.
 *
 * Threads: any; nothing is kept. OpenSSL's queue of errors is empty afterwards.
 */
#ifndef BACKLOG_BASE_PEM_H
#define BACKLOG_BASE_PEM_H

#include <openssl/ssl.h>
#include <stdbool.h>

/* False: there is no certificate in it, or a broken one. */
bool pem_trust(SSL_CTX *context, const char *certificates);

/* Whether there are certificates in it, and none is broken. */
bool pem_has_certificates(const char *certificates);

/* The first certificate is the one to show, what follows its chain. False: as above. */
bool pem_show(SSL_CTX *context, const char *certificates);

/* To make a key of its password: 100,000 iterations take some 50 ms of CPU time. Of scrypt the
 * product of its three parameters: a 128th of it is KiB of memory, 2 MiB here. */
enum { PEM_MAX_ITERATIONS = 100 * 1000, PEM_MAX_SCRYPT = 16 << 10 };

/* Whether decrypting it takes more than that, or by a method that is not known here. Nothing is
 * decrypted. */
bool pem_key_is_costly(const char *key);

/* A handshake signs with it in some milliseconds; with 8,192 bits in fifty. */
enum { PEM_MAX_RSA_BITS = 4096 };

/* Of RSA with at most so many bits, EC, Ed25519 or Ed448. NULL: there is none of these in it, it is
 * costly, or it is encrypted and not by this password (NULL: none). The caller frees it. */
EVP_PKEY *pem_key(const char *key, const char *password);

/* False: it is not the key of the certificate to show, which comes first. */
bool pem_use_key(SSL_CTX *context, EVP_PKEY *key);

#endif
