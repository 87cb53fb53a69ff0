/*
 * A client of a Redis with a script, and its tasks.
 *
 * Threads: one, beside the server's.
 */
#ifndef BACKLOG_TEST_SCALERS_REDIS_LINKS_WORLD_H
#define BACKLOG_TEST_SCALERS_REDIS_LINKS_WORLD_H

#include "base/error.h"
#include "measure/scaler.h"
#include "scalers/redis/peer.h"
#include "scalers/trigger.h"
#include "support/feed.h"

extern const struct scaler scaler_redis;

enum { MAX_KEYS = 32, TIMEOUT_MS = 800, LONG_MS = 20 * 1000 };

/* A client of a server with a script, and a task for each of these lists. */
struct world {
    struct redis_peer peer;
    struct trigger triggers[MAX_KEYS];
    size_t count;
    struct test_feed *feed;
    void *client;
    struct error error;
    bool usable;
    size_t notified;
    size_t lost;
    bool notified_while_in_flight; /* the task with index 1 */
};

/* False: it is refused. */
bool world_connect(struct world *world, const struct redis_line *script, const char *const *keys);
void world_start(struct world *world, const struct redis_line *script, const char *const *keys);
/* With one task more, for what a key of the trigger names. */
void world_add(struct world *world, const char *key, const char *value);

void world_run(struct world *world);
void world_stop(struct world *world);

#endif
