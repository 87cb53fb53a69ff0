/*
 * Reads the objects that are needed (informer_entries.h): when they are due, within a budget of
 * requests, and sooner where a watch (sources.h) says that they have changed; nothing while the API
 * as a whole does not answer (api_health.h).
 *
 * Threads: the informer's.
 */
#ifndef BACKLOG_KUBERNETES_READER_H
#define BACKLOG_KUBERNETES_READER_H

#include "kubernetes/informer_entries.h"
#include "kubernetes/sources.h"

enum { READER_MAX_REQUESTS = 32 };

struct reader {
    const struct kubernetes_api *api; /* borrowed */
    CURLM *multi;
    /* A request has ended; with an error, where it failed. */
    void (*ended)(void *context, const struct error *error);
    void *context;

    struct informer_entries entries;
    struct sources sources;
    struct api_health health;
    struct request_budget replies;
    struct informer_entry *sent[READER_MAX_REQUESTS]; /* those with a request */
    size_t requests;
    int64_t scanned_ms; /* the entries were looked at last */
};

/* Its `api`, `ended` and `context` are set; the rest is zero. */
void reader_init(struct reader *reader);
void reader_end(struct reader *reader); /* of its thread: no entries are left */
void reader_done(struct reader *reader);

/* The object, which is followed as long as it has links; and it has none any more. */
struct informer_entry *reader_entry(struct reader *reader, enum object_kind kind,
                                    const char *namespace, const char *name);
void reader_drop(struct reader *reader, struct informer_entry *entry);

/* Takes the replies that have arrived. */
void reader_take_replies(struct reader *reader);

/* Begins what is due. Returns when to call again; the end of a request is an occasion, too. */
int64_t reader_begin_due(struct reader *reader);

#endif
