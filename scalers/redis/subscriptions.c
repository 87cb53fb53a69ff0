#include "redis/subscriptions.h"

#include "base/clock.h"
#include "base/hash_table.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* One of the keys that a notifier waits for. */
struct subscription_key {
    struct redis_subscription *subscription;
    struct redis_subscribed_key *key;
    struct subscription_key *next, *prev; /* among the key's */
};

struct redis_subscription {
    struct notifier notifier;
    struct redis_link *link;
    int64_t at_ms;     /* 0: no time */
    UT_hash_handle hh; /* by notifier.id */
    size_t count;
    struct subscription_key keys[];
};

struct redis_subscribed_key {
    struct subscription_key *waiting; /* utlist, never empty */
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

static struct redis_subscribed_key *add_key(struct redis_subscriptions *subscriptions,
                                            const char *name)
{
    size_t length = strlen(name);
    struct redis_subscribed_key *key = find_key(subscriptions, name, length);
    if (key != NULL)
        return key;
    key = memory_new(sizeof(*key) + length + 1);
    memcpy(key->name, name, length);
    HASH_ADD_KEYPTR(hh, subscriptions->keys, key->name, length, key);
    return key;
}

void redis_subscriptions_add(struct redis_subscriptions *subscriptions, const char *const *keys,
                             const struct notifier *notifier, struct redis_link *link)
{
    struct redis_subscription *found = find(subscriptions, notifier->id);
    if (found != NULL) {
        found->link->subscriptions--;
        found->link = link;
        link->subscriptions++;
        return;
    }
    size_t count = 0;
    while (keys[count] != NULL)
        count++;
    struct redis_subscription *added = memory_new(sizeof(*added) + count * sizeof(*added->keys));
    added->notifier = *notifier;
    added->link = link;
    added->count = count;
    link->subscriptions++;
    for (size_t i = 0; i < count; i++) {
        struct subscription_key *waiting = &added->keys[i];
        waiting->subscription = added;
        waiting->key = add_key(subscriptions, keys[i]);
        DL_APPEND(waiting->key->waiting, waiting);
    }
    HASH_ADD(hh, subscriptions->all, notifier.id, sizeof(added->notifier.id), added);
}

static void take_away(struct redis_subscriptions *subscriptions, struct redis_subscription *gone)
{
    HASH_DELETE(hh, subscriptions->all, gone);
    gone->link->subscriptions--;
    for (size_t i = 0; i < gone->count; i++) {
        struct redis_subscribed_key *key = gone->keys[i].key;
        DL_DELETE(key->waiting, &gone->keys[i]);
        if (key->waiting != NULL)
            continue;
        HASH_DELETE(hh, subscriptions->keys, key);
        free(key);
    }
    free(gone);
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
        notify(subscriptions, key->waiting->subscription);
}

void redis_subscriptions_set_time(struct redis_subscriptions *subscriptions, uint64_t id,
                                  int64_t at_ms)
{
    struct redis_subscription *found = find(subscriptions, id);
    if (found == NULL)
        return;
    found->at_ms = at_ms;
    if (subscriptions->next_ms == 0 || at_ms < subscriptions->next_ms)
        subscriptions->next_ms = at_ms;
}

/* All are walked over, but only when a time has come. */
int64_t redis_subscriptions_notify_due(struct redis_subscriptions *subscriptions, int64_t now_ms)
{
    if (subscriptions->next_ms == 0)
        return CLOCK_NEVER;
    if (now_ms < subscriptions->next_ms)
        return subscriptions->next_ms;
    struct redis_subscription *subscription;
    struct redis_subscription *next;
    subscriptions->next_ms = 0;
    HASH_ITER(hh, subscriptions->all, subscription, next) {
        if (subscription->at_ms == 0)
            continue;
        if (now_ms >= subscription->at_ms)
            notify(subscriptions, subscription);
        else
            redis_subscriptions_set_time(subscriptions, subscription->notifier.id,
                                         subscription->at_ms);
    }
    return subscriptions->next_ms == 0 ? CLOCK_NEVER : subscriptions->next_ms;
}

void redis_subscriptions_notify_lost(struct redis_subscriptions *subscriptions,
                                     bool (*is_lost)(const void *context, const char *key),
                                     const void *context)
{
    struct redis_subscription *subscription;
    struct redis_subscription *following;
    HASH_ITER(hh, subscriptions->all, subscription, following) {
        bool is_any_lost = false;
        for (size_t i = 0; i < subscription->count; i++)
            is_any_lost = is_any_lost || is_lost(context, subscription->keys[i].key->name);
        if (is_any_lost)
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

static void lose(struct redis_subscriptions *subscriptions, struct redis_subscription *lost)
{
    struct notifier notifier = lost->notifier;
    take_away(subscriptions, lost);
    notifier_lose(&notifier);
}

void redis_subscriptions_lose_all(struct redis_subscriptions *subscriptions)
{
    while (subscriptions->all != NULL)
        lose(subscriptions, subscriptions->all);
}

void redis_subscriptions_lose_link(struct redis_subscriptions *subscriptions,
                                   const struct redis_link *link)
{
    struct redis_subscription *subscription;
    struct redis_subscription *following;
    if (link->subscriptions == 0)
        return;
    HASH_ITER(hh, subscriptions->all, subscription, following)
        if (subscription->link == link)
            lose(subscriptions, subscription);
}

void redis_subscriptions_done(struct redis_subscriptions *subscriptions)
{
    while (subscriptions->all != NULL)
        take_away(subscriptions, subscriptions->all);
}
