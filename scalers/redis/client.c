#include "redis/client.h"

#include "base/clock.h"

#include <stdlib.h>

enum { WANTED_MS = 60 * 1000 };

void redis_client_disconnect(void *argument)
{
    struct redis_client *client = argument;
    redis_subscriber_done(&client->subscriber);
    redis_sentinels_free(client->sentinels);
    redis_links_done(&client->links);
    redis_key_types_done(&client->key_types);
    redis_server_done(&client->server);
    error_done(&client->failure);
    free(client);
}

void redis_client_init(struct redis_client *client)
{
    redis_subscriber_init(&client->subscriber, &client->server);
    redis_links_init(&client->links, client, &client->server, &client->subscriber);
}

void redis_client_fail(struct redis_client *client, struct error *error)
{
    int64_t now_ms = clock_now_ms();
    redis_links_close_all(&client->links);
    if (client->failed_since_ms == 0)
        client->failed_since_ms = now_ms;
    if (redis_links_have_waiting(&client->links))
        client->wanted_ms = now_ms;
    redis_links_fail_waiting(&client->links, error);
    error_done(&client->failure);
    error_move(&client->failure, error);
}

bool redis_client_has_failed(struct redis_client *client)
{
    const struct redis_link *shared = client->links.shared;
    if (shared != NULL && shared->state == REDIS_LINK_READY) {
        error_done(&client->failure);
        client->failed_since_ms = 0;
    }
    return error_is_set(&client->failure);
}

static bool is_wanted(const struct redis_client *client, int64_t now_ms)
{
    return now_ms < client->wanted_ms + WANTED_MS;
}

bool redis_client_is_reconnecting(const struct redis_client *client)
{
    const struct redis_link *shared = client->links.shared;
    return error_is_set(&client->failure) &&
           (shared == NULL ? is_wanted(client, clock_now_ms()) : shared->state != REDIS_LINK_READY);
}

/* False: the task has failed, as it is being connected again. */
static bool may_wait(struct redis_client *client, struct task *task)
{
    if (redis_client_is_reconnecting(client)) {
        client->wanted_ms = clock_now_ms();
        task_fail(task, &client->failure);
        return false;
    }
    error_done(&client->failure); /* of long ago: nobody has tried since then */
    return true;
}

void redis_client_add(struct redis_client *client, struct task *task)
{
    if (may_wait(client, task))
        redis_links_add(&client->links, task);
}

void redis_client_add_import(struct redis_client *client, struct task *task)
{
    if (may_wait(client, task))
        redis_waiting_add(&client->links.waiting_imports, task);
}

bool redis_client_retry(struct redis_client *client, int64_t now_ms, int64_t *next_ms,
                        struct error *error)
{
    struct redis_links *links = &client->links;
    if (!redis_client_has_failed(client) || links->shared != NULL || !is_wanted(client, now_ms))
        return true;
    bool may_open = redis_links_may_open_shared(links, now_ms);
    *next_ms = clock_earlier(*next_ms, may_open ? now_ms : links->shared_reopening.at_ms);
    return !may_open || redis_links_open_shared(links, now_ms + REDIS_CONNECT_MS, error);
}
