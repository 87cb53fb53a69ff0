#include "scalers/redis/cluster_world.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

const char *port_of(const struct world *world, size_t node)
{
    return strchr(world->peers[node].address, ':') + 1;
}

/* With the addresses in it. */
static const char *text_of(struct world *world, const char *answer)
{
    struct text text = {0};
    for (const char *next = answer; next != NULL && *next != '\0'; next++) {
        if (next[0] == '%' && (next[1] == 'A' || next[1] == 'B'))
            text_add(&text, world->peers[*++next - 'A'].address);
        else
            text_add_bytes(&text, next, 1);
    }
    return world->texts[world->texts_count++] = text_take(&text);
}

void add_line(struct world *world, size_t node, struct redis_line line)
{
    if (line.answer != NULL)
        line.answer = text_of(world, line.answer);
    world->lines[node][world->counts[node]++] = line;
}

void world_begin(struct world *world)
{
    *world = (struct world){0};
    for (size_t i = 0; i < NODES; i++)
        redis_peer_start(&world->peers[i], world->lines[i]);
}

void add_slots(struct world *world, size_t node, size_t owner, int times)
{
    _cleanup_(memory_free) char *slots =
        text_format("*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:%s\r\n$1\r\nx\r\n",
                    port_of(world, owner));
    add_line(world, node, (struct redis_line){"CLUSTER SLOTS", slots, .times = times});
}

bool world_connect_at(struct world *world, const char *addresses, const char *key,
                      const char *value)
{
    for (size_t i = 0; i < NODES; i++) {
        add_slots(world, i, 0, 0);
        add_line(world, i, (struct redis_line){"ROLE", MASTER});
    }
    world->feed = test_feed_new(&scaler_redis_cluster);
    const char *database = world->database == NULL ? "0" : world->database;
    world->trigger = trigger_of(&scaler_redis_cluster,
                                PAIRS("address", addresses, key, value, "databaseIndex", database));
    assert_true(world->trigger.good);
    test_feed_add(world->feed, world->trigger.options.query, (struct notifier){0});
    test_feed_set_timeout(world->feed, TIMEOUT_MS);
    int64_t connect_ms = world->connect_ms == 0 ? LONG_MS : world->connect_ms;
    return scaler_redis_cluster.connect(world->trigger.options.connection,
                                        clock_now_ms() + connect_ms, &world->client, &world->error);
}

bool world_connect_for(struct world *world, const char *key, const char *value)
{
    return world_connect_at(world, world->peers[0].address, key, value);
}

bool world_connect(struct world *world)
{
    return world_connect_for(world, "listName", "jobs");
}

bool world_connect_to_both(struct world *world)
{
    _cleanup_(memory_free) char *addresses =
        text_format("%s,%s", world->peers[0].address, world->peers[1].address);
    return world_connect_at(world, addresses, "listName", "jobs");
}

void world_run(struct world *world)
{
    world->usable = test_feed_run(world->feed, world->client, LONG_MS, &world->error);
}

void world_stop(struct world *world)
{
    if (world->client != NULL)
        scaler_redis_cluster.disconnect(world->client);
    test_feed_free(world->feed);
    for (size_t i = 0; i < NODES; i++)
        redis_peer_stop(&world->peers[i]);
    for (size_t i = 0; i < world->texts_count; i++)
        free(world->texts[i]);
    trigger_done(&world->trigger);
    error_done(&world->error);
}
