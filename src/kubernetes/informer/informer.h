/*
 * The informer: keeps objects of the Kubernetes API up to date while triggers need them: what their
 * credentials follow from, and their HPAs. Each is read once for all (object_reader.h), never more
 * than once per second. What was read stays in use while the API cannot be reached.
 *
 * Threads: it has one of its own, on which it calls its handler; all but starting, stopping, waking
 * and the statistics is for this thread.
 * Owner:   the memory of links is the handler's. An object is kept for as long as it has links.
 */
#ifndef BACKLOG_KUBERNETES_INFORMER_INFORMER_H
#define BACKLOG_KUBERNETES_INFORMER_INFORMER_H

#include "base/error.h"
#include "kubernetes/api/api.h"
#include "kubernetes/api/api_object.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct informer;
struct informer_entry; /* an object, for as long as links have it */

/* The context is `context`. */
struct informer_handler {
    /* There is news of what this user is linked to; adds and removes no links. */
    void (*changed)(void *context, void *user);
    int64_t (*turn)(void *context); /* in each turn; returns when the next one must be */
    void (*end)(void *context);     /* the last call: removes all links */
    void *context;
};

/* A user of the handler needs an object. */
struct informer_link {
    struct informer_entry *entry;
    void *user;
    struct informer_link *next, *prev;
};

/* What is known of an object. Borrowed until the next turn. */
struct informer_view {
    bool is_read;                /* once: `object` is what there was last, NULL if there was none */
    struct api_object *object;   /* borrowed */
    const struct error *failure; /* why it could not be read last; NULL: it could */
    int64_t read_ms; /* as of when: requested, or named as it was by a watch that began since */
};

struct informer_stats {
    size_t objects, failing; /* that are kept; those that could not be read last */
    size_t watches, live_watches;
    uint64_t requests, failures;
    char failure[256]; /* the last one, while something is failing */
};

/* Takes the API. */
struct informer *informer_new(struct kubernetes_api *api);
void informer_set_handler(struct informer *informer, const struct informer_handler *handler);
void informer_start(struct informer *informer); /* once it has its handler */
/* NULL is harmless, as is stopping twice. False: its thread hangs (kubernetes_api_join()), and it
 * and its handler are not to be freed. */
bool informer_stop(struct informer *informer);
void informer_free(struct informer *informer); /* it has been stopped; NULL is none */

/* Any thread: there is something to do for the handler's turn. */
void informer_wake(struct informer *informer);
bool informer_is_stopping(struct informer *informer);
void informer_stats(struct informer *informer, struct informer_stats *ret_stats);

/* `namespace` is NULL for what has none. Both are valid (config/kubernetes_name.h). */
void informer_link(struct informer *informer, struct informer_link *link, enum api_object_kind kind,
                   const char *namespace, const char *name);
void informer_unlink(struct informer *informer, struct informer_link *link);
struct informer_view informer_view(const struct informer *informer,
                                   const struct informer_link *link);

/* It is read again, if that is a second ago. */
void informer_want_fresh(struct informer *informer, const struct informer_link *link);

#endif
