/*
 * Which nodes of a Redis Cluster have which slots: CLUSTER SLOTS, sent to one node after the other
 * until one replies, on a connection of its own that is kept.
 *
 * Threads: that of the client. Owner: the client.
 */
#ifndef BACKLOG_SCALERS_REDIS_CLUSTER_DISCOVERY_H
#define BACKLOG_SCALERS_REDIS_CLUSTER_DISCOVERY_H

#include "base/error.h"
#include "redis/cluster/slots.h"
#include "redis/link/link.h"
#include "redis/options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct redis_discovery {
    const struct redis_connection_options
        *options;                     /* whose addresses are tried where no node replies */
    const struct redis_slot_map *map; /* whose nodes are tried first; borrowed */
    struct redis_server server;       /* the node that is tried, or was last */
    bool is_local;                    /* so may the nodes be (redis_server_check_peer()) */
    struct redis_link *link;          /* NULL: none */
    bool is_requesting;
    int64_t requested_ms; /* since when, or when last; 0: never */
    int64_t deadline_ms;  /* of that node */
    int64_t until_ms;     /* of all of them */
    size_t next;          /* of all nodes and addresses */
    size_t tried;
    struct redis_slot_map *found; /* the new map, to be taken; NULL: none yet */
    struct error failed;          /* of that node */
    struct error error;           /* none replied the last time, and why */
};

/* The options must outlive it; `login` and the context are the nodes'. */
void redis_discovery_init(struct redis_discovery *discovery,
                          const struct redis_connection_options *options,
                          const struct redis_server *like);
void redis_discovery_done(struct redis_discovery *discovery);

/* Reads it again, and is done by then: `found` or `error` is set. */
void redis_discovery_request(struct redis_discovery *discovery, int64_t now_ms, int64_t until_ms);

/* After poll(), and whenever the time has come. Returns when that is. */
void redis_discovery_step(struct redis_discovery *discovery, short revents);
int64_t redis_discovery_check(struct redis_discovery *discovery, int64_t now_ms);

#endif
