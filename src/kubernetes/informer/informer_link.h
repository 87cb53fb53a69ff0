/*
 * The two sides of an object that the informer (informer.h) keeps: a handler is told of news and
 * has its turn, a link says that one of the handler's users needs an object. The informer keeps an
 * object for as long as it has links.
 *
 * Threads: the informer's.
 * Owner:   the memory of handlers and links is the handler's.
 */
#ifndef BACKLOG_KUBERNETES_INFORMER_INFORMER_LINK_H
#define BACKLOG_KUBERNETES_INFORMER_INFORMER_LINK_H

#include <stdint.h>

struct informer_entry; /* an object, for as long as links have it */

/* The context is `context`. */
struct informer_handler {
    void (*changed)(void *context, void *user); /* there is news of what this user is linked to */
    int64_t (*turn)(void *context); /* in each turn; returns when the next one must be */
    void (*end)(void *context);     /* the last call: removes all of its links */
    void *context;
};

/* A user of a handler needs an object. */
struct informer_link {
    struct informer_entry *entry;
    const struct informer_handler *handler;
    void *user;
    struct informer_link *next, *prev;
};

#endif
