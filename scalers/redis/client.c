#include "redis/client.h"

#include "base/clock.h"
#include "base/memory.h"
#include "redis/link/setup.h"

#include <stdlib.h>
#include <utlist.h>

enum {
    MAX_REPLY_MS = 500,        /* the shortest time in which a cluster has another master */
    LATE_AGAIN_MS = 10 * 1000, /* one that is always that slow is believed then */
};

struct redis_link *redis_client_open(struct redis_client *client, bool to_same_peer,
                                     int64_t deadline_ms, struct error *error)
{
    struct redis_link *link = redis_link_open(&client->server, to_same_peer, deadline_ms, error);
    if (link == NULL)
        return NULL;
    link->owner = client;
    link->subscriber = &client->subscriber;
    link->on_connected = redis_setup_send;
    if (client->cluster != NULL) {
        link->max_reply_ms = MAX_REPLY_MS;
        link->max_reply_from_ms = client->late_ms + LATE_AGAIN_MS;
    }
    return link;
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

void redis_client_close(struct redis_client *client, struct redis_link **link)
{
    redis_subscriber_forget_link(&client->subscriber, *link);
    redis_link_free(TAKE(*link));
}

void redis_client_fail(struct task **waiting, const struct error *error)
{
    while (*waiting != NULL) {
        struct task *task = *waiting;
        DL_DELETE(*waiting, task);
        task_fail(task, error);
    }
}

bool redis_client_cannot_connect(const struct redis_link *link, struct error *error)
{
    return redis_server_cannot_connect(link->server, redis_link_awaited(link), error);
}

void redis_client_disconnect(void *argument)
{
    struct redis_client *client = argument;
    redis_subscriber_done(&client->subscriber);
    redis_sentinels_free(client->sentinels);
    redis_link_free(client->shared);
    redis_link_free(client->stall.standby);
    redis_link_free(client->isolated);
    redis_key_types_done(&client->key_types);
    redis_server_done(&client->server);
    error_done(&client->failure);
    free(client);
}
