/*
 * NKeys: the Ed25519 keys that NATS knows its users by. A user proves to have the seed by a
 * signature; the server is shown the public key.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_NKEY_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_NKEY_H

#include <stdbool.h>

/* The text of a public key, with its NUL. */
enum { NATS_NKEY_BYTES = 57 };

/* The public key (U...) of a user's seed (SU...). False where it is no seed of a user. */
bool nats_nkey_public(const char *seed, char ret_public[NATS_NKEY_BYTES]);

#endif
