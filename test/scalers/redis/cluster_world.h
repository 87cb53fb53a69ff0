/*
 * A Redis Cluster of two nodes with scripts, and a client of it.
 *
 * Threads: one, beside the nodes' own.
 */
#ifndef BACKLOG_TEST_SCALERS_REDIS_CLUSTER_WORLD_H
#define BACKLOG_TEST_SCALERS_REDIS_CLUSTER_WORLD_H

#include "base/error.h"
#include "measure/scaler.h"
#include "scalers/redis/peer.h"
#include "scalers/trigger.h"
#include "support/feed.h"

extern const struct scaler scaler_redis_cluster;

enum { NODES = 2, LINES = 8, TIMEOUT_MS = 3000, LONG_MS = 20 * 1000 };

/* Two nodes, of which the first has all slots as both say, and a task for each key. In a line of a
 * script %A and %B are the nodes' addresses. */
struct world {
    struct redis_peer peers[NODES];
    struct redis_line lines[NODES][LINES];
    size_t counts[NODES];
    char *texts[NODES * LINES];
    size_t texts_count;
    struct trigger trigger;
    struct test_feed *feed;
    int64_t connect_ms;   /* 0: LONG_MS */
    const char *database; /* NULL: "0" */
    void *client;
    struct error error;
    bool usable;
};

/* Servers without a line. */
void world_begin(struct world *world);

const char *port_of(const struct world *world, size_t node);
void add_line(struct world *world, size_t node, struct redis_line line);
void add_slots(struct world *world, size_t node, size_t owner, int times); /* it has all slots */

#define LINE(...) ((struct redis_line){__VA_ARGS__})

/* With a task for the list "jobs", or for what another key of the trigger names; to the first node,
 * or to these addresses. Both nodes have the first node's slots and a master's role behind the
 * lines that they have already. False: it is refused. */
bool world_connect(struct world *world);
bool world_connect_for(struct world *world, const char *key, const char *value);
bool world_connect_to_both(struct world *world);
bool world_connect_at(struct world *world, const char *addresses, const char *key,
                      const char *value);

void world_run(struct world *world);
void world_stop(struct world *world);

#endif
