#include "redis/cluster/discovery.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "redis/link/setup.h"

#include <stdlib.h>

enum {
    NEXT_MS = 200,    /* after which the next node is asked, too */
    NODE_MS = 1000,   /* that a node has at least, where there is so much */
    CHANGE_MS = 3000, /* between two connections that are closed for a doubt */
    MAX_REASONS = 1024,
};

/* In which order they are asked. */
enum { RANK_FIRST, RANK_DOUBTED, RANK_FAILING, RANKS };

void redis_discovery_init(struct redis_discovery *discovery,
                          const struct redis_connection_options *options,
                          const struct redis_server *like)
{
    *discovery = (struct redis_discovery){.options = options};
    discovery->first = clock_jitter((uint32_t)redis_connection_count(options));
    for (size_t i = 0; i < REDIS_DISCOVERY_LINKS; i++) {
        struct redis_attempt *attempt = &discovery->attempts[i];
        attempt->discovery = discovery;
        redis_server_init(&attempt->server, &like->login, like->tls);
    }
}

void redis_discovery_done(struct redis_discovery *discovery)
{
    for (size_t i = 0; i < REDIS_DISCOVERY_LINKS; i++) {
        struct redis_attempt *attempt = &discovery->attempts[i];
        redis_link_free(TAKE(attempt->link));
        redis_server_done(&attempt->server);
        error_done(&attempt->failed);
    }
    redis_slot_map_free(TAKE(discovery->found));
    free(discovery->source);
    error_done(&discovery->failures);
    error_done(&discovery->error);
}

/* ---- whom to ask ---- */

static size_t count_nodes(const struct redis_discovery *discovery)
{
    return discovery->map == NULL ? 0 : discovery->map->count;
}

static size_t count_all(const struct redis_discovery *discovery)
{
    return count_nodes(discovery) + redis_connection_count(discovery->options);
}

static size_t next_index(const struct redis_discovery *discovery)
{
    return (discovery->first + discovery->passed) % count_all(discovery);
}

/* The known nodes, then the addresses of the options. The caller frees it. */
static char *host_at(const struct redis_discovery *discovery, size_t index, int *ret_port)
{
    size_t nodes = count_nodes(discovery);
    if (index >= nodes)
        return redis_connection_host(discovery->options, index - nodes, ret_port);
    *ret_port = discovery->map->nodes[index].port;
    return text_copy(discovery->map->nodes[index].host);
}

static bool is_source(const struct redis_discovery *discovery, size_t index)
{
    int port = 0;
    _cleanup_(memory_free) char *host = host_at(discovery, index, &port);
    _cleanup_(memory_free) char *address = redis_server_address_of(host, port);
    return text_equal(address, discovery->source);
}

static size_t rank_at(const struct redis_discovery *discovery, size_t index)
{
    if (index < count_nodes(discovery) && discovery->map->nodes[index].is_failing)
        return RANK_FAILING;
    return discovery->is_doubted && is_source(discovery, index) ? RANK_DOUBTED : RANK_FIRST;
}

/* Passes those whose turn it is not. False: all were asked. */
static bool has_next(struct redis_discovery *discovery)
{
    size_t count = count_all(discovery);
    while (discovery->passed < RANKS * count &&
           rank_at(discovery, next_index(discovery)) != discovery->passed / count)
        discovery->passed++;
    return discovery->passed < RANKS * count;
}

/* ---- one node ---- */

