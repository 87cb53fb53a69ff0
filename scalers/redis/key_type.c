#include "redis/key_type.h"

#include "base/hash_table.h"
#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_KNOWN = 100000 }; /* beyond it all are dropped, and learned again */

/* The first is what a key is taken for. */
static const struct redis_key_type key_types[] = {
    {"list", "LLEN"}, {"set", "SCARD"}, {"zset", "ZCARD"}, {"hash", "HLEN"}};

/* One that is not a list. */
struct redis_known_key {
    const struct redis_key_type *type;
    UT_hash_handle hh;
    char name[];
};

const struct redis_key_type *redis_key_type_named(const char *name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(key_types); i++)
        if (text_equal(name, key_types[i].name))
            return &key_types[i];
    return NULL;
}

const struct redis_key_type *redis_key_types_find(const struct redis_key_types *types,
                                                  const char *key)
{
    struct redis_known_key *known = NULL;
    HASH_FIND_STR(types->keys, key, known);
    return known == NULL ? &key_types[0] : known->type;
}

void redis_key_types_set(struct redis_key_types *types, const char *key,
                         const struct redis_key_type *type)
{
    struct redis_known_key *known = NULL;
    HASH_FIND_STR(types->keys, key, known);
    if (known == NULL) {
        if (HASH_COUNT(types->keys) >= MAX_KNOWN)
            redis_key_types_done(types);
        size_t bytes = strlen(key) + 1;
        known = memory_new(sizeof(*known) + bytes);
        memcpy(known->name, key, bytes);
        HASH_ADD_STR(types->keys, name, known);
    }
    known->type = type;
}

void redis_key_types_done(struct redis_key_types *types)
{
    struct redis_known_key *known;
    struct redis_known_key *next;
    HASH_ITER(hh, types->keys, known, next) {
        HASH_DEL(types->keys, known);
        free(known);
    }
}
