#include "scalers/nats_world.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

void nats_world_on_notify(void *context, uint64_t id)
{
    struct nats_world *world = context;
    assert_true(id > 0);
    pthread_mutex_lock(&world->lock);
    world->notified++;
    world->was_first_notified = world->was_first_notified || id == 1;
    pthread_mutex_unlock(&world->lock);
}

size_t nats_world_notifications(struct nats_world *world)
{
    pthread_mutex_lock(&world->lock);
    size_t notified = world->notified;
    pthread_mutex_unlock(&world->lock);
    return notified;
}

static void connect_client(struct nats_world *world)
{
    if (!scaler_nats_jetstream.connect(world->triggers[0].options.connection,
                                       clock_now_ms() + LONG_MS, &world->client, &world->error))
        fail_msg("%s", error_text(&world->error));
}

void nats_world_start(struct nats_world *world, const struct nats_line *script,
                      const char *const *consumers)
{
    *world = (struct nats_world){.lock = PTHREAD_MUTEX_INITIALIZER};
    nats_peer_start(&world->peer, script);
    world->feed = test_feed_new(&scaler_nats_jetstream);
    for (; consumers[world->count] != NULL; world->count++) {
        struct trigger *trigger = &world->triggers[world->count];
        *trigger = trigger_of(&scaler_nats_jetstream,
                              PAIRS("servers", world->peer.address, "stream", "orders", "consumer",
                                    consumers[world->count]));
        assert_true(trigger->good);
        test_feed_add(world->feed, trigger->options.query, (struct notifier){0});
    }
    test_feed_set_timeout(world->feed, TIMEOUT_MS);
    connect_client(world);
}

void nats_world_run(struct nats_world *world)
{
    world->usable = test_feed_run(world->feed, world->client, LONG_MS, &world->error);
}

void nats_world_stop(struct nats_world *world)
{
    scaler_nats_jetstream.disconnect(world->client);
    test_feed_free(world->feed);
    nats_peer_stop(&world->peer);
    for (size_t i = 0; i < world->count; i++)
        trigger_done(&world->triggers[i]);
    error_done(&world->error);
}

void nats_world_add_task(struct nats_world *world, const char *key, const char *value)
{
    struct trigger *trigger = &world->triggers[world->count++];
    *trigger =
        trigger_of(&scaler_nats_jetstream, PAIRS("servers", world->peer.address, "stream", "orders",
                                                 "consumer", "nobody", key, value));
    assert_true(trigger->good);
    test_feed_add(world->feed, trigger->options.query, (struct notifier){0});
}
