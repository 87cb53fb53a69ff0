#include "redis/cluster/cluster.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "redis/options.h"
#include "redis/subscriptions.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
    REFRESH_MS = 1000, /* between two readings of the map, at least */
    ALL_MS = 5000,     /* to read the map */
    MAX_WORDS = 100,   /* of a node's, in an error */
    MAX_MOVES = 4,     /* of a slot between two readings of the map */
};

/* The only way to have the map read again: it is what the loop waits for. */
static void doubt(struct redis_cluster *cluster)
{
    cluster->is_doubtful = true;
}

/* ---- nodes ---- */

static bool is_at(const struct redis_client *client, const struct redis_node *node)
{
    return client->server.port == node->port && text_equal(client->server.host, node->host);
}

static struct redis_client *find_client(const struct redis_cluster *cluster,
                                        const struct redis_node *node)
{
    struct redis_client *client = cluster->clients;
    while (client != NULL && !is_at(client, node))
        client = client->next;
    return client;
}

static struct redis_client *client_of(struct redis_cluster *cluster, const struct redis_node *node)
{
    struct redis_client *client = find_client(cluster, node);
    if (client != NULL)
        return client;
    client = memory_new(sizeof(*client));
    client->cluster = cluster;
    redis_client_init(client);
    client->links.limits_replies = true;
    client->links.requests = cluster->requests;
    redis_server_init(&client->server, &cluster->like.login, cluster->like.tls);
    redis_server_set_address(&client->server, node->host, node->port);
    client->server.budget = cluster->like.budget;
    client->server.may_be_local = cluster->discovery.is_local;
    client->server.master_of = "the nodes of the cluster";
    client->server.has_keys = true;
    DL_APPEND(cluster->clients, client);
    return client;
}

/* Who asks again finds it connected, if it can be. */
void redis_cluster_lose(struct redis_cluster *cluster, struct redis_client *client,
                        struct error *error)
{
    redis_client_fail(client, error);
    doubt(cluster);
}

/* A node that has no slots any more: what was sent to it goes to whoever has them now. */
static void retire(struct redis_cluster *cluster, struct redis_client *client)
{
    redis_links_close_all(&client->links);
    redis_links_return_waiting(&client->links);
    DL_DELETE(cluster->clients, client);
    redis_client_disconnect(client);
}

/* ---- slots ---- */

static const char *key_of(const struct redis_cluster *cluster, const struct task *task)
{
    return cluster->requests->key_of(task);
}

static const struct redis_node *owner_of(const struct redis_cluster *cluster, size_t slot)
{
    uint16_t owner = cluster->map->owners[slot];
    return owner == REDIS_NO_NODE ? NULL : &cluster->map->nodes[owner];
}

static void give(struct redis_cluster *cluster, const struct redis_node *owner, struct task *task)
{
    struct redis_client *client = client_of(cluster, owner);
    if (redis_client_has_failed(client))
        doubt(cluster);
    redis_client_add(client, task);
}

void redis_cluster_route(struct redis_cluster *cluster, struct task *task)
{
    const struct redis_node *owner = owner_of(cluster, redis_slot_of(key_of(cluster, task)));
    if (owner != NULL) {
        give(cluster, owner, task);
        return;
    }
    doubt(cluster);
    task->queued_ms = clock_now_ms();
    redis_waiting_add(&cluster->waiting, task);
}

static void fail_without_owner(struct redis_cluster *cluster, struct task *task, const char *reason)
{
    const char *key = key_of(cluster, task);
    task_failf(task,
               "key \"%s\": no node of the Redis Cluster has its slot, %zu, as Redis at %s says%s",
               key, redis_slot_of(key), cluster->discovery.source, reason);
}

/* With a map that has just been read. */
static void route_waiting(struct redis_cluster *cluster)
{
    for (struct task *task; (task = redis_waiting_take(&cluster->waiting)) != NULL;) {
        size_t slot = redis_slot_of(key_of(cluster, task));
        const struct redis_node *owner = owner_of(cluster, slot);
        if (owner == NULL) {
            fail_without_owner(cluster, task, "");
            continue;
        }
        task_started(task);
        give(cluster, owner, task);
    }
}

