#include "redis/measure.h"

#include "base/clock.h"
#include "base/memory.h"
#include "measure/scaler.h"
#include "redis/connect.h"
#include "redis/link/setup.h"
#include "shared/source_memory.h"

#include <poll.h>
#include <stdlib.h>
#include <utlist.h>

/* A client has so many links at most, with those to Sentinels: lists begin with room for them. */
enum { OWN_LINKS = 5, CLIENT_LINKS = OWN_LINKS + REDIS_MAX_SENTINELS };

/* Where its owner has a link that is polled: before it is its turn, what the others have received
 * may close it, or have another one opened there. */
struct polled_link {
    struct redis_client *client; /* NULL: it is the cluster's own */
    struct redis_link *const *place;
    uint64_t number;
};

/* The links that there are, of each client the shared one first: what the server did first is
 * handled first. */
struct polled {
    struct polled_link *links;
    struct pollfd *descriptors; /* of each */
    size_t count;
    size_t capacity;
};

/* Whom to measure: one client, or those of a cluster. The other one is NULL. */
struct measuring {
    struct redis_client *client;
    struct redis_cluster *cluster;
    struct polled polled;
};

/* The first of the list. */
static struct redis_client *clients_of(const struct measuring *measuring)
{
    return measuring->cluster == NULL ? measuring->client : measuring->cluster->clients;
}

static void take_tasks(struct measuring *measuring, struct feed *feed)
{
    struct redis_client *client = measuring->client;
    /* While Sentinels are being asked it is not known whether the server that failed is still
     * meant. */
    bool is_known = client != NULL && redis_follow_master(client, clock_now_ms());
    for (struct task *task; (task = feed_take(feed)) != NULL;) {
        if (measuring->cluster != NULL)
            redis_cluster_route(measuring->cluster, task);
        else if (is_known)
            redis_client_add(client, task);
        else
            redis_links_add(&client->links, task);
    }
}

static void serve_feed(struct measuring *measuring, struct feed *feed)
{
    struct redis_client *client;
    uint64_t id = 0;
    while (feed_next_unsubscribe(feed, &id))
        for (client = clients_of(measuring); client != NULL; client = client->next)
            redis_subscriber_unsubscribe(&client->subscriber, id);
    take_tasks(measuring, feed);
}

static bool can_send(struct redis_link *link)
{
    return link != NULL && link->state == REDIS_LINK_READY && redis_link_has_capacity(link);
}

/* A node of a cluster that is a master no more redirects all that is read. */
static void check_role(const struct redis_client *client, struct redis_link *link)
{
    if (client->cluster == NULL)
        redis_setup_check_role(link);
}

static void send_isolated(struct redis_client *client)
{
    struct redis_links *links = &client->links;
    struct redis_link *link = links->isolated;
    if (links->waiting_isolated.count == 0 || !can_send(link))
        return;
    if (link->has_answered || link->commands != NULL)
        check_role(client, link); /* otherwise its role is from just now */
    if (links->waiting_isolated.wants_subscription)
        redis_subscriber_prepare(&client->subscriber, link);
    links->waiting_isolated.was_kept_back = true;
    links->requests->send(client, link, &links->waiting_isolated);
}

static void send_shared(struct redis_client *client)
{
    struct redis_links *links = &client->links;
    struct redis_link *link = links->shared;
    if (redis_link_has_capacity(link))
        check_role(client, link);
    if (links->waiting.wants_subscription)
        redis_subscriber_prepare(&client->subscriber, link);
    links->requests->send(client, link, &links->waiting);
    links->waiting.was_kept_back = links->waiting.count > 0;
    links->waiting_imports.was_kept_back = true;
    link->is_asking = true;
    links->requests->send(client, link, &links->waiting_imports);
    link->is_asking = false;
}

/* Sends what waits, on a link that is opened for it. False: it cannot be opened. */
static bool send_waiting(struct redis_client *client, struct error *error)
{
    struct redis_links *links = &client->links;
    int64_t now_ms = clock_now_ms();
    if (!redis_follow_master(client, now_ms)) {
        links->waiting.was_kept_back = true;
        return true;
    }
    send_isolated(client);
    if (!redis_links_have_waiting_for_shared(links))
        return true;
    if (links->shared == NULL && redis_links_may_open_shared(links, now_ms) &&
        !redis_links_open_shared(links, now_ms + REDIS_CONNECT_MS, error))
        return false;
    if (links->shared != NULL && links->shared->state == REDIS_LINK_READY)
        send_shared(client);
    else
        links->waiting.was_kept_back = true;
    return true;
}

