/*
 * The slots of a Redis Cluster: the one that a key is in, the nodes that have them as CLUSTER SLOTS
 * says, and where a node sends one to that has not got a key's slot (MOVED, ASK).
 *
 * https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_SCALERS_REDIS_CLUSTER_SLOTS_H
#define BACKLOG_SCALERS_REDIS_CLUSTER_SLOTS_H

#include "base/error.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    REDIS_SLOTS = 16384,
    REDIS_MAX_NODES = 256, /* of a cluster, replicas too: those have up to 1,000 in theory */
    REDIS_NO_NODE = UINT16_MAX,
};

/* Can it be connected to? What is no name or address never reaches a resolver. */
bool redis_is_host(const char *host, size_t length);

/* Of the whole key, or of what is between its first { and the next }. */
size_t redis_slot_of(const char *key);

struct redis_node {
    char *host;
    int port;
    bool is_failing; /* the cluster's own: others know more */
};

struct redis_slot_map {
    struct redis_node nodes[REDIS_MAX_NODES];
    size_t count;
    uint16_t owners[REDIS_SLOTS]; /* an index of `nodes`, or REDIS_NO_NODE */
};

void redis_slot_map_free(struct redis_slot_map *map); /* of NULL, too */

/* The index of the node, which is added where there is none of this address yet. REDIS_NO_NODE: the
 * map is full. */
uint16_t redis_slot_map_node(struct redis_slot_map *map, const char *host, int port);

/* The reply to CLUSTER SLOTS of a node at `host`, which stands for nodes that do not know their own
 * address. Masters come before replicas, so that a map that is full lacks only replicas if that is
 * possible. The caller frees it. NULL: the reply is none, or there are too many masters, or no
 * node has a slot: a node that is not (any more) in the cluster says so. */
struct redis_slot_map *redis_slot_map_parse(const redisReply *reply, const char *host,
                                            struct error *error);

/* Of "MOVED 3999 10.0.0.7:6379" or "ASK ..." the address; without a host it is `host`. False: there
 * is none. The caller frees the host. */
bool redis_redirect_parse(const char *words, const char *host, char **ret_host, int *ret_port);

#endif
