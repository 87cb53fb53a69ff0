/*
 * Reads the objects of the Kubernetes API that somebody needs: each when it is needed first, again
 * when a watch (api_watch.h) says that it has changed, and where no watch sees it at intervals.
 * Nothing is sent while the API as a whole does not answer (api_health.h).
 *
 * There is one watch of each kind of KEDA's objects, and one of each Secret and ConfigMap by its
 * name; none of HPAs, which there is no right to watch.
 *
 * What was never requested comes before what is only read again, the newest and the oldest in turn:
 * a call waits 5 s for its trigger's objects, and whoever invents names must not make it wait for
 * all of them.
 *
 * Threads: the informer's.
 */
#ifndef BACKLOG_KUBERNETES_INFORMER_OBJECT_READER_H
#define BACKLOG_KUBERNETES_INFORMER_OBJECT_READER_H

#include "base/error.h"
#include "base/hash_table.h"
#include "base/heap.h"
#include "kubernetes/api/api.h"
#include "kubernetes/api/api_object.h"
#include "kubernetes/api/api_watch.h"
#include "kubernetes/informer/api_health.h"

enum {
    OBJECT_READER_MAX_REQUESTS = 32,
    OBJECT_READER_MAX_BYTES = 32 << 20,  /* of all objects: ten thousand triggers have 10 MiB */
    OBJECT_READER_MAX_REPLIES = 8 << 20, /* of all that arrive */
    OBJECT_READER_MAX_WATCHES = 2000, /* of single objects; beyond it they are read at intervals */
    OBJECT_READER_MIN_INTERVAL_MS = 1000, /* an object is read no more often */
};

struct object_reader;

/* An object, as long as it has links. */
struct informer_entry {
    struct api_request request; /* in progress, or none; first: the object is found by it */
    struct object_reader *reader;
    enum api_object_kind kind;
    char *namespace, *name; /* `namespace` is NULL for what has none */
    char *key, *path;
    struct informer_link *links; /* of its users (informer.h) */
    struct api_watch *watch;     /* of its own; NULL: that of its kind, or none */

    struct api_object *object; /* NULL: there was none, or it is not read */
    bool is_read;              /* once */
    int64_t read_ms; /* as of when it is known: requested, or named as it was by a watch since */
    struct error failure; /* of the last request; set while it fails */
    bool is_forbidden;    /* ... as there is no right to read it */

    int64_t sent_ms;      /* the last one; 0: none was, and it is in `unread` */
    bool is_first;        /* the one in progress: there was none before */
    struct heap_item due; /* the next one: in no heap while one is in progress, or none was */
    struct api_backoff backoff;
    int64_t refused_ms; /* api_health_is_refused_alone() */
    char *seen; /* the last revision that a watch has named during a request, or since one failed;
                   NULL: none */
    int64_t seen_ms;

    bool has_changed; /* and its users have not been notified */
    UT_hash_handle hh;
    struct informer_entry *next, *prev; /* utlist of `unread` */
    struct informer_entry *next_changed, *prev_changed;
};

struct object_reader {
    const struct kubernetes_api *api; /* borrowed */
    CURLM *multi; /* of objects and watches of a kind; these have an event at each poll of KEDA */
    /* A request has ended; with an error, where it failed. */
    void (*ended)(void *context, const struct error *error);
    /* There is news of an object, for those that need it. */
    void (*notify)(void *context, const struct informer_entry *entry);
    void *context;

    struct informer_entry *by_key;
    struct informer_entry *unread; /* never requested; the newest first */
    bool is_turn_of_oldest;
    struct heap due;                 /* the others */
    size_t requests, first_requests; /* in progress */
    struct informer_entry *changed;  /* utlist: whose users have not been notified */
    size_t failing;
    size_t bytes; /* of all objects */

    struct api_watches watches;
    struct api_watch *of_kind[OBJECT_KINDS];

    struct api_health health;
    int64_t probed_ms; /* an object was read last, to see whether the API answers */
    struct api_request_budget replies;
};

/* Its `api`, functions and `context` are set; the rest is zero. */
void object_reader_init(struct object_reader *reader);
void object_reader_end(struct object_reader *reader); /* of its thread: no entries are left */
void object_reader_done(struct object_reader *reader);

/* The object, which is followed as long as it has links; and it has none any more. */
struct informer_entry *object_reader_entry(struct object_reader *reader, enum api_object_kind kind,
                                           const char *namespace, const char *name);
void object_reader_drop(struct object_reader *reader, struct informer_entry *entry);

/* It is read again as soon as it may be. */
void object_reader_want_fresh(struct object_reader *reader, struct informer_entry *entry);

/* Waits for replies, until then at the latest; and takes those that have arrived. */
void object_reader_wait(struct object_reader *reader, int64_t until_ms);
void object_reader_take_replies(struct object_reader *reader);

/* Begins what is due. Returns when to call again; the end of a request is an occasion, too. */
int64_t object_reader_begin_due(struct object_reader *reader);

/* Tells the users of what has changed. */
void object_reader_notify(struct object_reader *reader);

/* For tests, too. The longest back-off of one of so many objects that cannot be read: short for
 * whoever has just given a right, but 50 requests per second at most, however many there are. */
int64_t object_reader_longest_backoff_ms(size_t failing);

#endif