/* It could not be read in their time. Returns when that of the next one is over. */
static int64_t fail_overdue(struct redis_cluster *cluster, int64_t now_ms)
{
    int64_t next_ms = CLOCK_NEVER;
    for (size_t left = cluster->waiting.count; left > 0; left--) {
        struct task *task = redis_waiting_take(&cluster->waiting);
        int64_t deadline_ms = task->queued_ms + task->timeout_ms;
        if (now_ms >= deadline_ms) {
            fail_without_owner(cluster, task, ", and none says in time who has it now");
            continue;
        }
        next_ms = clock_earlier(next_ms, deadline_ms);
        redis_waiting_add(&cluster->waiting, task);
    }
    return next_ms;
}

/* Whether keys of a client's node are another one's by now. */
struct moved_check {
    const struct redis_cluster *cluster;
    const struct redis_client *client;
};

static bool is_lost(const void *context, const char *key)
{
    const struct moved_check *check = context;
    const struct redis_node *owner = owner_of(check->cluster, redis_slot_of(key));
    return owner == NULL || !is_at(check->client, owner);
}

static bool has_slots(const struct redis_cluster *cluster, const struct redis_client *client)
{
    for (size_t i = 0; i < REDIS_SLOTS; i++) {
        uint16_t owner = cluster->map->owners[i];
        if (owner != REDIS_NO_NODE && is_at(client, &cluster->map->nodes[owner]))
            return true;
        while (i + 1 < REDIS_SLOTS && cluster->map->owners[i + 1] == owner)
            i++;
    }
    return false;
}

static bool is_same(const struct redis_slot_map *one, const struct redis_slot_map *other)
{
    bool is =
        one->count == other->count && memcmp(one->owners, other->owners, sizeof(one->owners)) == 0;
    for (size_t i = 0; is && i < one->count; i++)
        is = one->nodes[i].port == other->nodes[i].port &&
             text_equal(one->nodes[i].host, other->nodes[i].host);
    return is;
}

static void adopt(struct redis_cluster *cluster, struct redis_slot_map *map)
{
    bool is_new = cluster->has_moved || !is_same(map, cluster->map);
    redis_slot_map_free(cluster->map);
    cluster->map = map;
    cluster->discovery.map = map;
    cluster->has_moved = false;
    if (is_new) /* what failed since it was requested did so by the one before */
        cluster->is_doubtful = false;
    memset(cluster->moves, 0, sizeof(cluster->moves));
    struct redis_client *client;
    struct redis_client *following;
    DL_FOREACH_SAFE(cluster->clients, client, following) {
        if (!is_new)
            break;
        if (has_slots(cluster, client))
            redis_subscriptions_notify_lost(&client->subscriber.subscriptions, is_lost,
                                            &(struct moved_check){cluster, client});
        else
            retire(cluster, client);
    }
}

/* ---- redirections ---- */

/* A slot is followed a few times until the map is read again: two nodes could send a task from one
 * to the other for ever. */
static bool may_follow(struct redis_cluster *cluster, size_t slot, const struct redis_client *from,
                       uint16_t to)
{
    if (is_at(from, &cluster->map->nodes[to]))
        return false;
    if (cluster->map->owners[slot] == to) /* since another task was redirected */
        return true;
    cluster->map->owners[slot] = to;
    cluster->has_moved = true;
    if (cluster->moves[slot] == MAX_MOVES)
        return false;
    cluster->moves[slot]++;
    return true;
}

