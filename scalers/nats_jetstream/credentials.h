/*
 * A NATS credentials file (.creds): a user's JWT and the seed of the user's key, each between two
 * lines of dashes. The seed signs the server's challenge, and is never sent.
 *
 * Threads: any; nothing is kept.
 */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_CREDENTIALS_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_CREDENTIALS_H

#include <nats/nats.h>

/* The text between the dashes, or NULL where the file has none; the caller frees it. */
char *nats_credentials_jwt(const char *credentials);
char *nats_credentials_seed(const char *credentials);

/* `credentials` and `seed` must live until the connection is made. */
natsStatus nats_credentials_set(natsOptions *options, const char *credentials);

/* The seed of a user's NKey alone, where there are no JWTs. */
natsStatus nats_nkey_set(natsOptions *options, const char *seed);

#endif
