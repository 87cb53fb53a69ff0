#include "redis/cluster/discovery.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "redis/link/setup.h"

#include <stdlib.h>

enum {
    NODE_MS = 1000, /* for a node to connect and reply; less where many are to be tried */
    MIN_NODE_MS = 200,
    LATE_MS = 500, /* a node that stood still that long may not know yet what has changed */
    MAX_REASONS = 1024,
};

void redis_discovery_init(struct redis_discovery *discovery,
                          const struct redis_connection_options *options,
                          const struct redis_server *like)
{
    *discovery = (struct redis_discovery){.options = options};
    redis_server_init(&discovery->server, &like->login, like->tls);
}

void redis_discovery_done(struct redis_discovery *discovery)
{
    redis_link_free(TAKE(discovery->link));
    redis_server_done(&discovery->server);
    redis_slot_map_free(TAKE(discovery->found));
    error_done(&discovery->failed);
    error_done(&discovery->error);
}

static size_t count_nodes(const struct redis_discovery *discovery)
{
    return discovery->map == NULL ? 0 : discovery->map->count;
}

/* Known nodes, then the addresses of the options. */
static size_t count_all(const struct redis_discovery *discovery)
{
    return count_nodes(discovery) + redis_connection_count(discovery->options);
}

static void set_server(struct redis_discovery *discovery)
{
    size_t index = discovery->next % count_all(discovery);
    size_t nodes = count_nodes(discovery);
    if (index < nodes) {
        const struct redis_node *node = &discovery->map->nodes[index];
        redis_server_set_address(&discovery->server, node->host, node->port);
        discovery->server.may_be_local = discovery->is_local;
        return;
    }
    int port = 0;
    _cleanup_(memory_free) char *host =
        redis_connection_host(discovery->options, index - nodes, &port);
    redis_server_set_address(&discovery->server, host, port);
    discovery->server.may_be_local = true;
}

static void on_slots(struct redis_link *link, struct redis_command *command,
                     const redisReply *reply)
{
    (void)command;
    struct redis_discovery *discovery = link->owner.self;
    if (!discovery->is_requesting || redis_link_is_refused(link))
        return;
    if (redis_reply_is_error(reply, "ERR This instance has cluster support disabled"))
        error_unavailable(&discovery->failed,
                          "Redis at %s is no node of a Redis Cluster: set scaler to redis or "
                          "redis-streams",
                          discovery->server.address);
    else if (reply->type == REDIS_REPLY_ERROR)
        redis_server_explain(&discovery->server, reply, &discovery->failed);
    else {
        /* A node that is local was named by one that is, or configured. */
        discovery->is_local = discovery->is_local || discovery->server.is_local;
        redis_slot_map_free(discovery->found);
        discovery->found = redis_slot_map_parse(reply, discovery->server.host, &discovery->failed);
        if (discovery->found == NULL)
            error_prefix(&discovery->failed, "Redis at %s", discovery->server.address);
    }
}

static void send_request(struct redis_link *link)
{
    redis_link_send(link, &(struct redis_request){{"CLUSTER", "SLOTS"}, on_slots});
}

static void on_connected(struct redis_link *link)
{
    redis_setup_send(link);
    send_request(link);
}

static void open_link(struct redis_discovery *discovery)
{
    const struct redis_link_owner owner = {
        .self = discovery, .on_connected = on_connected, .reply_limit = {.max_ms = LATE_MS}};
    discovery->link = redis_link_open(&discovery->server, NULL, discovery->deadline_ms, &owner,
                                      &discovery->failed);
}

/* The next node has its share of the time that is left. */
static void try_next(struct redis_discovery *discovery, int64_t now_ms)
{
    size_t left = count_all(discovery) - discovery->tried;
    int64_t share_ms = (discovery->until_ms - now_ms) / (int64_t)left;
    if (share_ms < MIN_NODE_MS)
        share_ms = MIN_NODE_MS;
    discovery->deadline_ms = now_ms + (share_ms < NODE_MS ? share_ms : NODE_MS);
    if (discovery->link == NULL) {
        set_server(discovery);
        open_link(discovery);
        return;
    }
    send_request(discovery->link);
    redis_link_flush(discovery->link, &discovery->failed);
}

void redis_discovery_request(struct redis_discovery *discovery, int64_t now_ms, int64_t until_ms)
{
    discovery->is_requesting = true;
    discovery->requested_ms = now_ms;
    discovery->until_ms = until_ms;
    discovery->tried = 0;
    error_done(&discovery->error);
    error_done(&discovery->failed);
    if (discovery->link != NULL && discovery->link->state != REDIS_LINK_READY)
        redis_link_free(TAKE(discovery->link));
    try_next(discovery, now_ms);
}

static void end(struct redis_discovery *discovery)
{
    discovery->is_requesting = false;
    error_done(&discovery->failed);
}

static void give_up_node(struct redis_discovery *discovery, int64_t now_ms)
{
    redis_link_free(TAKE(discovery->link));
    if (error_is_set(&discovery->error))
        error_unavailable(&discovery->error, "%s; %s", error_text(&discovery->error),
                          error_text(&discovery->failed));
    else
        error_unavailable(&discovery->error, "no node of the Redis Cluster answers: %s",
                          error_text(&discovery->failed));
    error_shorten(&discovery->error, MAX_REASONS);
    error_done(&discovery->failed);
    discovery->next++;
    if (++discovery->tried >= count_all(discovery) || now_ms >= discovery->until_ms)
        end(discovery);
    else
        try_next(discovery, now_ms);
}

void redis_discovery_step(struct redis_discovery *discovery, short revents)
{
    _cleanup_(error_done) struct error error = {0};
    if (redis_link_step(discovery->link, revents, &error))
        return;
    redis_link_free(TAKE(discovery->link)); /* at once: what failed has nothing to wait for */
    if (discovery->is_requesting && !error_is_set(&discovery->failed))
        error_move(&discovery->failed, &error);
}

int64_t redis_discovery_check(struct redis_discovery *discovery, int64_t now_ms)
{
    while (discovery->is_requesting) {
        if (discovery->found != NULL) {
            error_done(&discovery->error);
            end(discovery);
            break;
        }
        if (!error_is_set(&discovery->failed)) {
            int64_t next_ms = discovery->deadline_ms;
            struct redis_link *link = discovery->link;
            if (now_ms >= discovery->deadline_ms)
                error_unavailable(&discovery->failed, "Redis at %s: %s", discovery->server.address,
                                  redis_link_awaited(link));
            else if (link->state == REDIS_LINK_READY ||
                     redis_link_check(link, now_ms, &next_ms, &discovery->failed))
                return next_ms;
        }
        give_up_node(discovery, now_ms);
    }
    return CLOCK_NEVER;
}