/* False: nobody can name another server. */
static bool lose(struct measuring *measuring, struct redis_client *client, struct error *error)
{
    if (measuring->cluster == NULL)
        return redis_lose_master(client, error);
    redis_cluster_lose(measuring->cluster, client, error);
    return true;
}

static bool send_all(struct measuring *measuring, struct error *error)
{
    struct redis_client *client;
    DL_FOREACH(clients_of(measuring), client)
        if (!send_waiting(client, error) && !lose(measuring, client, error))
            return false;
    return true;
}

static void add_polled(struct polled *polled, struct redis_client *client,
                       struct redis_link *const *place)
{
    size_t capacity = polled->capacity;
    if (*place == NULL)
        return;
    if (polled->count == capacity) {
        capacity = capacity == 0 ? CLIENT_LINKS : 2 * capacity;
        polled->links = memory_resize(polled->links, capacity * sizeof(*polled->links));
        polled->descriptors =
            memory_resize(polled->descriptors, capacity * sizeof(*polled->descriptors));
        polled->capacity = capacity;
    }
    polled->links[polled->count] = (struct polled_link){client, place, (*place)->number};
    polled->descriptors[polled->count++] = redis_link_poll(*place);
}

static void polled_done(struct polled *polled)
{
    free(polled->links);
    free(polled->descriptors);
}

static void list_links(struct measuring *measuring)
{
    struct polled *polled = &measuring->polled;
    struct redis_client *client;
    polled->count = 0;
    DL_FOREACH(clients_of(measuring), client) {
        struct redis_link *const *sentinels[REDIS_MAX_SENTINELS];
        size_t count = redis_sentinels_list(client->sentinels, sentinels);
        add_polled(polled, client, &client->links.shared);
        add_polled(polled, client, &client->links.standby);
        add_polled(polled, client, &client->links.isolated);
        add_polled(polled, client, &client->links.stalled);
        add_polled(polled, client, &client->subscriber.link);
        for (size_t i = 0; i < count; i++)
            add_polled(polled, client, sentinels[i]);
    }
    if (measuring->cluster == NULL)
        return;
    struct redis_link *const *places[REDIS_DISCOVERY_LINKS];
    size_t count = redis_discovery_list(&measuring->cluster->discovery, places);
    for (size_t i = 0; i < count; i++)
        add_polled(polled, NULL, places[i]);
}

/* False: the client is of no further use. */
static bool step_link(struct redis_client *client, struct redis_link *link, short revents,
                      struct error *error)
{
    if (redis_sentinels_step(client->sentinels, link, revents))
        return true;
    if (link == client->subscriber.link) {
        redis_subscriber_step(&client->subscriber, revents);
        return true;
    }
    return redis_links_step(&client->links, link, revents, error);
}

static bool is_there(const struct polled_link *polled)
{
    return *polled->place != NULL && (*polled->place)->number == polled->number;
}

/* No client comes to an end here, nor do those of the list change. */
static bool step_all(struct measuring *measuring, bool is_waited, struct error *error)
{
    const struct polled *polled = &measuring->polled;
    for (size_t i = 0; i < polled->count; i++) {
        const struct polled_link *link = &polled->links[i];
        short revents = (short)(is_waited ? polled->descriptors[i].revents : 0);
        if (!is_there(link))
            continue;
        if (link->client == NULL)
            redis_discovery_step(&measuring->cluster->discovery, *link->place, revents);
        else if (!step_link(link->client, *link->place, revents, error) &&
                 !lose(measuring, link->client, error))
            return false;
    }
    return true;
}

/* Lowers *next_ms to when to check again. False: the client is of no further use. */
static bool check_client(struct redis_client *client, int64_t now_ms, int64_t *next_ms,
                         struct error *error)
{
    *next_ms = clock_earlier(*next_ms, redis_subscriber_check(&client->subscriber, now_ms));
    *next_ms = clock_earlier(*next_ms, redis_sentinels_check(client->sentinels, now_ms));
    return redis_links_check(&client->links, now_ms, next_ms, error) &&
           (!redis_follow_master(client, now_ms) ||
            redis_client_retry(client, now_ms, next_ms, error));
}