static void redirect(struct redis_link *link, struct task *task, bool is_import, uint16_t to)
{
    struct redis_client *from = link->owner.self;
    struct redis_cluster *cluster = from->cluster;
    const struct redis_node *node = &cluster->map->nodes[to];
    size_t slot = redis_slot_of(key_of(cluster, task));
    bool may =
        !link->is_asking && (is_import ? !is_at(from, node) : may_follow(cluster, slot, from, to));
    if (!may) {
        task_failf(task,
                   "key \"%s\": Redis at %s redirects to %s:%d, where the redirection came from or "
                   "goes on: its slot, %zu, is moved just now",
                   key_of(cluster, task), from->server.address, node->host, node->port, slot);
        return;
    }
    redis_subscriptions_notify_one(&from->subscriber.subscriptions, task->notifier.id);
    if (!is_import) {
        task_return(task, false);
        return;
    }
    redis_client_add_import(client_of(cluster, node), task);
}

bool redis_cluster_redirect(struct redis_link *link, struct task *task, const redisReply *reply)
{
    static const char *const doubts[] = {"CLUSTERDOWN ", "TRYAGAIN ", "LOADING ", "READONLY ",
                                         "MASTERDOWN "};
    struct redis_client *client = link->owner.self;
    struct redis_cluster *cluster = client->cluster;
    if (cluster == NULL)
        return false;
    for (size_t i = 0; i < ARRAY_LENGTH(doubts); i++)
        if (redis_reply_is_error(reply, doubts[i]))
            doubt(cluster);
    bool is_import = redis_reply_is_error(reply, "ASK ");
    if (!is_import && !redis_reply_is_error(reply, "MOVED "))
        return false;
    doubt(cluster);
    _cleanup_(memory_free) char *host = NULL;
    int port = 0;
    if (!redis_redirect_parse(reply->str, client->server.host, &host, &port)) {
        task_failf(task, "key \"%s\": Redis at %s redirects to an address that is none: %.*s",
                   key_of(cluster, task), client->server.address,
                   (int)text_cut(reply->str, MAX_WORDS), reply->str);
        return true;
    }
    uint16_t to = redis_slot_map_node(cluster->map, host, port);
    if (to == REDIS_NO_NODE)
        task_failf(task, "Redis at %s redirects to yet another node: the cluster has more than %d",
                   client->server.address, REDIS_MAX_NODES);
    else
        redirect(link, task, is_import, to);
    return true;
}

/* ---- time ---- */

static bool is_slow(const struct redis_client *client, int64_t now_ms)
{
    const struct redis_link *shared = client->links.shared;
    return shared != NULL && shared->state == REDIS_LINK_READY && redis_link_has_tasks(shared) &&
           now_ms >= shared->progress_ms + REDIS_LATE_MS;
}

/* Somebody gets replies, so the others are no reason to connect again. */
static bool any_works(const struct redis_cluster *cluster)
{
    const struct redis_client *client = cluster->clients;
    while (client != NULL &&
           (client->links.shared == NULL || client->links.shared->state != REDIS_LINK_READY))
        client = client->next;
    return client != NULL;
}

/* A subscribed key may move without an error: nobody reads it meanwhile. */
static bool is_map_wanted(const struct redis_cluster *cluster, int64_t now_ms)
{
    const struct redis_client *client = cluster->clients;
    while (client != NULL && client->subscriber.subscriptions.all == NULL &&
           !is_slow(client, now_ms))
        client = client->next;
    return client != NULL || cluster->is_doubtful || cluster->was_unreadable;
}

static void request_map(struct redis_cluster *cluster, int64_t now_ms)
{
    for (size_t i = 0; i < cluster->map->count; i++) {
        struct redis_client *client = find_client(cluster, &cluster->map->nodes[i]);
        cluster->map->nodes[i].is_failing = client != NULL && redis_client_has_failed(client);
    }
    redis_discovery_request(&cluster->discovery, cluster->is_doubtful, now_ms, now_ms + ALL_MS);
    cluster->is_doubtful = cluster->was_unreadable = false;
}

