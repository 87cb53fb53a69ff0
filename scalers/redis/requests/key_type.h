/*
 * The types of keys. They are remembered, so that reading a length takes one command; who finds
 * that a key has another type by now records it. They count as replies (shared/source_memory.h).
 *
 * Threads: that of the client. Owner: the client.
 */
#ifndef BACKLOG_SCALERS_REDIS_REQUESTS_KEY_TYPE_H
#define BACKLOG_SCALERS_REDIS_REQUESTS_KEY_TYPE_H

#include "base/error.h"
#include "shared/source_memory.h"

#include <stdbool.h>

enum { REDIS_KEY_TYPE_TRIES = 3 }; /* to read a key that changes its type between two commands */

struct redis_key_type {
    const char *name;           /* in replies to TYPE */
    const char *length_command; /* for the length of such a key */
};

/* {0} is an empty table. */
struct redis_key_types {
    struct redis_known_key *keys;
    struct source_memory memory;
};

/* As remembered; a key that is not known is taken for a list. */
const struct redis_key_type *redis_key_types_find(const struct redis_key_types *types,
                                                  const char *key);

/* By the reply to TYPE; a key that is missing is not remembered. False: such a key has no length.
 */
bool redis_key_types_learn(struct redis_key_types *types, const char *key, const char *type,
                           struct error *error);
bool redis_key_type_is_missing(const char *type);
void redis_key_types_done(struct redis_key_types *types);

#endif
