#include "redis/key_type.h"

#include "base/hash_table.h"
#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* Beyond it all are dropped, and learned again: those of triggers that are gone stay until then. */
enum { MAX_BYTES = 4 << 20 };

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

/* At least this one is remembered: what is read next is its length. */
static struct redis_known_key *remember(struct redis_key_types *types, const char *key)
{
    size_t bytes = sizeof(struct redis_known_key) + strlen(key) + 1;
    size_t heap_bytes = memory_heap_bytes(bytes);
    if (types->memory.used + heap_bytes > MAX_BYTES ||
        !reply_memory_set(&types->memory, types->memory.used + heap_bytes)) {
        redis_key_types_done(types);
        reply_memory_set(&types->memory, heap_bytes);
    }
    struct redis_known_key *known = memory_new(bytes);
    memcpy(known->name, key, strlen(key) + 1);
    HASH_ADD_STR(types->keys, name, known);
    return known;
}

void redis_key_types_set(struct redis_key_types *types, const char *key,
                         const struct redis_key_type *type)
{
    struct redis_known_key *known = NULL;
    HASH_FIND_STR(types->keys, key, known);
    if (known == NULL)
        known = remember(types, key);
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
    reply_memory_set(&types->memory, 0);
}
