/*
 * Watches of the Kubernetes API: say which objects have changed, by their metadata alone
 * (PartialObjectMetadata), so that they are read again only then. Each is of all objects of a kind,
 * or of one by its name. Few wait for their answer at a time; one that is not answered, or says
 * nothing for longer than bookmarks take, begins again.
 *
 * KEDA writes lastActiveTime of every active object at every poll. That changes its resourceVersion
 * and not its generation, so what has a generation has changed where that has.
 *
 * Threads: one, that of the CURLMs.
 */
#ifndef BACKLOG_KUBERNETES_API_API_WATCH_H
#define BACKLOG_KUBERNETES_API_API_WATCH_H

#include "base/error.h"
#include "base/heap.h"
#include "kubernetes/api/api.h"
#include "kubernetes/api/api_object.h"

#include <stdbool.h>
#include <stdint.h>

/* One line of a watch. */
struct api_watch_event {
    enum { API_WATCH_BOOKMARK, API_WATCH_CHANGE, API_WATCH_DELETION, API_WATCH_EXPIRED } kind;
    char *namespace; /* NULL: the object has none */
    char *name;
    char *revision; /* of the object, as api_object_parse() says it */
    char *version;  /* resourceVersion: where the next watch goes on; NULL: it is not given */
};

/* For tests, too. False with the error: it is none, or the server's refusal. */
bool api_watch_event_parse(enum api_object_kind kind, const char *text, size_t length,
                           struct api_watch_event *ret_event, struct error *error);
void api_watch_event_done(struct api_watch_event *event);

struct api_watch;

struct api_watches {
    /* Of the owner, and borrowed: */
    const struct kubernetes_api *api;
    CURLM *multi;                       /* for watches of a kind: the owner performs it */
    struct api_request_budget *replies; /* what arrives at a time, in lines that are not whole */
    void (*changed)(void *context, const struct api_watch *watch,
                    const struct api_watch_event *event);
    /* Its request was answered, and it sees what changes from now on; or that failed, and it sees
     * nothing until it is live again. `was_live` is as it was before. */
    void (*live_changed)(void *context, const struct api_watch *watch, bool was_live);
    /* Its request has ended; with the error, where it was not answered, or none could be begun. */
    void (*ended)(void *context, struct api_watch *watch, const struct error *error);
    void *context;

    /* The rest starts from zero. Watches of one object have a CURLM of their own: libcurl looks at
     * all requests of one whenever there is something for any of them, and these are many, and
     * seldom have any, while those of a kind have an event at each poll of KEDA. */
    CURLM *multi_of_single;
    struct curl_waitfd *single_fds; /* its sockets, as of the last time it was performed */
    size_t single_fds_capacity;
    unsigned single_fds_count;
    int64_t perform_single_ms; /* when it is, without news from its sockets */
    struct heap due;
    struct api_watch *unanswered; /* with a request that was not answered yet, the oldest first */
    size_t unanswered_count;
    size_t count, live_count;
};

struct api_watch {
    struct api_request request; /* first: the watch is found by it */
    struct api_watches *all;
    enum api_object_kind kind;
    void *user;  /* of the owner: whose object it is; NULL: all of the kind */
    char *path;  /* of the collection */
    char *query; /* "fieldSelector=metadata.name%3Dname&", or "" for all */
    /* Where the next request begins. NULL: with an event of each object that there is then, by
     * which the owner sees what has not changed since it was read. There may be many: the first
     * time, when little has been read, all of a kind are watched from the version of a list. */
    char *version;
    struct text line; /* that is not whole yet */
    bool is_list;
    bool is_connected; /* this request has begun to answer */
    bool has_expired;
    bool is_live;
    bool has_named_all; /* since `since_ms`, what there was then: it began without a version */
    int64_t since_ms; /* while it is live: nothing that happened since is missed, but what was read
                         before may have changed unseen */
    int64_t sent_ms;  /* its request */
    int64_t received_ms;  /* something, last, once it is connected */
    int64_t due_ms;       /* when the next one begins, while there is none */
    struct heap_item due; /* that, or when a connected one is silent for too long; in no heap while
                             one is not answered */
    struct api_backoff backoff;
    int64_t not_before_ms; /* Retry-After of the last reply: the next request is not sent sooner */
    struct error mistake;
    struct error failure;          /* as it was logged */
    int64_t refused_ms;            /* of the owner: api_health_is_refused_alone() */
    struct api_watch *next, *prev; /* utlist of `unanswered` */
};

void api_watches_init(struct api_watches *watches);
void api_watches_done(struct api_watches *watches); /* all watches were dropped */

/* Of an object, or of all of the kind, if `namespace`, `name` and `user` are NULL. It is due at
 * once. */
struct api_watch *api_watches_add(struct api_watches *watches, enum api_object_kind kind,
                                  const char *namespace, const char *name, void *user);
void api_watch_drop(struct api_watch *watch); /* NULL is harmless */

/* It may be answered now: what failed before does not delay its next request. */
void api_watch_retry(struct api_watch *watch);

/* Performs those of single objects. */
void api_watches_perform(struct api_watches *watches);

/* Ends those that were not answered in time; and when the next one is late. */
void api_watches_end_late(struct api_watches *watches, int64_t now_ms);
int64_t api_watches_late_ms(const struct api_watches *watches);

/* Begins those that are due, and ends those that are silent. Returns when the next one is due; an
 * answer is an occasion, too. */
int64_t api_watches_begin_due(struct api_watches *watches, int64_t now_ms);

#endif
