/*
 * Who says that objects have changed: a watch (watch.h) of all objects of a kind, or of one by its
 * name; up to a limit, beyond which objects are read at intervals.
 *
 * Threads: that of the CURLM, on which it calls its owner.
 */
#ifndef BACKLOG_KUBERNETES_SOURCES_H
#define BACKLOG_KUBERNETES_SOURCES_H

#include "kubernetes/api_health.h"
#include "kubernetes/watch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct source {
    struct watch watch; /* first: a watch's request is found by it */
    struct sources *sources;
    void *user;         /* whose object it watches; NULL: all of the kind */
    int64_t live_ms;    /* CLOCK_NEVER: nothing is seen at present */
    int64_t refused_ms; /* api_health_is_refused_alone() */
    struct source *next, *prev;
};

/* All borrowed. */
struct sources_owner {
    CURLM *multi;
    struct request_budget *replies;
    const struct kubernetes_api *api;
    const struct api_health *health; /* which the owner changes */
    void (*changed)(void *context, enum object_kind kind, const struct watch_event *event);
    void (*went_live)(void *context, const struct source *source); /* or no longer is */
    void (*answered)(void *context);                               /* the API did */
    /* A request has ended; with an error, where it failed... */
    void (*ended)(void *context, const struct error *error);
    /* ... and once more, where the API as a whole fails. */
    void (*failed)(void *context, const struct error *error, int64_t retry_after_ms);
    void *context;
};

struct sources {
    struct sources_owner owner;
    struct source *all; /* utlist */
    struct source *of_kind[OBJECT_KINDS];
    size_t count;
};

void sources_init(struct sources *sources, const struct sources_owner *owner);
void sources_done(struct sources *sources); /* those of one object have been dropped */

/* All objects of the kind are watched from now on, where the limit allows it. */
void sources_watch_kind(struct sources *sources, enum object_kind kind);

/* One object. */
struct source *sources_watch(struct sources *sources, enum object_kind kind, const char *namespace,
                             const char *name, void *user);
void sources_drop(struct source *source); /* NULL is none */

bool source_is_live(const struct source *source); /* NULL is not */
size_t sources_count_live(const struct sources *sources);

/* Begins those that are due, and ends those whose answer is late. Returns when to call again. */
int64_t sources_begin(struct sources *sources);

/* The request of a source has ended. */
void source_end(struct request *request);

#endif
