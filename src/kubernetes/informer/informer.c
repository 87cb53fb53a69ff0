#include "kubernetes/informer/informer.h"

#include "base/clock.h"
#include "base/memory.h"
#include "kubernetes/informer/object_reader.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

struct informer {
    struct kubernetes_api api;
    struct informer_handler handler;
    pthread_t thread;
    bool is_started;
    pthread_mutex_t lock;
    bool is_stopping; /* guarded, as the statistics */
    struct informer_stats stats;
    struct object_reader reader; /* the thread's */
};

/* ---- links ---- */

void informer_link(struct informer *informer, struct informer_link *link, enum api_object_kind kind,
                   const char *namespace, const char *name)
{
    link->entry = object_reader_entry(&informer->reader, kind, namespace, name);
    DL_APPEND(link->entry->links, link);
}

void informer_unlink(struct informer *informer, struct informer_link *link)
{
    struct informer_entry *entry = TAKE(link->entry);
    DL_DELETE(entry->links, link);
    if (entry->links == NULL)
        object_reader_drop(&informer->reader, entry);
}

struct informer_view informer_view(const struct informer *informer,
                                   const struct informer_link *link)
{
    const struct informer_entry *entry = link->entry;
    const struct api_health *health = &informer->reader.health;
    struct informer_view view = {
        .is_read = entry->is_read, .object = entry->object, .read_ms = entry->read_ms};
    if (error_is_set(&entry->failure))
        view.failure = &entry->failure;
    else if (api_health_is_failing(health))
        view.failure = &health->failure;
    return view;
}

void informer_want_fresh(struct informer *informer, const struct informer_link *link)
{
    object_reader_want_fresh(&informer->reader, link->entry);
}

/* ---- the thread ---- */

static void notify_users(void *context, const struct informer_entry *entry)
{
    const struct informer *informer = context;
    const struct informer_link *link;
    DL_FOREACH(entry->links, link)
        informer->handler.changed(informer->handler.context, link->user);
}

static void count_request(void *context, const struct error *error)
{
    struct informer *informer = context;
    pthread_mutex_lock(&informer->lock);
    informer->stats.requests++;
    informer->stats.failures += error_is_set(error);
    if (error_is_set(error))
        snprintf(informer->stats.failure, sizeof(informer->stats.failure), "%s", error_text(error));
    pthread_mutex_unlock(&informer->lock);
}

static void count_entries(struct informer *informer)
{
    const struct object_reader *reader = &informer->reader;
    size_t objects = HASH_COUNT(reader->by_key);
    size_t failing = api_health_is_failing(&reader->health) ? objects : reader->failing;
    pthread_mutex_lock(&informer->lock);
    informer->stats.objects = objects;
    informer->stats.failing = failing;
    informer->stats.watches = reader->watches.count;
    informer->stats.live_watches = reader->watches.live_count;
    if (failing == 0)
        informer->stats.failure[0] = '\0';
    pthread_mutex_unlock(&informer->lock);
}

static void *informer_thread(void *argument)
{
    struct informer *informer = argument;
    const struct informer_handler *handler = &informer->handler;
    struct object_reader *reader = &informer->reader;
    while (!informer_is_stopping(informer)) {
        object_reader_take_replies(reader);
        object_reader_notify(reader);
        int64_t next_ms = handler->turn(handler->context);
        next_ms = clock_earlier(next_ms, object_reader_begin_due(reader));
        object_reader_notify(reader); /* what could not be begun */
        count_entries(informer);
        object_reader_wait(reader, next_ms);
    }
    handler->end(handler->context);
    object_reader_end(reader);
    return NULL;
}

/* ---- from outside ---- */

struct informer *informer_new(struct kubernetes_api *api)
{
    struct informer *informer = memory_new(sizeof(*informer));
    informer->api = *api;
    *api = (struct kubernetes_api){0};
    pthread_mutex_init(&informer->lock, NULL);
    informer->reader.api = &informer->api;
    informer->reader.ended = count_request;
    informer->reader.notify = notify_users;
    informer->reader.context = informer;
    object_reader_init(&informer->reader);
    return informer;
}

void informer_set_handler(struct informer *informer, const struct informer_handler *handler)
{
    informer->handler = *handler;
}

void informer_start(struct informer *informer)
{
    if (pthread_create(&informer->thread, NULL, informer_thread, informer) != 0)
        abort();
    informer->is_started = true;
}

bool informer_stop(struct informer *informer)
{
    if (informer == NULL || !informer->is_started)
        return true;
    pthread_mutex_lock(&informer->lock);
    informer->is_stopping = true;
    pthread_mutex_unlock(&informer->lock);
    curl_multi_wakeup(informer->reader.multi);
    if (!kubernetes_api_join(informer->thread))
        return false;
    informer->is_started = false;
    return true;
}

void informer_free(struct informer *informer)
{
    if (informer == NULL)
        return;
    object_reader_done(&informer->reader);
    pthread_mutex_destroy(&informer->lock);
    kubernetes_api_done(&informer->api);
    free(informer);
}

void informer_wake(struct informer *informer)
{
    curl_multi_wakeup(informer->reader.multi);
}

bool informer_is_stopping(struct informer *informer)
{
    pthread_mutex_lock(&informer->lock);
    bool is_stopping = informer->is_stopping;
    pthread_mutex_unlock(&informer->lock);
    return is_stopping;
}

void informer_stats(struct informer *informer, struct informer_stats *ret_stats)
{
    pthread_mutex_lock(&informer->lock);
    *ret_stats = informer->stats;
    pthread_mutex_unlock(&informer->lock);
}
