#include "redis/requests/key_type.h"

#include "base/hash_table.h"
#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* Beyond it all are dropped, and learned again: those of triggers that are gone stay until then. */
enum { MAX_BYTES = 4 << 20, MAX_SHOWN = 40 };

/* The first is what a key is taken for. */
static const struct redis_key_type key_types[] = {
    {"list", "LLEN"}, {"set", "SCARD"}, {"zset", "ZCARD"}, {"hash", "HLEN"}};

/* One that is not a list. */
struct redis_known_key {
    const struct redis_key_type *type;
    UT_hash_handle hh;
    char name[];
};

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
        !source_memory_set(&types->memory, types->memory.used + heap_bytes)) {
        redis_key_types_done(types);
        source_memory_set(&types->memory, heap_bytes);
    }
    struct redis_known_key *known = memory_new(bytes);
    memcpy(known->name, key, strlen(key) + 1);
    HASH_ADD_STR(types->keys, name, known);
    return known;
}

static const struct redis_key_type *find_type(const char *name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(key_types); i++)
        if (text_equal(name, key_types[i].name))
            return &key_types[i];
    return NULL;
}

bool redis_key_type_is_missing(const char *type)
{
    return text_equal(type, "none");
}

bool redis_key_types_learn(struct redis_key_types *types, const char *key, const char *type,
                           struct error *error)
{
    const struct redis_key_type *found = find_type(type);
    struct redis_known_key *known = NULL;
    if (redis_key_type_is_missing(type))
        return true;
    if (found == NULL)
        return error_unavailable(
            error, "key \"%s\" is a %.*s: it must be a list, set, zset or hash%s", key,
            (int)text_cut(type, MAX_SHOWN), type,
            text_equal(type, "stream") ? " (for a stream use scaler redis-streams)" : "");
    HASH_FIND_STR(types->keys, key, known);
    if (known == NULL)
        known = remember(types, key);
    known->type = found;
    return true;
}

void redis_key_types_done(struct redis_key_types *types)
{
    struct redis_known_key *known;
    struct redis_known_key *next;
    HASH_ITER(hh, types->keys, known, next) {
        HASH_DEL(types->keys, known);
        free(known);
    }
    source_memory_set(&types->memory, 0);
}
