/*
 * The links to one node, whoever names it: the options (redis), its Sentinels, who may name another
 * one later (redis-sentinel), or the map of slots, where there is a client per node
 * (redis-cluster). It has links that measure, and a subscriber.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_REDIS_CLIENT_H
#define BACKLOG_SCALERS_REDIS_CLIENT_H

#include "base/error.h"
#include "redis/link/server.h"
#include "redis/links.h"
#include "redis/requests/key_type.h"
#include "redis/sentinel.h"
#include "redis/subscriber.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REDIS_MAX_WARNED = 32 }; /* groups that the log names */

struct redis_cluster;

struct redis_client {
    struct redis_server server;
    struct redis_sentinels *sentinels; /* who name the server; NULL: none */
    struct redis_subscriber subscriber;
    struct redis_key_types key_types;
    struct redis_links links;
    bool is_server_clock_known;
    int64_t server_clock_ms;           /* what to add to clock_now_ms() for the server's time */
    uint64_t warned[REDIS_MAX_WARNED]; /* hashes of the groups whose consumers are not known */
    size_t warned_count;

    /* Of one that outlives its server's failure. */
    struct error failure;    /* why it cannot be used, until it is connected again */
    int64_t wanted_ms;       /* when a task failed for it last */
    int64_t failed_since_ms; /* 0: the last shared link was ready */

    struct redis_cluster *cluster;    /* NULL: it is of none */
    struct redis_client *prev, *next; /* utlist, of the cluster */
};

/* Before anything else; it is zeroed. */
void redis_client_init(struct redis_client *client);

/* As struct scaler has it. */
void redis_client_disconnect(void *client);

/*
 * Where the server fails, a client ends with it. Not so where somebody else may name another server
 * soon, Sentinels or the nodes of a Cluster: its tasks fail, as do those that come, until it is
 * connected again, which is tried for a minute after it was wanted last.
 */

/* Takes the error. */
void redis_client_fail(struct redis_client *client, struct error *error);

/* True: it has failed, and still cannot be used. */
bool redis_client_has_failed(struct redis_client *client);

/* The task waits for a link, or fails where one is being tried again. */
void redis_client_add(struct redis_client *client, struct task *task);
void redis_client_add_import(struct redis_client *client, struct task *task); /* after ASK */

/* Connects where it is time, or lowers *next_ms to when it is. False: it failed. */
bool redis_client_retry(struct redis_client *client, int64_t now_ms, int64_t *next_ms,
                        struct error *error);

/* It has failed, and is being connected again, or soon: somebody must wait for it. */
bool redis_client_is_reconnecting(const struct redis_client *client);

#endif
