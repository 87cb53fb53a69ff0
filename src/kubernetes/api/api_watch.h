/*
 * A watch of the Kubernetes API: says which objects have changed, by their metadata alone
 * (PartialObjectMetadata), so that they are read again only then. Of all objects of a kind, or of
 * one by its name.
 *
 * KEDA writes lastActiveTime of every active object at every poll. That changes its resourceVersion
 * and not its generation, so what has a generation has changed where that has.
 *
 * Threads: that of the CURLM.
 * Owner:   begins it when it is due, and ends it when its request has ended.
 */
#ifndef BACKLOG_KUBERNETES_API_API_WATCH_H
#define BACKLOG_KUBERNETES_API_API_WATCH_H

#include "base/error.h"
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

/* Of all watches of a CURLM; all of it is borrowed. */
struct api_watch_owner {
    CURLM *multi;
    const struct kubernetes_api *api;
    /* What arrives at a time, in lines that are not whole yet. */
    struct api_request_budget *replies;
    void (*changed)(void *context, const struct api_watch *watch,
                    const struct api_watch_event *event);
    /* Its request was answered, and it sees what changes from now on; or that failed, and it sees
     * nothing until it is live again. `was_live` is as it was before. */
    void (*live_changed)(void *context, struct api_watch *watch, bool was_live);
    void *context;
};

struct api_watch {
    struct api_request request; /* first, so that the owner finds the watch of a request */
    const struct api_watch_owner *owner;
    enum api_object_kind kind;
    void *user;  /* of the owner; whose object it watches, NULL: all of the kind */
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
    int64_t received_ms; /* something, last, once it is connected */
    int64_t due_ms;      /* when the next one begins, while there is none */
    struct api_backoff backoff;
    int64_t not_before_ms; /* Retry-After of the last reply: the next request is not sent sooner */
    struct error mistake;
    struct error failure; /* as it was logged */
};

/* `name` is NULL for all objects of the kind, and `namespace` then, too. Nothing is requested yet.
 */
void api_watch_init(struct api_watch *watch, const struct api_watch_owner *owner,
                    enum api_object_kind kind, const char *namespace, const char *name);
void api_watch_done(struct api_watch *watch);

/* It may be answered now: what failed before does not delay its next request. */
void api_watch_retry(struct api_watch *watch);

/* Its request. False with the error: none was begun. */
bool api_watch_begin(struct api_watch *watch, struct error *error);

/* As if it had timed out: it was not answered within this time, or is silent for this long. To be
 * ended then. (libcurl would look at each watch every second, and with it at all of them.) */
enum {
    API_WATCH_ANSWER_MS = 10 * 1000,  /* longer than a connection may take */
    API_WATCH_SILENT_MS = 130 * 1000, /* bookmarks come each minute: it has died unnoticed */
};
void api_watch_give_up(struct api_watch *watch);

/* Its request is over: the owner still has it, and says what it means for others. */
void api_watch_end(struct api_watch *watch);

#endif
