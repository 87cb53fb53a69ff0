#include "ear.h"

#include "base/memory.h"

#include <pthread.h>
#include <stdlib.h>

struct nats_ear {
    pthread_mutex_t lock;
    struct waker waker;
    natsSubscription *subscription;
    bool ended;  /* nats.c will not speak of it again */
    bool closed; /* its owner neither; the last of both frees it */
};

static void set(struct nats_ear *ear, bool *what)
{
    pthread_mutex_lock(&ear->lock);
    *what = true;
    bool is_last = ear->ended && ear->closed;
    if (!ear->closed)
        waker_wake(&ear->waker);
    pthread_mutex_unlock(&ear->lock);
    if (!is_last)
        return;
    pthread_mutex_destroy(&ear->lock);
    free(ear);
}

/* The subscription is over: it has had its message, it was destroyed, or its connection is lost. */
static void end(void *closure)
{
    struct nats_ear *ear = closure;
    set(ear, &ear->ended);
}

/* What it is called for ends the subscription, and that wakes: nobody would know when this is called last. */
static void drop_message(natsConnection *connection, natsSubscription *subscription,
                         natsMsg *message, void *closure)
{
    (void)connection;
    (void)subscription;
    (void)closure;
    natsMsg_Destroy(message);
}

struct nats_ear *nats_ear_open(natsConnection *connection, const char *subject,
                               const struct waker *waker)
{
    natsSubscription *subscription = NULL;
    if (natsConnection_Subscribe(&subscription, connection, subject, drop_message, NULL) != NATS_OK)
        return NULL;
    struct nats_ear *ear = memory_new(sizeof(*ear));
    pthread_mutex_init(&ear->lock, NULL);
    ear->waker = *waker;
    ear->subscription = subscription;
    if (natsSubscription_SetOnCompleteCB(subscription, end, ear) != NATS_OK) {
        ear->ended = true; /* already, and nobody else knows of it */
        waker_wake(waker);
    } else if (natsSubscription_AutoUnsubscribe(subscription, 1) != NATS_OK)
        natsSubscription_Unsubscribe(subscription);
    return ear;
}

bool nats_ear_has_ended(struct nats_ear *ear)
{
    pthread_mutex_lock(&ear->lock);
    bool ended = ear->ended;
    pthread_mutex_unlock(&ear->lock);
    return ended;
}

void nats_ear_close(struct nats_ear *ear)
{
    natsSubscription *subscription = ear->subscription;
    set(ear, &ear->closed);
    natsSubscription_Destroy(subscription);
}
