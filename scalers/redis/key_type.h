/*
 * The types of keys. They are remembered, so that reading a length takes one command; who finds
 * that a key has another type by now records it. They count as replies (shared/reply_memory.h).
 *
 * Threads: that of the client. Owner: the client.
 */
#ifndef BACKLOG_SCALERS_REDIS_KEY_TYPE_H
#define BACKLOG_SCALERS_REDIS_KEY_TYPE_H

#include "shared/reply_memory.h"

struct redis_key_type {
    const char *name;           /* in replies to TYPE */
    const char *length_command; /* for the length of such a key */
};

/* {0} is an empty table. */
struct redis_key_types {
    struct redis_known_key *keys;
    struct reply_memory memory;
};

/* NULL: keys of this type have no length. */
const struct redis_key_type *redis_key_type_named(const char *name);

/* As remembered; a key that is not known is taken for a list. */
const struct redis_key_type *redis_key_types_find(const struct redis_key_types *types,
                                                  const char *key);
void redis_key_types_set(struct redis_key_types *types, const char *key,
                         const struct redis_key_type *type);
void redis_key_types_done(struct redis_key_types *types);

#endif
