/*
 * The links to one node, whoever names it: the options (redis), its Sentinels, who may name another
 * one later (redis-sentinel), or the map of slots, where there is a client per node
 * (redis-cluster). It has one link that measures, a subscriber, and two more links that are opened
 * when they are needed.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_REDIS_CLIENT_H
#define BACKLOG_SCALERS_REDIS_CLIENT_H

#include "base/error.h"
#include "redis/link/link.h"
#include "redis/link/server.h"
#include "redis/requests/key_type.h"
#include "redis/sentinel.h"
#include "redis/subscriber.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct redis_cluster;

/* Of the shared link: stall.c's own. */
struct redis_stall {
    /* Proves that it is the shared link that stalls, and replaces it. NULL: none. */
    struct redis_link *standby;
    int64_t last_ms; /* 0: never */
    size_t losses;   /* of shared links in a row that replied to no task */
    struct redis_reopening shared_reopening, standby_reopening, isolated_reopening;
};

struct redis_client {
    struct redis_server server;
    struct redis_sentinels *sentinels; /* who name the server; NULL: none */
    struct redis_subscriber subscriber;
    struct redis_key_types key_types;

    struct redis_link *shared;     /* the one that measures; NULL: none, it is opened again */
    struct redis_link *isolated;   /* of what was slow, or timed out last */
    struct task *waiting;          /* utlist, for the shared link to be ready */
    struct task *waiting_isolated; /* utlist, for the isolated one */
    struct task *waiting_imports;  /* utlist, for the shared one: ASK redirected them here */
    bool was_kept_back;            /* a task in `waiting` was not sent at once */
    struct redis_stall stall;
    bool is_server_clock_known;
    int64_t server_clock_ms; /* what to add to clock_now_ms() for the server's time */
    bool has_warned;         /* that it cannot know the consumers of a stream */

    /* Of a node of a cluster (redis/cluster/cluster.h). */
    struct redis_cluster *cluster; /* NULL: it is none */
    struct error failure;          /* why it cannot be used, until it can be connected to again */
    int64_t retry_ms;              /* when that is tried, at the earliest */
    size_t failures;               /* in a row */
    int64_t wanted_ms;             /* when a task failed for it last */
    int64_t late_ms;               /* when a reply was too late to be believed; 0: never */
    struct redis_client *prev, *next;
};

/* As struct scaler has it. */
void redis_client_disconnect(void *client);

/* NULL: it failed. */
struct redis_link *redis_client_open(struct redis_client *client, bool to_same_peer,
                                     int64_t deadline_ms, struct error *error);

/* The one that measures. */
bool redis_client_open_shared(struct redis_client *client, int64_t deadline_ms,
                              struct error *error);

/* Closes it, and sets it to NULL; its tasks must be taken first. */
void redis_client_close(struct redis_client *client, struct redis_link **link);

/* Fails the tasks of a list of those that wait, and empties it. */
void redis_client_fail(struct task **waiting, const struct error *error);

/* Sets the error that the link was not ready in time. Returns false. */
bool redis_client_cannot_connect(const struct redis_link *link, struct error *error);

#endif
