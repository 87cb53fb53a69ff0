#include "nats_jetstream/client/events.h"

#include "base/memory.h"
#include "nats_jetstream/limits.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    EVENT_BYTES = 512,   /* of an event itself, and what nats.c has around its message */
    MAX_PENDING = 16384, /* between nats.c's threads */
};

struct nats_events {
    pthread_mutex_t lock;
    int descriptor;
    int references; /* the owner, the connection, each subscription */
    bool has_owner;
    struct nats_event *queue;
    size_t count;
    size_t capacity;
    size_t bytes;
};

struct nats_events *nats_events_new(void)
{
    int descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (descriptor < 0)
        return NULL;
    struct nats_events *events = memory_new(sizeof(*events));
    pthread_mutex_init(&events->lock, NULL);
    events->descriptor = descriptor;
    events->references = 1;
    events->has_owner = true;
    return events;
}

void nats_events_done(struct nats_event *taken, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        natsMsg_Destroy(taken[i].message);
        nats_refusal_done(&taken[i].refusal);
    }
    free(taken);
}

static void hold(struct nats_events *events)
{
    pthread_mutex_lock(&events->lock);
    events->references++;
    pthread_mutex_unlock(&events->lock);
}

static void release(struct nats_events *events)
{
    pthread_mutex_lock(&events->lock);
    bool is_last = --events->references == 0;
    pthread_mutex_unlock(&events->lock);
    if (!is_last)
        return;
    close(events->descriptor);
    pthread_mutex_destroy(&events->lock);
    free(events);
}

void nats_events_free(struct nats_events *events)
{
    pthread_mutex_lock(&events->lock);
    events->has_owner = false;
    nats_events_done(events->queue, events->count);
    events->queue = NULL;
    events->count = 0;
    pthread_mutex_unlock(&events->lock);
    release(events);
}

static void notify_owner(const struct nats_events *events)
{
    uint64_t one = 1;
    ssize_t written = write(events->descriptor, &one, sizeof(one));
    (void)written; /* it is readable already then */
}

/* Takes what the event has. What is beyond the limit is dropped, and its request times out. */
static void add(struct nats_events *events, struct nats_event event)
{
    size_t bytes = EVENT_BYTES;
    if (event.message != NULL)
        bytes += (size_t)natsMsg_GetDataLength(event.message);
    else if (event.refusal.words != NULL)
        bytes += 2 * strlen(event.refusal.words);
    pthread_mutex_lock(&events->lock);
    bool has_space = events->has_owner && events->bytes + bytes <= NATS_QUEUED_BYTES;
    if (has_space) {
        events->queue = memory_grow(events->queue, &events->capacity, events->count + 1,
                                    sizeof(*events->queue));
        events->queue[events->count++] = event;
        event = (struct nats_event){0};
        events->bytes += bytes;
        if (events->count == 1)
            notify_owner(events);
    }
    pthread_mutex_unlock(&events->lock);
    natsMsg_Destroy(event.message);
    nats_refusal_done(&event.refusal);
}

static void on_message(natsConnection *connection, natsSubscription *subscription, natsMsg *message,
                       void *events)
{
    (void)connection;
    (void)subscription;
    add(events, (struct nats_event){.message = message});
}

static void on_complete(void *events)
{
    release(events);
}

/* nats.c keeps the words of the error for the thread that it calls this on. Errors that it has read
 * behind the one that closes it come after on_closed(), which has given up the reference. */
static void on_error(natsConnection *connection, natsSubscription *subscription, natsStatus status,
                     void *events)
{
    (void)subscription;
    if (natsConnection_IsClosed(connection))
        return;
    natsStatus last = NATS_OK;
    const char *words = nats_GetLastError(&last);
    if (status == NATS_NOT_PERMITTED && words != NULL)
        add(events, (struct nats_event){.refusal = nats_refusal_parse(words)});
}

/* The last that counts of what nats.c says of a connection. */
static void on_closed(natsConnection *connection, void *argument)
{
    (void)connection;
    struct nats_events *events = argument;
    pthread_mutex_lock(&events->lock);
    notify_owner(events);
    pthread_mutex_unlock(&events->lock);
    release(events);
}

natsStatus nats_events_of_options(struct nats_events *events, natsOptions *options)
{
    hold(events);
    natsStatus status = natsOptions_SetErrorHandler(options, on_error, events);
    if (status == NATS_OK)
        status = natsOptions_SetClosedCB(options, on_closed, events);
    if (status != NATS_OK)
        release(events);
    return status;
}

void nats_events_ignore_options(struct nats_events *events)
{
    release(events);
}

natsStatus nats_events_subscribe(struct nats_events *events, natsConnection *connection,
                                 const char *subject, natsSubscription **ret_subscription)
{
    natsSubscription *subscription = NULL;
    natsStatus status =
        natsConnection_Subscribe(&subscription, connection, subject, on_message, events);
    if (status != NATS_OK)
        return status;
    hold(events);
    status = natsSubscription_SetPendingLimits(subscription, MAX_PENDING, NATS_PENDING_BYTES);
    if (status == NATS_OK)
        status = natsSubscription_SetOnCompleteCB(subscription, on_complete, events);
    if (status != NATS_OK) {
        /* The connection is closed. The reference stays: a message may be on its way to it. */
        natsSubscription_Destroy(subscription);
        return status;
    }
    *ret_subscription = subscription;
    return NATS_OK;
}

int nats_events_descriptor(const struct nats_events *events)
{
    return events->descriptor;
}

struct nats_event *nats_events_take(struct nats_events *events, size_t *ret_count)
{
    uint64_t ignored = 0;
    ssize_t got = read(events->descriptor, &ignored, sizeof(ignored));
    (void)got;
    pthread_mutex_lock(&events->lock);
    struct nats_event *taken = TAKE(events->queue);
    *ret_count = events->count;
    events->count = events->capacity = events->bytes = 0;
    pthread_mutex_unlock(&events->lock);
    return taken;
}
