/*
 * A Redis Cluster: a client for each node that has keys of ours, and above them the slots, which
 * say whose a key is. What a node says of one key is believed where it has the key's slot; where it
 * names another node (MOVED, ASK), that one is queried.
 *
 * The map of slots is read again once it is doubted: a node redirects or fails, replies that it
 * cannot serve a key, or nobody has a key's slot; and while a node is slow or keys are subscribed
 * to. That is once per second at most; of which node, discovery.h says. A doubt keeps the loop at
 * work until the map is read.
 *
 * A node that fails fails its own keys, at once until it can be connected to again (client.h).
 * Keys whose slot nobody has wait for the next map, and fail where it does not say whose it is,
 * either. Where a slot is moved, so are its keys' subscriptions.
 *
 * Any node is trusted to name others, as any Sentinel is to name the master: they get the password,
 * too, which it has itself.
 *
 * A failover, in order. The link to the node breaks: redis_links_step() has its tasks sent again,
 * and where that fails, too, redis_cluster_lose() fails them and has the map read again. Or the
 * node goes on as a replica and redirects: redis_cluster_redirect() returns its tasks to the feed.
 * In the next turn of the loop redis_cluster_check() requests the map (discovery.h). Once it is
 * there, adopt() takes it, notifies the subscriptions of slots that have moved, and ends the
 * clients of nodes without slots. redis_cluster_route() then gives tasks to the node that has the
 * slot now.
 *
 * Threads: that of the client.
 */
#ifndef BACKLOG_SCALERS_REDIS_CLUSTER_CLUSTER_H
#define BACKLOG_SCALERS_REDIS_CLUSTER_CLUSTER_H

#include "base/error.h"
#include "measure/task.h"
#include "redis/client.h"
#include "redis/cluster/discovery.h"
#include "redis/cluster/slots.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REDIS_CLUSTER_ISOLATED = 8 }; /* tasks at a time: of a node that hangs, and of others */

struct redis_cluster {
    struct redis_server like; /* the login, the TLS context and the budget of all */
    struct redis_link_budget link_budget;
    struct redis_discovery discovery;
    struct redis_slot_map *map;
    uint8_t moves[REDIS_SLOTS];            /* of a slot's owner since the map was read */
    struct redis_client *clients;          /* utlist: of the nodes that were needed */
    const struct redis_requests *requests; /* set when it measures */
    struct redis_waiting waiting; /* for the next map: in this one nobody has their slots */
    bool is_doubtful;             /* the map: it is to be read, and the loop goes on until it is */
    bool was_unreadable;          /* no node had it the last time */
    bool has_moved;               /* a slot, since it was read */
};

/* As struct scaler has them; connecting ends with a map. */
bool redis_cluster_connect(const void *connection_options, int64_t deadline_ms, void **ret_client,
                           struct error *error);
void redis_cluster_disconnect(void *cluster);

/* Has the task wait for a link to the node that has its key, or, where no node has its slot, for
 * the next map. It fails where the node has. */
void redis_cluster_route(struct redis_cluster *cluster, struct task *task);

/* What else an error reply means in a cluster. True: the task has ended, or waits for another node.
 * False: there is no cluster, or the error is the task's. */
bool redis_cluster_redirect(struct redis_link *link, struct task *task, const redisReply *reply);

/* The node cannot be used: fails its tasks. Takes the error. */
void redis_cluster_lose(struct redis_cluster *cluster, struct redis_client *client,
                        struct error *error);

/* Whenever the time has come, never while a list of the clients is in use: takes a new map, with
 * which nodes may come and go. Lowers *next_ms to when to call it again. False: no node can be
 * reached. */
bool redis_cluster_check(struct redis_cluster *cluster, int64_t now_ms, int64_t *next_ms,
                         struct error *error);

/* The map is being read, or soon to be: somebody must wait for it. */
bool redis_cluster_is_busy(const struct redis_cluster *cluster);

#endif