/* No node had the map. False: none can be reached, for this reason. */
static bool go_on_without_map(struct redis_cluster *cluster, struct error *error)
{
    struct redis_discovery *discovery = &cluster->discovery;
    if (!any_works(cluster)) {
        error_move(error, &discovery->error);
        return false;
    }
    _cleanup_(memory_free) char *reason = text_format(": %s", error_text(&discovery->error));
    for (struct task *task; (task = redis_waiting_take(&cluster->waiting)) != NULL;)
        fail_without_owner(cluster, task, reason);
    error_done(&discovery->error);
    cluster->was_unreadable = true;
    return true;
}

bool redis_cluster_check(struct redis_cluster *cluster, int64_t now_ms, int64_t *next_ms,
                         struct error *error)
{
    struct redis_discovery *discovery = &cluster->discovery;
    bool is_wanted = is_map_wanted(cluster, now_ms);
    if (!discovery->is_requesting && is_wanted && now_ms >= discovery->requested_ms + REFRESH_MS)
        request_map(cluster, now_ms);
    *next_ms = clock_earlier(*next_ms, redis_discovery_check(discovery, now_ms));
    if (discovery->found != NULL) {
        if (cluster->waiting.count > 0) /* their nodes' links are to be opened */
            *next_ms = now_ms;
        adopt(cluster, TAKE(discovery->found));
        route_waiting(cluster);
    }
    if (error_is_set(&discovery->error) && !go_on_without_map(cluster, error))
        return false;
    *next_ms = clock_earlier(*next_ms, fail_overdue(cluster, now_ms));
    if (!discovery->is_requesting && is_wanted)
        *next_ms = clock_earlier(*next_ms, discovery->requested_ms + REFRESH_MS);
    else
        *next_ms = clock_earlier(*next_ms, now_ms + REDIS_LATE_MS); /* a node may be slow by then */
    return true;
}

bool redis_cluster_is_busy(const struct redis_cluster *cluster)
{
    return cluster->is_doubtful || cluster->discovery.is_requesting;
}

/* ---- connecting ---- */

static void wait(struct redis_discovery *discovery, int64_t until_ms)
{
    struct redis_link *const *places[REDIS_DISCOVERY_LINKS];
    struct pollfd polls[REDIS_DISCOVERY_LINKS];
    size_t count = redis_discovery_list(discovery, places);
    if (!redis_link_wait(places, polls, count, until_ms))
        return;
    for (size_t i = 0; i < count; i++)
        if (polls[i].revents != 0)
            redis_discovery_step(discovery, *places[i], polls[i].revents);
}

static bool read_map(struct redis_cluster *cluster, int64_t deadline_ms, struct error *error)
{
    struct redis_discovery *discovery = &cluster->discovery;
    int64_t now_ms = clock_now_ms();
    redis_discovery_request(discovery, false, now_ms, deadline_ms);
    for (;;) {
        int64_t next_ms = redis_discovery_check(discovery, clock_now_ms());
        if (!discovery->is_requesting)
            break;
        wait(discovery, next_ms);
    }
    cluster->map = TAKE(discovery->found);
    discovery->map = cluster->map;
    if (cluster->map == NULL)
        error_move(error, &discovery->error);
    return cluster->map != NULL;
}

bool redis_cluster_connect(const void *connection_options, int64_t deadline_ms, void **ret_client,
                           struct error *error)
{
    struct redis_cluster *cluster = memory_new(sizeof(*cluster));
    bool good = redis_server_init_as(&cluster->like, connection_options, error);
    cluster->like.budget = &cluster->link_budget;
    redis_discovery_init(&cluster->discovery, connection_options, &cluster->like);
    if (good && read_map(cluster, deadline_ms, error)) {
        *ret_client = cluster;
        return true;
    }
    redis_cluster_disconnect(cluster);
    return false;
}

void redis_cluster_disconnect(void *argument)
{
    struct redis_cluster *cluster = argument;
    struct redis_client *client;
    struct redis_client *following;
    DL_FOREACH_SAFE(cluster->clients, client, following)
        redis_client_disconnect(client);
    redis_discovery_done(&cluster->discovery);
    redis_slot_map_free(cluster->map);
    redis_server_done(&cluster->like);
    free(cluster);
}
