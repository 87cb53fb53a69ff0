#include "scalers/redis/links_world.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

void world_add(struct world *world, const char *key, const char *value)
{
    assert_true(world->count < MAX_KEYS);
    struct trigger *trigger = &world->triggers[world->count++];
    *trigger = trigger_of(&scaler_redis, PAIRS("address", world->peer.address, key, value));
    assert_true(trigger->good);
    test_feed_add(world->feed, trigger->options.query, (struct notifier){0});
}

bool world_connect(struct world *world, const struct redis_line *script, const char *const *keys)
{
    *world = (struct world){0};
    redis_peer_start(&world->peer, script);
    world->feed = test_feed_new(&scaler_redis);
    while (keys[world->count] != NULL)
        world_add(world, "listName", keys[world->count]);
    test_feed_set_timeout(world->feed, TIMEOUT_MS);
    return scaler_redis.connect(world->triggers[0].options.connection, clock_now_ms() + LONG_MS,
                                &world->client, &world->error);
}

void world_start(struct world *world, const struct redis_line *script, const char *const *keys)
{
    assert_true(world_connect(world, script, keys));
}

void world_run(struct world *world)
{
    world->usable = test_feed_run(world->feed, world->client, LONG_MS, &world->error);
}

void world_stop(struct world *world)
{
    if (world->client != NULL)
        scaler_redis.disconnect(world->client);
    test_feed_free(world->feed);
    redis_peer_stop(&world->peer);
    for (size_t i = 0; i < world->count; i++)
        trigger_done(&world->triggers[i]);
    error_done(&world->error);
}
