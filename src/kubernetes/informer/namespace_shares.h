/*
 * What the objects of one namespace may take of the informer: memory, requests, replies that
 * arrive, and turns. Whoever may call claims any names and namespaces; a namespace has as much as
 * it leaves to the others, and nobody waits behind what somebody has invented.
 *
 * Threads: the informer's.
 */
#ifndef BACKLOG_KUBERNETES_INFORMER_NAMESPACE_SHARES_H
#define BACKLOG_KUBERNETES_INFORMER_NAMESPACE_SHARES_H

#include "base/hash_table.h"
#include "kubernetes/api/api_request.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    NAMESPACE_SHARES_MAX_BYTES = 32 << 20,  /* of all objects: ten thousand triggers have 10 MiB */
    NAMESPACE_SHARES_MAX_REPLIES = 8 << 20, /* of all that arrive; of one namespace half of it */
    NAMESPACE_SHARES_MAX_WATCHES =
        2000, /* of single objects; beyond it they are read at intervals */
    NAMESPACE_SHARE_MAX_REQUESTS = 8,
};

/* All of them. Start from {0}. */
struct namespace_shares {
    struct namespace_share *by_namespace;
    /* By is_known: those that have unread objects, the next one first. */
    struct namespace_share *unread[2];
    bool is_turn_of_known;
    size_t bytes; /* of all objects that are kept */
    size_t watches;
};

/* What one namespace has; what is cluster-wide is one, too. */
struct namespace_share {
    char *namespace;
    size_t objects;  /* none: it is freed */
    size_t bytes;    /* of those that are kept */
    size_t requests; /* in progress; its owner counts them */
    size_t watches;  /* of its objects */
    struct api_request_budget replies;
    struct share_turn *unread;
    bool is_known; /* when its objects became unread it had others: no outsider has invented it */
    struct namespace_share *next, *prev;
    UT_hash_handle hh;
};

/* An object in the share of its namespace. The memory is the caller's. */
struct share_turn {
    struct namespace_share *share;
    size_t bytes;   /* of the object that is kept */
    bool is_unread; /* it was never requested, and waits for its turn */
    bool is_watched;
    struct share_turn *next, *prev;
};

/* NULL: of what is cluster-wide. It is unread. */
void namespace_shares_enter(struct namespace_shares *shares, struct share_turn *turn,
                            const char *namespace);
void namespace_shares_leave(struct namespace_shares *shares, struct share_turn *turn);

/* The unread object whose turn it is, which stays the first of its namespace until
 * namespace_shares_end_unread(); NULL: no namespace with one may have another request. One of each
 * namespace in turn, and every second of one that is known. */
struct share_turn *namespace_shares_next_unread(struct namespace_shares *shares);
void namespace_shares_end_unread(struct namespace_shares *shares,
                                 struct share_turn *turn); /* harmless where it is read */

/* May so much be kept in place of what is kept of it? Teams choose how many objects there are, and
 * of what size. */
bool namespace_shares_have_room(const struct namespace_shares *shares,
                                const struct share_turn *turn, size_t bytes);
void namespace_shares_keep(struct namespace_shares *shares, struct share_turn *turn, size_t bytes);

/* May the object have a watch of its own? Until it leaves; false: the others need those that are
 * left. */
bool namespace_shares_watch(struct namespace_shares *shares, struct share_turn *turn);

#endif
