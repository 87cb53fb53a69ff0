/*
 * The informer: keeps objects of the Kubernetes API up to date while somebody needs them: what a
 * trigger's credentials follow from, and its HPA. Each is read once for all who need it
 * (object_reader.h), never more than once per second. What was read stays in use while the API
 * cannot be reached.
 *
 * Threads: it has one of its own, on which it calls its handlers; all but starting, stopping,
 * waking and the statistics is for this thread.
 */
#ifndef BACKLOG_KUBERNETES_INFORMER_INFORMER_H
#define BACKLOG_KUBERNETES_INFORMER_INFORMER_H

#include "base/error.h"
#include "kubernetes/api/api.h"
#include "kubernetes/api/api_object.h"
#include "kubernetes/informer/informer_link.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct informer;
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
void informer_add_handler(struct informer *informer, const struct informer_handler *handler);
void informer_start(struct informer *informer); /* once all handlers are added */
/* NULL is harmless, as is stopping twice. False: its thread hangs (kubernetes_api_join()), and it
 * and its handlers are not to be freed. */
bool informer_stop(struct informer *informer);
void informer_free(struct informer *informer); /* it has been stopped; NULL is none */

/* Any thread: there is something to do for a handler's turn. */
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
