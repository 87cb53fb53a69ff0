#include "redis/armed.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

struct armed {
    struct waker waker;
    struct armed_key *key;
    struct armed *next, *prev; /* among the key's */
    UT_hash_handle hh;         /* by waker.id */
};

struct armed_key {
    struct armed *wakers; /* utlist, never empty */
    UT_hash_handle hh;
    char name[];
};

static struct armed_key *find_key(const struct redis_armed *armed, const char *name, size_t length)
{
    struct armed_key *key = NULL;
    HASH_FIND(hh, armed->keys, name, length, key);
    return key;
}

static struct armed *find_waker(const struct redis_armed *armed, uint64_t id)
{
    struct armed *found = NULL;
    HASH_FIND(hh, armed->wakers, &id, sizeof(id), found);
    return found;
}

void redis_armed_add(struct redis_armed *armed, const char *name, const struct waker *waker)
{
    if (find_waker(armed, waker->id) != NULL)
        return;
    size_t length = strlen(name);
    struct armed_key *key = find_key(armed, name, length);
    if (key == NULL) {
        key = memory_new(sizeof(*key) + length + 1);
        memcpy(key->name, name, length);
        HASH_ADD_KEYPTR(hh, armed->keys, key->name, length, key);
    }
    struct armed *added = memory_new(sizeof(*added));
    *added = (struct armed){.waker = *waker, .key = key};
    DL_APPEND(key->wakers, added);
    HASH_ADD(hh, armed->wakers, waker.id, sizeof(added->waker.id), added);
}

static void take_away(struct redis_armed *armed, struct armed *gone)
{
    struct armed_key *key = gone->key;
    HASH_DELETE(hh, armed->wakers, gone);
    DL_DELETE(key->wakers, gone);
    free(gone);
    if (key->wakers != NULL)
        return;
    HASH_DELETE(hh, armed->keys, key);
    free(key);
}

void redis_armed_remove(struct redis_armed *armed, uint64_t waker_id)
{
    struct armed *gone = find_waker(armed, waker_id);
    if (gone != NULL)
        take_away(armed, gone);
}

static void wake(struct redis_armed *armed, struct armed *woken)
{
    struct waker waker = woken->waker;
    take_away(armed, woken);
    waker_wake(&waker);
}

void redis_armed_wake(struct redis_armed *armed, const char *name, size_t length)
{
    struct armed_key *key = NULL;
    while ((key = find_key(armed, name, length)) != NULL)
        wake(armed, key->wakers);
}

void redis_armed_wake_all(struct redis_armed *armed)
{
    while (armed->wakers != NULL)
        wake(armed, armed->wakers);
}

void redis_armed_done(struct redis_armed *armed)
{
    while (armed->wakers != NULL)
        take_away(armed, armed->wakers);
}
