#include "redis/kind.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { KNOWN_MOST = 100000 }; /* beyond it all are forgotten, and learned anew */

/* The first is what a key is taken for. */
static const struct kind kinds[] = {
    {"list", "LLEN"}, {"set", "SCARD"}, {"zset", "ZCARD"}, {"hash", "HLEN"}};

/* One that is no list. */
struct redis_known_key {
    const struct kind *kind;
    UT_hash_handle hh;
    char name[];
};

const struct kind *kind_of(const char *type)
{
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++)
        if (text_equal(type, kinds[i].type))
            return &kinds[i];
    return NULL;
}

const struct kind *kind_recall(const struct redis_client *client, const char *key)
{
    struct redis_known_key *known = NULL;
    HASH_FIND_STR(client->known_keys, key, known);
    return known == NULL ? &kinds[0] : known->kind;
}

void kind_remember(struct redis_client *client, const char *key, const struct kind *kind)
{
    struct redis_known_key *known = NULL;
    HASH_FIND_STR(client->known_keys, key, known);
    if (known == NULL) {
        if (HASH_COUNT(client->known_keys) >= KNOWN_MOST)
            kinds_forget(client);
        size_t bytes = strlen(key) + 1;
        known = memory_new(sizeof(*known) + bytes);
        memcpy(known->name, key, bytes);
        HASH_ADD_STR(client->known_keys, name, known);
    }
    known->kind = kind;
}

void kinds_forget(struct redis_client *client)
{
    struct redis_known_key *known;
    struct redis_known_key *next;
    HASH_ITER(hh, client->known_keys, known, next)
    {
        HASH_DEL(client->known_keys, known);
        free(known);
    }
}
