/*
 * Which notifiers wait for a change of which keys, or for a time. Changes are reported as long as
 * the link is open that the keys were read on.
 *
 * Threads: that of the client.
 */
#ifndef BACKLOG_SCALERS_REDIS_SUBSCRIPTIONS_H
#define BACKLOG_SCALERS_REDIS_SUBSCRIPTIONS_H

#include "measure/task.h"
#include "redis/link/link.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* {0} is an empty table. */
struct redis_subscriptions {
    struct redis_subscribed_key *keys; /* by name */
    struct redis_subscription *all;    /* by the notifier's id */
    int64_t next_ms;                   /* no subscription has an earlier time; 0: none has one */
};

/* The names, which end with NULL, are copied. A notifier that waits already still waits for the
 * keys that it came with, which have been read on this link now. The link is lost before it is
 * freed: redis_subscriptions_lose_link(). */
void redis_subscriptions_add(struct redis_subscriptions *subscriptions, const char *const *keys,
                             const struct notifier *notifier, struct redis_link *link);
void redis_subscriptions_remove(struct redis_subscriptions *subscriptions, uint64_t notifier_id);
bool redis_subscriptions_has(const struct redis_subscriptions *subscriptions, uint64_t notifier_id);

/* One that waits is also notified at this time (clock_now_ms()), in place of the one set before. */
void redis_subscriptions_set_time(struct redis_subscriptions *subscriptions, uint64_t notifier_id,
                                  int64_t at_ms);

/* Those that are notified are removed. */
void redis_subscriptions_notify(struct redis_subscriptions *subscriptions, const char *key,
                                size_t length);
/* Those whose time has come. Returns when to call it again, at the latest. */
int64_t redis_subscriptions_notify_due(struct redis_subscriptions *subscriptions, int64_t now_ms);
/* Those of whose keys one `is_lost`. */
void redis_subscriptions_notify_lost(struct redis_subscriptions *subscriptions,
                                     bool (*is_lost)(const void *context, const char *key),
                                     const void *context);
/* False: there is none of it. */
bool redis_subscriptions_notify_one(struct redis_subscriptions *subscriptions,
                                    uint64_t notifier_id);
void redis_subscriptions_notify_all(struct redis_subscriptions *subscriptions);
/* notifier_lose() of all, or of those of a link. */
void redis_subscriptions_lose_all(struct redis_subscriptions *subscriptions);
void redis_subscriptions_lose_link(struct redis_subscriptions *subscriptions,
                                   const struct redis_link *link);

void redis_subscriptions_done(struct redis_subscriptions *subscriptions);

#endif
