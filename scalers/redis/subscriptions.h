/*
 * Which notifiers wait for a change of which key.
 *
 * Threads: that of the client.
 */
#ifndef BACKLOG_SCALERS_REDIS_SUBSCRIPTIONS_H
#define BACKLOG_SCALERS_REDIS_SUBSCRIPTIONS_H

#include "measure/task.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* {0} is an empty table. */
struct redis_subscriptions {
    struct redis_subscribed_key *keys; /* by name */
    struct redis_subscription *all;    /* by the notifier's id */
};

/* The name is copied. A notifier that waits already still waits for the key that it came with. */
void redis_subscriptions_add(struct redis_subscriptions *subscriptions, const char *key,
                             const struct notifier *notifier);
void redis_subscriptions_remove(struct redis_subscriptions *subscriptions, uint64_t notifier_id);
bool redis_subscriptions_has(const struct redis_subscriptions *subscriptions, uint64_t notifier_id);

/* Those that are notified are removed. */
void redis_subscriptions_notify(struct redis_subscriptions *subscriptions, const char *key,
                                size_t length);
/* Those of the keys that `is_lost`. */
void redis_subscriptions_notify_lost(struct redis_subscriptions *subscriptions,
                                     bool (*is_lost)(const void *context, const char *key),
                                     const void *context);
/* False: there is none of it. */
bool redis_subscriptions_notify_one(struct redis_subscriptions *subscriptions,
                                    uint64_t notifier_id);
void redis_subscriptions_notify_all(struct redis_subscriptions *subscriptions);

void redis_subscriptions_done(struct redis_subscriptions *subscriptions);

#endif