static void on_slots(struct redis_link *link, struct redis_command *command,
                     const redisReply *reply)
{
    (void)command;
    struct redis_attempt *attempt = link->owner.self;
    struct redis_discovery *discovery = attempt->discovery;
    const struct redis_server *server = &attempt->server;
    if (!discovery->is_requesting || discovery->found != NULL || redis_link_is_refused(link))
        return;
    if (redis_reply_is_error(reply, "ERR This instance has cluster support disabled")) {
        error_unavailable(&attempt->failed,
                          "Redis at %s is no node of a Redis Cluster: set scaler to redis or "
                          "redis-streams",
                          server->address);
        return;
    }
    if (reply->type == REDIS_REPLY_ERROR) {
        redis_server_explain(server, reply, &attempt->failed);
        return;
    }
    discovery->found = redis_slot_map_parse(reply, server->host, &attempt->failed);
    if (discovery->found == NULL) {
        error_prefix(&attempt->failed, "Redis at %s", server->address);
        return;
    }
    /* A node that is local was named by one that is, or configured. */
    discovery->is_local = discovery->is_local || server->is_local;
    free(discovery->source);
    discovery->source = text_copy(server->address);
    discovery->kept = attempt;
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

static void fail(struct redis_attempt *attempt)
{
    struct redis_discovery *discovery = attempt->discovery;
    struct error *failures = &discovery->failures;
    error_unavailable(failures, "%s%s%s", error_text(failures), error_is_set(failures) ? "; " : "",
                      error_text(&attempt->failed));
    error_shorten(failures, MAX_REASONS);
    error_done(&attempt->failed);
    redis_link_free(TAKE(attempt->link));
    discovery->kept = discovery->kept == attempt ? NULL : discovery->kept;
    discovery->next_at_ms = 0;
}

static void fail_overdue(struct redis_attempt *attempt)
{
    error_unavailable(&attempt->failed, "Redis at %s: %s", attempt->server.address,
                      redis_link_awaited(attempt->link));
    fail(attempt);
}

static void begin(struct redis_attempt *attempt, int64_t now_ms)
{
    struct redis_discovery *discovery = attempt->discovery;
    size_t index = next_index(discovery);
    int port = 0;
    _cleanup_(memory_free) char *host = host_at(discovery, index, &port);
    const struct redis_link_owner owner = {
        .self = attempt, .on_connected = on_connected, .reply_limit = {.max_ms = REDIS_LATE_MS}};
    discovery->passed++;
    discovery->next_at_ms = now_ms + NEXT_MS;
    redis_server_set_address(&attempt->server, host, port);
    attempt->server.may_be_local = index >= count_nodes(discovery) || discovery->is_local;
    attempt->begun_ms = discovery->begun_ms = now_ms;
    attempt->link =
        redis_link_open(&attempt->server, NULL, discovery->until_ms, &owner, &attempt->failed);
    if (attempt->link == NULL)
        fail(attempt);
}

/* ---- a request ---- */

static void ask_kept(struct redis_attempt *attempt, int64_t now_ms)
{
    struct redis_discovery *discovery = attempt->discovery;
    discovery->next_at_ms = now_ms + REDIS_LATE_MS;
    attempt->begun_ms = discovery->begun_ms = now_ms;
    send_request(attempt->link);
    if (!redis_link_flush(attempt->link, &attempt->failed))
        fail(attempt);
}

void redis_discovery_request(struct redis_discovery *discovery, bool is_doubted, int64_t now_ms,
                             int64_t until_ms)
{
    error_done(&discovery->error);
    error_done(&discovery->failures);
    discovery->is_requesting = true;
    discovery->is_doubted = is_doubted;
    discovery->requested_ms = now_ms;
    discovery->until_ms = until_ms;
    discovery->next_at_ms = 0;
    discovery->first = next_index(discovery);
    discovery->passed = 0;
    struct redis_attempt *kept = TAKE(discovery->kept);
    if (kept != NULL && is_doubted && now_ms >= discovery->changed_ms + CHANGE_MS) {
        discovery->changed_ms = now_ms;
        redis_link_free(TAKE(kept->link));
    } else if (kept != NULL)
        ask_kept(kept, now_ms);
}

/* The oldest of those that are asked, or one that is free. */
static struct redis_attempt *find_place(struct redis_discovery *discovery)
{
    struct redis_attempt *oldest = &discovery->attempts[0];
    for (size_t i = 0; i < REDIS_DISCOVERY_LINKS && oldest->link != NULL; i++) {
        struct redis_attempt *attempt = &discovery->attempts[i];
        if (attempt->link == NULL || attempt->begun_ms < oldest->begun_ms)
            oldest = attempt;
    }
    return oldest;
}

static bool is_any_asked(const struct redis_discovery *discovery)
{
    size_t i = 0;
    while (i < REDIS_DISCOVERY_LINKS && discovery->attempts[i].link == NULL)
        i++;
    return i < REDIS_DISCOVERY_LINKS;
}

/* When the next one may be asked, in this place. */
static int64_t turn_ms(const struct redis_discovery *discovery, const struct redis_attempt *place)
{
    int64_t at_ms = discovery->next_at_ms;
    if (is_any_asked(discovery) && rank_at(discovery, next_index(discovery)) == RANK_DOUBTED)
        at_ms = discovery->begun_ms + NODE_MS;
    if (place->link != NULL && place->begun_ms + NODE_MS > at_ms)
        at_ms = place->begun_ms + NODE_MS;
    return at_ms;
}

/* True: the next one is asked. False: it is not its turn yet; lowers *next_ms to when it is. */
static bool ask_next(struct redis_discovery *discovery, int64_t now_ms, int64_t *next_ms)
{
    if (!has_next(discovery))
        return false;
    struct redis_attempt *place = find_place(discovery);
    int64_t at_ms = turn_ms(discovery, place);
    if (now_ms < at_ms) {
        *next_ms = clock_earlier(*next_ms, at_ms);
        return false;
    }
    if (place->link != NULL)
        fail_overdue(place);
    begin(place, now_ms);
    return true;
}

/* Those that are not connected have more addresses to try. */
static void check_attempts(struct redis_discovery *discovery, int64_t now_ms, int64_t *next_ms)
{
    for (size_t i = 0; i < REDIS_DISCOVERY_LINKS; i++) {
        struct redis_attempt *attempt = &discovery->attempts[i];
        struct redis_link *link = attempt->link;
        if (link == NULL)
            continue;
        if (now_ms >= discovery->until_ms)
            fail_overdue(attempt);
        else if (link->state != REDIS_LINK_READY &&
                 !redis_link_check(link, now_ms, next_ms, &attempt->failed))
            fail(attempt);
    }
}

/* Only the connection to whom the map is of is kept. */
static void end(struct redis_discovery *discovery)
{
    discovery->is_requesting = false;
    if (discovery->found == NULL)
        error_unavailable(&discovery->error, "no node of the Redis Cluster answers: %s",
                          error_text(&discovery->failures));
    error_done(&discovery->failures);
    for (size_t i = 0; i < REDIS_DISCOVERY_LINKS; i++)
        if (&discovery->attempts[i] != discovery->kept)
            redis_link_free(TAKE(discovery->attempts[i].link));
}

int64_t redis_discovery_check(struct redis_discovery *discovery, int64_t now_ms)
{
    int64_t next_ms = discovery->until_ms;
    if (!discovery->is_requesting)
        return CLOCK_NEVER;
    if (discovery->found == NULL)
        check_attempts(discovery, now_ms, &next_ms);
    if (discovery->found == NULL && now_ms < discovery->until_ms &&
        ask_next(discovery, now_ms, &next_ms))
        return now_ms;
    if (discovery->found == NULL && is_any_asked(discovery))
        return next_ms;
    end(discovery);
    return CLOCK_NEVER;
}

size_t redis_discovery_list(const struct redis_discovery *discovery,
                            struct redis_link *const *ret_places[REDIS_DISCOVERY_LINKS])
{
    size_t count = 0;
    for (size_t i = 0; i < REDIS_DISCOVERY_LINKS; i++)
        if (discovery->attempts[i].link != NULL)
            ret_places[count++] = &discovery->attempts[i].link;
    return count;
}

void redis_discovery_step(struct redis_discovery *discovery, const struct redis_link *link,
                          short revents)
{
    _cleanup_(error_done) struct error error = {0};
    size_t i = 0;
    while (discovery->attempts[i].link != link)
        i++;
    struct redis_attempt *attempt = &discovery->attempts[i];
    bool is_usable = redis_link_step(attempt->link, revents, &error);
    if (!is_usable && !error_is_set(&attempt->failed))
        error_move(&attempt->failed, &error);
    if (error_is_set(&attempt->failed))
        fail(attempt); /* at once: what failed has nothing to wait for */
}
