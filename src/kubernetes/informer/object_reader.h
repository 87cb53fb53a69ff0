/*
 * Reads the objects that are needed (informer_entries.h): when they are due, within a budget of
 * requests, and sooner where a watch (object_watches.h) says that they have changed; nothing while
 * the API as a whole does not answer (api_health.h).
 *
 * Threads: the informer's.
 */
#ifndef BACKLOG_KUBERNETES_INFORMER_OBJECT_READER_H
#define BACKLOG_KUBERNETES_INFORMER_OBJECT_READER_H

#include "kubernetes/informer/informer_entries.h"
#include "kubernetes/informer/object_watches.h"

enum { OBJECT_READER_MAX_REQUESTS = 32 };

struct object_reader {
    const struct kubernetes_api *api; /* borrowed */
    CURLM *multi;
    /* A request has ended; with an error, where it failed. */
    void (*ended)(void *context, const struct error *error);
    void *context;

    struct informer_entries entries;
    struct object_watches watches;
    struct api_health health;
    struct api_request_budget replies;
    struct informer_entry *sent[OBJECT_READER_MAX_REQUESTS]; /* those with a request */
    size_t requests, first_requests;
    int64_t scanned_ms; /* the entries were looked at last */
};

/* Its `api`, `ended` and `context` are set; the rest is zero. */
void object_reader_init(struct object_reader *reader);
void object_reader_end(struct object_reader *reader); /* of its thread: no entries are left */
void object_reader_done(struct object_reader *reader);

/* The object, which is followed as long as it has links; and it has none any more. */
struct informer_entry *object_reader_entry(struct object_reader *reader, enum api_object_kind kind,
                                           const char *namespace, const char *name);
void object_reader_drop(struct object_reader *reader, struct informer_entry *entry);

/* Takes the replies that have arrived. */
void object_reader_take_replies(struct object_reader *reader);

/* Begins what is due. Returns when to call again; the end of a request is an occasion, too. */
int64_t object_reader_begin_due(struct object_reader *reader);

#endif
