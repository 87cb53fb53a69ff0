#include "redis/subscriptions.h"

#include "base/hash_table.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct redis_subscription {
    struct notifier notifier;
    struct redis_subscribed_key *key;
    struct redis_subscription *next, *prev; /* among the key's */
    UT_hash_handle hh;                      /* by notifier.id */
};

struct redis_subscribed_key {
    struct redis_subscription *subscriptions; /* utlist, never empty */
    UT_hash_handle hh;
    char name[];
};

static struct redis_subscribed_key *find_key(const struct redis_subscriptions *subscriptions,
                                             const char *name, size_t length)
{
    struct redis_subscribed_key *key = NULL;
    HASH_FIND(hh, subscriptions->keys, name, length, key);
    return key;
}

static struct redis_subscription *find(const struct redis_subscriptions *subscriptions, uint64_t id)
{
    struct redis_subscription *found = NULL;
    HASH_FIND(hh, subscriptions->all, &id, sizeof(id), found);
    return found;
}

void redis_subscriptions_add(struct redis_subscriptions *subscriptions, const char *name,
                             const struct notifier *notifier)
{
    if (find(subscriptions, notifier->id) != NULL)
        return;
    size_t length = strlen(name);
    struct redis_subscribed_key *key = find_key(subscriptions, name, length);
    if (key == NULL) {
        key = memory_new(sizeof(*key) + length + 1);
        memcpy(key->name, name, length);
        HASH_ADD_KEYPTR(hh, subscriptions->keys, key->name, length, key);
    }
    struct redis_subscription *added = memory_new(sizeof(*added));
    *added = (struct redis_subscription){.notifier = *notifier, .key = key};
    DL_APPEND(key->subscriptions, added);
    HASH_ADD(hh, subscriptions->all, notifier.id, sizeof(added->notifier.id), added);
}

static void take_away(struct redis_subscriptions *subscriptions, struct redis_subscription *gone)
{
    struct redis_subscribed_key *key = gone->key;
    HASH_DELETE(hh, subscriptions->all, gone);
    DL_DELETE(key->subscriptions, gone);
    free(gone);
    if (key->subscriptions != NULL)
        return;
    HASH_DELETE(hh, subscriptions->keys, key);
    free(key);
}

void redis_subscriptions_remove(struct redis_subscriptions *subscriptions, uint64_t notifier_id)
{
    struct redis_subscription *gone = find(subscriptions, notifier_id);
    if (gone != NULL)
        take_away(subscriptions, gone);
}

bool redis_subscriptions_has(const struct redis_subscriptions *subscriptions, uint64_t notifier_id)
{
    return find(subscriptions, notifier_id) != NULL;
}

static void notify(struct redis_subscriptions *subscriptions,
                   struct redis_subscription *subscription)
{
    struct notifier notifier = subscription->notifier;
    take_away(subscriptions, subscription);
    notifier_notify(&notifier);
}

void redis_subscriptions_notify(struct redis_subscriptions *subscriptions, const char *name,
                                size_t length)
{
    struct redis_subscribed_key *key = NULL;
    while ((key = find_key(subscriptions, name, length)) != NULL)
        notify(subscriptions, key->subscriptions);
}

void redis_subscriptions_notify_lost(struct redis_subscriptions *subscriptions,
                                     bool (*is_lost)(const void *context, const char *key),
                                     const void *context)
{
    struct redis_subscription *subscription;
    struct redis_subscription *following;
    HASH_ITER(hh, subscriptions->all, subscription, following) {
        if (is_lost(context, subscription->key->name))
            notify(subscriptions, subscription);
    }
}

bool redis_subscriptions_notify_one(struct redis_subscriptions *subscriptions, uint64_t notifier_id)
{
    struct redis_subscription *subscription = find(subscriptions, notifier_id);
    if (subscription != NULL)
        notify(subscriptions, subscription);
    return subscription != NULL;
}

void redis_subscriptions_notify_all(struct redis_subscriptions *subscriptions)
{
    while (subscriptions->all != NULL)
        notify(subscriptions, subscriptions->all);
}

void redis_subscriptions_done(struct redis_subscriptions *subscriptions)
{
    while (subscriptions->all != NULL)
        take_away(subscriptions, subscriptions->all);
}