static bool can_send_any(struct redis_client *client)
{
    struct redis_links *links = &client->links;
    int64_t now_ms = clock_now_ms();
    bool is_waiting = redis_links_have_waiting_for_shared(links);
    return redis_follow_master(client, now_ms) &&
           ((is_waiting && (links->shared == NULL ? redis_links_may_open_shared(links, now_ms)
                                                  : can_send(links->shared))) ||
            (links->waiting_isolated.count > 0 && can_send(links->isolated)));
}

static bool check_all(struct measuring *measuring, int64_t *next_ms, struct error *error)
{
    int64_t now_ms = clock_now_ms();
    struct redis_client *client;
    DL_FOREACH(clients_of(measuring), client) {
        bool is_usable = check_client(client, now_ms, next_ms, error);
        if (!is_usable && !lose(measuring, client, error))
            return false;
        if (!is_usable || can_send_any(client))
            *next_ms = now_ms;
    }
    return measuring->cluster == NULL ||
           redis_cluster_check(measuring->cluster, now_ms, next_ms, error);
}

static bool has_work(const struct redis_client *client)
{
    return redis_links_have_tasks(&client->links) || redis_client_is_reconnecting(client) ||
           redis_subscriber_is_needed(&client->subscriber);
}

static bool any_has_work(const struct measuring *measuring)
{
    const struct redis_client *client = clients_of(measuring);
    while (client != NULL && !has_work(client))
        client = client->next;
    return client != NULL ||
           (measuring->cluster != NULL && redis_cluster_is_busy(measuring->cluster));
}

/* Writes, finds out what is late, and waits for what can be read. */
static bool poll_links(struct measuring *measuring, struct feed *feed, struct error *error)
{
    list_links(measuring);
    if (!step_all(measuring, false, error)) /* writes */
        return false;
    int64_t next_ms = CLOCK_NEVER;
    if (!check_all(measuring, &next_ms, error))
        return false;
    list_links(measuring);
    feed_wait(feed, measuring->polled.descriptors, measuring->polled.count, next_ms);
    return step_all(measuring, true, error);
}

static bool measure_until_idle(struct measuring *measuring, struct feed *feed, struct error *error)
{
    bool is_usable = true;
    struct redis_client *client;
    DL_FOREACH(clients_of(measuring), client)
        redis_links_resume(&client->links, clock_now_ms());
    while (is_usable && !feed_is_stopping(feed)) {
        serve_feed(measuring, feed);
        if (!any_has_work(measuring))
            break;
        is_usable = send_all(measuring, error) && poll_links(measuring, feed, error);
    }
    DL_FOREACH(clients_of(measuring), client)
        redis_links_abandon_tasks(&client->links);
    if (measuring->cluster != NULL)
        measuring->cluster->waiting = (struct redis_waiting){0};
    polled_done(&measuring->polled);
    return is_usable;
}

void redis_measure_fail(struct redis_link *link, struct task *task, const redisReply *reply,
                        const char *what)
{
    static const char abort[] = "EXECABORT Transaction discarded because of: ";
    _cleanup_(error_done) struct error error = {0};
    redisReply cause = *reply;
    if (redis_reply_is_error(reply, abort))
        cause.str += sizeof(abort) - 1;
    if (redis_cluster_redirect(link, task, &cause))
        return;
    redis_server_explain(link->server, &cause, &error);
    error_prefix(&error, "%s", what);
    task_fail(task, &error);
}

bool redis_measure(struct redis_client *client, struct feed *feed,
                   const struct redis_requests *requests, struct error *error)
{
    struct measuring measuring = {.client = client};
    client->links.requests = requests;
    redis_sentinels_receive(client->sentinels); /* nobody was here to read it */
    return measure_until_idle(&measuring, feed, error);
}

bool redis_measure_cluster(struct redis_cluster *cluster, struct feed *feed,
                           const struct redis_requests *requests, struct error *error)
{
    struct measuring measuring = {.cluster = cluster};
    cluster->requests = requests;
    return measure_until_idle(&measuring, feed, error);
}
