#include "nats_jetstream/client/subscription.h"

#include "base/memory.h"

#include <pthread.h>
#include <stdlib.h>

/* One message is enough, however large: nats.c would drop one beyond its limit without a word. */
enum { MAX_PENDING = 16, MAX_PENDING_BYTES = -1 };

struct nats_subscription {
    pthread_mutex_t lock;
    struct notifier notifier;
    natsSubscription *handle;
    bool has_ended; /* nats.c will not call for it again */
    bool is_closed; /* nor its owner; the last of both frees it */
};

static void set(struct nats_subscription *subscription, bool *what)
{
    pthread_mutex_lock(&subscription->lock);
    *what = true;
    bool is_last = subscription->has_ended && subscription->is_closed;
    if (!subscription->is_closed)
        notifier_notify(&subscription->notifier);
    pthread_mutex_unlock(&subscription->lock);
    if (!is_last)
        return;
    pthread_mutex_destroy(&subscription->lock);
    free(subscription);
}

/* It is over: it has had its message, it was destroyed, or its connection is lost. */
static void on_complete(void *closure)
{
    struct nats_subscription *subscription = closure;
    set(subscription, &subscription->has_ended);
}

/* The message ends the subscription, and that notifies: nobody would know when this is called last.
 */
static void drop_message(natsConnection *connection, natsSubscription *subscription,
                         natsMsg *message, void *closure)
{
    (void)connection;
    (void)subscription;
    (void)closure;
    natsMsg_Destroy(message);
}

struct nats_subscription *nats_subscription_open(natsConnection *connection, const char *subject,
                                                 const struct notifier *notifier)
{
    natsSubscription *handle = NULL;
    if (natsConnection_Subscribe(&handle, connection, subject, drop_message, NULL) != NATS_OK)
        return NULL;
    struct nats_subscription *subscription = memory_new(sizeof(*subscription));
    pthread_mutex_init(&subscription->lock, NULL);
    subscription->notifier = *notifier;
    subscription->handle = handle;
    natsSubscription_SetPendingLimits(handle, MAX_PENDING, MAX_PENDING_BYTES);
    if (natsSubscription_SetOnCompleteCB(handle, on_complete, subscription) != NATS_OK) {
        subscription->has_ended = true; /* already, and nobody else knows of it */
        notifier_notify(notifier);
    } else if (natsSubscription_AutoUnsubscribe(handle, 1) != NATS_OK)
        natsSubscription_Unsubscribe(handle);
    return subscription;
}

bool nats_subscription_has_ended(struct nats_subscription *subscription)
{
    pthread_mutex_lock(&subscription->lock);
    bool has_ended = subscription->has_ended;
    pthread_mutex_unlock(&subscription->lock);
    return has_ended;
}

void nats_subscription_close(struct nats_subscription *subscription)
{
    natsSubscription *handle = subscription->handle;
    set(subscription, &subscription->is_closed);
    natsSubscription_Destroy(handle);
}
