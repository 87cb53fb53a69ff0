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

/* What a node of a cluster has more than another client (redis/cluster/cluster.h). */
struct redis_member {
    struct redis_cluster *cluster; /* NULL: the client is of none */
    struct error failure;          /* why it cannot be used, until it is connected again */
    int64_t wanted_ms;             /* when a task failed for it last */
};

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
    struct redis_member member;
    struct redis_client *prev, *next; /* utlist, of the cluster */
};

/* Before anything else; it is zeroed. */
void redis_client_init(struct redis_client *client);

/* As struct scaler has it. */
void redis_client_disconnect(void *client);

#endif
