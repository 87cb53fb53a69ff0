#include "redis/slow_requests.h"

#include "base/hash.h"

static size_t find(const struct redis_slow_requests *keys, uint64_t hash)
{
    size_t i = 0;
    while (i < keys->count && keys->hashes[i] != hash)
        i++;
    return i;
}

bool redis_slow_requests_have(const struct redis_slow_requests *keys, const char *key)
{
    return keys->count > 0 && find(keys, hash_text(key)) < keys->count;
}

void redis_slow_requests_note(struct redis_slow_requests *keys, const char *key, bool is_slow)
{
    if (!is_slow && keys->count == 0)
        return;
    uint64_t hash = hash_text(key);
    size_t place = find(keys, hash);
    bool is_noted = place < keys->count;
    if (is_slow == is_noted)
        return;
    if (!is_slow) {
        keys->hashes[place] = keys->hashes[--keys->count];
        return;
    }
    if (keys->count < REDIS_MAX_SLOW_REQUESTS) {
        keys->hashes[keys->count++] = hash;
        return;
    }
    keys->hashes[keys->next] = hash;
    keys->next = (keys->next + 1) % REDIS_MAX_SLOW_REQUESTS;
}
