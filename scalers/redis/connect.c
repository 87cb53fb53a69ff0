#include "redis/connect.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "redis/options.h"

#include <poll.h>

/* Sentinels name another master within this time: with their default of 30 s until they take one
 * for dead, and the failover. */
enum { FAILOVER_MS = 60 * 1000 };

bool redis_follow_master(struct redis_client *client, int64_t now_ms)
{
    _cleanup_(error_done) struct error ignored = {0};
    const char *host = NULL;
    int port = 0;
    if (client->sentinels == NULL)
        return true;
    if (!redis_sentinels_are_settled(client->sentinels, now_ms))
        return false;
    if (redis_sentinels_master(client->sentinels, &host, &port, &ignored) &&
        (port != client->server.port || !text_equal(host, client->server.host))) {
        redis_links_reset(&client->links);
        error_done(&client->failure);
        client->failed_since_ms = 0;
        redis_server_set_address(&client->server, host, port);
        client->server.may_be_local = redis_sentinels_are_local(client->sentinels);
    }
    return true;
}

bool redis_lose_master(struct redis_client *client, struct error *error)
{
    int64_t since_ms = client->failed_since_ms;
    if (client->sentinels == NULL || !redis_sentinels_answer(client->sentinels) ||
        (since_ms != 0 && clock_now_ms() >= since_ms + FAILOVER_MS))
        return false;
    redis_client_fail(client, error);
    redis_sentinels_ask_again(client->sentinels);
    return true;
}

/* Handles what is received until then, or the first of it. False: the shared link is lost. */
static bool wait_for_all(struct redis_client *client, int64_t until_ms, struct error *error)
{
    struct redis_link *const *places[1 + REDIS_MAX_SENTINELS];
    struct pollfd polls[1 + REDIS_MAX_SENTINELS];
    size_t count = redis_sentinels_list(client->sentinels, places);
    if (client->links.shared != NULL)
        places[count++] = &client->links.shared;
    if (!redis_link_wait(places, polls, count, until_ms))
        return true;
    for (size_t i = 0; i < count; i++)
        if (polls[i].revents != 0 &&
            !redis_sentinels_step(client->sentinels, *places[i], polls[i].revents) &&
            !redis_link_step(*places[i], polls[i].revents, error))
            return false;
    return true;
}

/* Until then; Sentinels want something sooner. */
static int64_t next_ms(const struct redis_client *client, int64_t now_ms, int64_t deadline_ms)
{
    int64_t sentinels_ms = redis_sentinels_check(client->sentinels, now_ms);
    return sentinels_ms < deadline_ms ? sentinels_ms : deadline_ms;
}

static bool wait_until_ready(struct redis_client *client, int64_t deadline_ms, struct error *error)
{
    for (;;) {
        int64_t now_ms = clock_now_ms();
        int64_t until_ms = deadline_ms;
        if (redis_follow_master(client, now_ms) && client->links.shared == NULL &&
            !redis_links_open_shared(&client->links, deadline_ms, error))
            return false;
        struct redis_link *shared = client->links.shared;
        if (shared != NULL && shared->state == REDIS_LINK_READY)
            return true;
        if (shared != NULL && !redis_link_check(shared, now_ms, &until_ms, error))
            return false;
        if (now_ms >= deadline_ms)
            return error_unavailable(error, "the Sentinels do not name the master in time");
        if (!wait_for_all(client, next_ms(client, now_ms, until_ms), error))
            return false;
    }
}

static void find_server(struct redis_client *client, const struct redis_connection_options *options)
{
    int port = 0;
    _cleanup_(memory_free) char *host = redis_connection_host(options, 0, &port);
    redis_server_set_address(&client->server, host, port);
}

/* As the Sentinels name it; one is enough. */
static bool find_master(struct redis_client *client, const struct redis_connection_options *options,
                        int64_t deadline_ms, struct error *error)
{
    const char *host = NULL;
    int port = 0;
    client->sentinels = redis_sentinels_new(options, client->server.tls);
    client->server.master_of = "the Sentinels";
    for (;;) {
        int64_t now_ms = clock_now_ms();
        int64_t until_ms = next_ms(client, now_ms, deadline_ms);
        if (redis_sentinels_are_settled(client->sentinels, now_ms) || now_ms >= deadline_ms)
            break;
        wait_for_all(client, until_ms, error);
    }
    if (!redis_sentinels_master(client->sentinels, &host, &port, error))
        return false;
    redis_server_set_address(&client->server, host, port);
    client->server.may_be_local = redis_sentinels_are_local(client->sentinels);
    return true;
}

static bool connect_client(struct redis_client *client,
                           const struct redis_connection_options *options, bool by_sentinels,
                           int64_t deadline_ms, struct error *error)
{
    redis_client_init(client);
    if (!redis_server_init_as(&client->server, options, error))
        return false;
    client->server.has_keys = true;
    if (!by_sentinels)
        find_server(client, options);
    else if (!find_master(client, options, deadline_ms, error))
        return false;
    return wait_until_ready(client, deadline_ms, error);
}

static bool connect_new(const void *options, bool by_sentinels, int64_t deadline_ms,
                        void **ret_client, struct error *error)
{
    struct redis_client *client = memory_new(sizeof(*client));
    if (!connect_client(client, options, by_sentinels, deadline_ms, error)) {
        redis_client_disconnect(client);
        return false;
    }
    *ret_client = client;
    return true;
}

bool redis_connect(const void *connection_options, int64_t deadline_ms, void **ret_client,
                   struct error *error)
{
    return connect_new(connection_options, false, deadline_ms, ret_client, error);
}

bool redis_connect_to_master(const void *connection_options, int64_t deadline_ms, void **ret_client,
                             struct error *error)
{
    return connect_new(connection_options, true, deadline_ms, ret_client, error);
}
