/*
 * Who says that objects have changed: a watch (api_watch.h) of all objects of a kind, or of one by
 * its name; up to a limit, beyond which objects are read at intervals.
 *
 * Threads: that of the CURLM, on which it calls its owner.
 */
#ifndef BACKLOG_KUBERNETES_INFORMER_OBJECT_WATCHES_H
#define BACKLOG_KUBERNETES_INFORMER_OBJECT_WATCHES_H

#include "kubernetes/api/api_watch.h"
#include "kubernetes/informer/api_health.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct object_watch {
    struct api_watch watch; /* first: a watch's request is found by it */
    struct object_watches *watches;
    void *user;         /* whose object it watches; NULL: all of the kind */
    int64_t live_ms;    /* CLOCK_NEVER: nothing is seen at present */
    int64_t refused_ms; /* api_health_is_refused_alone() */
    struct object_watch *next, *prev;
};

/* All borrowed. */
struct object_watches_owner {
    CURLM *multi;
    struct api_request_budget *replies;
    const struct kubernetes_api *api;
    const struct api_health *health; /* which the owner changes */
    void (*changed)(void *context, enum api_object_kind kind, const struct api_watch_event *event);
    void (*live_changed)(void *context, const struct object_watch *watch);
    void (*answered)(void *context); /* the API did */
    /* A request has ended; with an error, where it failed... */
    void (*ended)(void *context, const struct error *error);
    /* ... and once more, where the API as a whole fails. */
    void (*failed)(void *context, const struct error *error, int64_t retry_after_ms);
    void *context;
};

struct object_watches {
    struct object_watches_owner owner;
    struct object_watch *all; /* utlist */
    struct object_watch *of_kind[OBJECT_KINDS];
    size_t count;
};

void object_watches_init(struct object_watches *watches, const struct object_watches_owner *owner);
void object_watches_done(
    struct object_watches *watches); /* those of one object have been dropped */

/* All objects of the kind are watched from now on, where the limit allows it. */
void object_watches_add_kind(struct object_watches *watches, enum api_object_kind kind);

/* One object. */
struct object_watch *object_watches_add(struct object_watches *watches, enum api_object_kind kind,
                                        const char *namespace, const char *name, void *user);
void object_watches_drop(struct object_watch *watch); /* NULL is none */

bool object_watch_is_live(const struct object_watch *watch); /* NULL is not */
size_t object_watches_count_live(const struct object_watches *watches);

/* Begins those that are due, and ends those whose answer is late. Returns when to call again. */
int64_t object_watches_begin(struct object_watches *watches);

/* The request of a watch has ended. */
void object_watch_end(struct api_request *request);

#endif
