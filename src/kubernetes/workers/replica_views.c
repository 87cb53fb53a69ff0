#include "kubernetes/workers/replica_views.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "config/kubernetes_name.h"

#include <pthread.h>
#include <stdlib.h>
#include <utlist.h>

enum {
    VIEWED_MS = 10 * 1000, /* somebody views it, if the last request is not longer ago */
    KEEP_MS = 60 * 1000,   /* what was known is kept for who looks again */
    AGAIN_MS = 3 * 1000,   /* between two readings */
};

/* Guarded but for the links, which are the informer's thread's; only that removes one. */
struct viewed_object {
    char *namespace, *name;
    int64_t viewed_ms;
    struct informer_link object, hpa_link; /* without an entry: not linked */
    char *hpa;
    int64_t replicas, read_ms;
    struct error error;
    struct viewed_object *next, *prev;
};

struct replica_views {
    struct informer *informer;
    struct informer_handler handler;
    pthread_mutex_t lock;
    struct viewed_object *objects; /* utlist */
    size_t count;
};

/* ---- the informer's handler, with the lock ---- */

static void unlink_hpa(const struct replica_views *views, struct viewed_object *viewed)
{
    if (viewed->hpa_link.entry != NULL)
        informer_unlink(views->informer, &viewed->hpa_link);
    free(TAKE(viewed->hpa));
}

static void drop(struct replica_views *views, struct viewed_object *viewed)
{
    DL_DELETE(views->objects, viewed);
    views->count--;
    unlink_hpa(views, viewed);
    if (viewed->object.entry != NULL)
        informer_unlink(views->informer, &viewed->object);
    error_done(&viewed->error);
    free(viewed->namespace);
    free(viewed->name);
    free(viewed);
}

/* The HPA that the ScaledObject names. False: there is none, with the error where that is known. */
static bool follow_hpa(const struct replica_views *views, struct viewed_object *viewed,
                       struct error *error)
{
    if (viewed->object.entry == NULL)
        informer_link(views->informer, &viewed->object, OBJECT_SCALED_OBJECT, viewed->namespace,
                      viewed->name);
    struct informer_view known = informer_view(views->informer, &viewed->object);
    const char *hpa = known.object == NULL ? NULL : known.object->hpa;
    if (!kubernetes_name_is_valid(hpa))
        hpa = NULL;
    if (known.failure != NULL)
        error_copy(error, known.failure);
    else if (known.is_read && hpa == NULL)
        error_unavailable(error, "KEDA has made no HPA for the ScaledObject yet");
    if (!text_equal(hpa, viewed->hpa) || hpa == NULL)
        unlink_hpa(views, viewed);
    if (hpa == NULL)
        return false;
    if (viewed->hpa == NULL) {
        viewed->hpa = text_copy(hpa);
        informer_link(views->informer, &viewed->hpa_link, OBJECT_HPA, viewed->namespace, hpa);
    }
    return true;
}

/* Returns when it is to be called again. */
static int64_t update(const struct replica_views *views, struct viewed_object *viewed,
                      int64_t now_ms)
{
    error_done(&viewed->error);
    if (!follow_hpa(views, viewed, &viewed->error))
        return viewed->viewed_ms + KEEP_MS;
    struct informer_view known = informer_view(views->informer, &viewed->hpa_link);
    if (known.object != NULL) {
        viewed->replicas = known.object->current_replicas;
        viewed->read_ms = known.read_ms;
    }
    if (known.failure != NULL)
        error_copy(&viewed->error, known.failure);
    else if (known.is_read && known.object == NULL)
        error_unavailable(&viewed->error, "HPA %s does not exist", viewed->hpa);
    if (now_ms >= viewed->viewed_ms + VIEWED_MS)
        return viewed->viewed_ms + KEEP_MS;
    if (!known.is_read || known.failure != NULL) /* it is being read, or again by itself */
        return viewed->viewed_ms + VIEWED_MS;
    if (now_ms < known.read_ms + AGAIN_MS)
        return known.read_ms + AGAIN_MS;
    informer_want_fresh(views->informer, &viewed->hpa_link);
    return now_ms + AGAIN_MS;
}

static int64_t take_turn(void *context)
{
    struct replica_views *views = context;
    struct viewed_object *viewed;
    struct viewed_object *next;
    int64_t now_ms = clock_now_ms();
    int64_t next_ms = CLOCK_NEVER;
    pthread_mutex_lock(&views->lock);
    DL_FOREACH_SAFE(views->objects, viewed, next) {
        if (now_ms >= viewed->viewed_ms + KEEP_MS)
            drop(views, viewed);
        else
            next_ms = clock_earlier(next_ms, update(views, viewed, now_ms));
    }
    pthread_mutex_unlock(&views->lock);
    return next_ms;
}

/* The turn that follows looks at all. */
static void ignore_change(void *context, void *user)
{
    (void)context;
    (void)user;
}

static void end(void *context)
{
    struct replica_views *views = context;
    pthread_mutex_lock(&views->lock);
    while (views->objects != NULL)
        drop(views, views->objects);
    pthread_mutex_unlock(&views->lock);
}

/* ---- from outside ---- */

struct replica_views *replica_views_new(struct informer *informer)
{
    struct replica_views *views = memory_new(sizeof(*views));
    views->informer = informer;
    views->handler = (struct informer_handler){ignore_change, take_turn, end, views};
    pthread_mutex_init(&views->lock, NULL);
    informer_add_handler(informer, &views->handler);
    return views;
}

void replica_views_free(struct replica_views *views)
{
    if (views == NULL)
        return;
    pthread_mutex_destroy(&views->lock);
    free(views);
}

/* With the lock. NULL: there are too many. */
static struct viewed_object *find_or_add(struct replica_views *views, const char *namespace,
                                         const char *name)
{
    struct viewed_object *viewed;
    DL_FOREACH(views->objects, viewed)
        if (text_equal(viewed->name, name) && text_equal(viewed->namespace, namespace))
            return viewed;
    if (views->count == REPLICA_VIEWS_MAX)
        return NULL;
    viewed = memory_new(sizeof(*viewed));
    viewed->namespace = text_copy(namespace);
    viewed->name = text_copy(name);
    viewed->object.handler = viewed->hpa_link.handler = &views->handler;
    viewed->object.user = viewed->hpa_link.user = viewed;
    DL_APPEND(views->objects, viewed);
    views->count++;
    return viewed;
}

bool replica_views_view(struct replica_views *views, const char *namespace, const char *name,
                        void (*visit)(void *context, const struct replica_view *view),
                        void *context)
{
    pthread_mutex_lock(&views->lock);
    struct viewed_object *viewed = find_or_add(views, namespace, name);
    if (viewed != NULL) {
        viewed->viewed_ms = clock_now_ms();
        visit(context, &(struct replica_view){viewed->hpa, viewed->replicas, viewed->read_ms,
                                              &viewed->error});
    }
    pthread_mutex_unlock(&views->lock);
    informer_wake(views->informer);
    return viewed != NULL;
}
