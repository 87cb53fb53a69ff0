#include "redis/client.h"

#include "base/clock.h"
#include "base/memory.h"
#include "redis/connection/setup.h"

#include <stdlib.h>
#include <utlist.h>

enum {
    MAX_REPLY_MS = 500,        /* the shortest time in which a cluster has another master */
    LATE_AGAIN_MS = 10 * 1000, /* one that is always that slow is believed then */
};

struct redis_channel *redis_client_open(struct redis_client *client, bool to_same_peer,
                                        int64_t deadline_ms, struct error *error)
{
    struct redis_channel *channel =
        redis_channel_open(&client->server, to_same_peer, deadline_ms, error);
    if (channel == NULL)
        return NULL;
    channel->owner = client;
    channel->subscriber = &client->subscriber;
    channel->on_connected = redis_setup_send;
    if (client->cluster != NULL) {
        channel->max_reply_ms = MAX_REPLY_MS;
        channel->max_reply_from_ms = client->late_ms + LATE_AGAIN_MS;
    }
    return channel;
}

bool redis_client_open_shared(struct redis_client *client, int64_t deadline_ms, struct error *error)
{
    client->shared = redis_client_open(client, false, deadline_ms, error);
    if (client->shared == NULL)
        return false;
    client->stall.shared_reopening.opened_ms = clock_now_ms();
    client->shared->measures_round_trips = true;
    return true;
}

void redis_client_close(struct redis_client *client, struct redis_channel **channel)
{
    redis_subscriber_forget_channel(&client->subscriber, *channel);
    redis_channel_free(TAKE(*channel));
}

void redis_client_fail(struct task **waiting, const struct error *error)
{
    while (*waiting != NULL) {
        struct task *task = *waiting;
        DL_DELETE(*waiting, task);
        task_fail(task, error);
    }
}

bool redis_client_cannot_connect(const struct redis_channel *channel, struct error *error)
{
    return redis_server_cannot_connect(channel->server, redis_channel_awaited(channel), error);
}

void redis_client_disconnect(void *argument)
{
    struct redis_client *client = argument;
    redis_subscriber_done(&client->subscriber);
    redis_sentinels_free(client->sentinels);
    redis_channel_free(client->shared);
    redis_channel_free(client->stall.standby);
    redis_channel_free(client->isolated);
    redis_key_types_done(&client->key_types);
    redis_server_done(&client->server);
    error_done(&client->failure);
    free(client);
}
