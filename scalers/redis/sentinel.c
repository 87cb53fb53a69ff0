#include "redis/sentinel.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "redis/cluster/slots.h"
#include "redis/link/setup.h"
#include "shared/address.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

static const char switch_channel[] = "+switch-master";

enum {
    CONNECT_MS = 1500, /* less than a client has */
    RETRY_MS = 1000,
    PING_MS = 2000,             /* Sentinels notice a dead master after a time like this */
    GRACE_MS = 200,             /* for the others, once one has answered */
    REFRESH_MS = 60 * 1000,     /* SENTINEL REMOVE and MONITOR name another master unreported */
    SILENT_MS = 3 * REFRESH_MS, /* while others answer: it may be gone for good */
    MAX_EXPLAINED = 3,
};

struct sentinel {
    struct redis_server server;
    struct redis_link *link; /* NULL: none */
    const char *master;      /* its name */
    struct error error;      /* why it was lost */
    int64_t lost_ms;         /* since when it does not answer; 0: it does */
    int64_t retry_ms;
    bool is_requesting; /* for the first time, or since +switch-master */
    bool has_switched;  /* in this step */

    long long epoch; /* of a reply whose address is still to come */

    /* The newest answer. */
    int64_t answered_ms; /* 0: there is none yet */
    long long known_epoch;
    char *host; /* NULL: none yet */
    int port;
};

struct redis_sentinels {
    const struct redis_connection_options *options;
    int64_t requested_ms;
    struct redis_link_budget link_budget;
    size_t count;
    struct sentinel all[REDIS_MAX_SENTINELS];
};

struct redis_sentinels *redis_sentinels_new(const struct redis_connection_options *options,
                                            SSL_CTX *tls)
{
    struct redis_sentinels *sentinels = memory_new(sizeof(*sentinels));
    sentinels->options = options;
    sentinels->requested_ms = clock_now_ms();
    const struct redis_login login = {options->sentinel_username, options->sentinel_password, 0};
    sentinels->count = redis_connection_count(options);
    for (size_t i = 0; i < sentinels->count; i++) {
        struct sentinel *sentinel = &sentinels->all[i];
        int port = 0;
        _cleanup_(memory_free) char *host = redis_connection_host(options, i, &port);
        redis_server_init(&sentinel->server, &login, tls);
        redis_server_set_address(&sentinel->server, host, port);
        sentinel->server.budget = &sentinels->link_budget;
        sentinel->master = options->sentinel_master;
        sentinel->is_requesting = true;
    }
    return sentinels;
}

void redis_sentinels_free(struct redis_sentinels *sentinels)
{
    if (sentinels == NULL)
        return;
    for (size_t i = 0; i < sentinels->count; i++) {
        struct sentinel *sentinel = &sentinels->all[i];
        redis_link_free(sentinel->link);
        redis_server_done(&sentinel->server);
        error_done(&sentinel->error);
        free(sentinel->host);
    }
    free(sentinels);
}

/* Fields and values take turns. */
static void on_master(struct redis_link *link, struct redis_command *command,
                      const redisReply *reply)
{
    (void)command;
    struct sentinel *sentinel = link->owner.self;
    sentinel->epoch = -1;
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i + 1 < reply->elements; i += 2)
        if (reply->element[i]->type == REDIS_REPLY_STRING &&
            reply->element[i + 1]->type == REDIS_REPLY_STRING &&
            text_equal(reply->element[i]->str, "config-epoch"))
            sentinel->epoch = strtoll(reply->element[i + 1]->str, NULL, 10);
    if (sentinel->epoch >= 0)
        return;
    if (redis_reply_is_error(reply, "ERR No such master"))
        redis_link_refuse(link, "%s does not know the master \"%s\"", link->server->address,
                          sentinel->master);
    else
        redis_link_refuse_reply(link, reply);
}

/* Not the address of on_master(), which is still that of before while a failover ends. */
static void on_address(struct redis_link *link, struct redis_command *command,
                       const redisReply *reply)
{
    (void)command;
    struct sentinel *sentinel = link->owner.self;
    if (redis_link_is_refused(link))
        return;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_STRING) {
        redis_link_refuse_reply(link, reply);
        return;
    }
    const redisReply *host = reply->element[0];
    const redisReply *port = reply->element[1];
    if (strlen(host->str) != host->len || !redis_is_host(host->str, host->len) ||
        !address_is_port(port->str, port->len)) {
        redis_link_refuse(link, "%s names no host and port of the master \"%s\"",
                          link->server->address, sentinel->master);
        return;
    }
    free(sentinel->host);
    sentinel->host = text_copy(host->str);
    sentinel->port = atoi(port->str);
    sentinel->known_epoch = sentinel->epoch;
    sentinel->answered_ms = clock_now_ms();
    sentinel->lost_ms = 0;
    sentinel->is_requesting = false;
}

static void on_subscribed(struct redis_link *link, struct redis_command *command,
                          const redisReply *reply)
{
    (void)command;
    if (reply->type == REDIS_REPLY_ERROR)
        redis_link_refuse_reply(link, reply);
}

static void on_connected(struct redis_link *link)
{
    const struct sentinel *sentinel = link->owner.self;
    const char *name = sentinel->master;
    redis_setup_send(link);
    redis_link_send(link, &(struct redis_request){{"SENTINEL", "MASTER", name}, on_master});
    redis_link_send(
        link, &(struct redis_request){{"SENTINEL", "GET-MASTER-ADDR-BY-NAME", name}, on_address});
    redis_link_send(link, &(struct redis_request){{"SUBSCRIBE", switch_channel}, on_subscribed});
}

/* "name old-address old-port new-address new-port" */
static bool is_of_master(const char *message, const char *name)
{
    size_t length = strlen(name);
    return strncmp(message, name, length) == 0 && message[length] == ' ';
}

static void on_message(struct redis_link *link, const redisReply *content)
{
    struct sentinel *sentinel = link->owner.self;
    if (content->type == REDIS_REPLY_STRING && is_of_master(content->str, sentinel->master))
        sentinel->has_switched = true;
}

static void lose(struct sentinel *sentinel, struct error *error)
{
    redis_link_free(TAKE(sentinel->link));
    sentinel->is_requesting = false;
    if (sentinel->lost_ms == 0)
        sentinel->lost_ms = clock_now_ms();
    error_done(&sentinel->error);
    error_move(&sentinel->error, error);
}

static void open_link(struct sentinel *sentinel, int64_t now_ms)
{
    _cleanup_(error_done) struct error error = {0};
    sentinel->retry_ms = now_ms + RETRY_MS;
    const struct redis_link_owner owner = {
        .self = sentinel, .on_connected = on_connected, .on_message = on_message};
    sentinel->link = redis_link_open(&sentinel->server, NULL, now_ms + CONNECT_MS, &owner, &error);
    if (sentinel->link == NULL)
        lose(sentinel, &error);
}

size_t redis_sentinels_list(const struct redis_sentinels *sentinels,
                            struct redis_link *const **ret_places)
{
    size_t count = 0;
    for (size_t i = 0; sentinels != NULL && i < sentinels->count; i++)
        if (sentinels->all[i].link != NULL)
            ret_places[count++] = &sentinels->all[i].link;
    return count;
}

/* A connection that is subscribed cannot ask, so it is made again: at once, unless it was made just
 * now, as whoever sends such messages without end makes it. */
static void request_again(struct redis_sentinels *sentinels, struct sentinel *sentinel)
{
    int64_t now_ms = clock_now_ms();
    redis_link_free(TAKE(sentinel->link));
    sentinel->has_switched = false;
    sentinel->is_requesting = true;
    sentinels->requested_ms = now_ms;
    if (now_ms >= sentinel->retry_ms) /* else check() makes it */
        open_link(sentinel, now_ms);
}

bool redis_sentinels_answer(const struct redis_sentinels *sentinels)
{
    size_t i = 0;
    while (i < sentinels->count &&
           (sentinels->all[i].answered_ms == 0 || sentinels->all[i].lost_ms != 0))
        i++;
    return i < sentinels->count;
}

/* Those that are not subscribed yet are being asked. */
void redis_sentinels_ask_again(struct redis_sentinels *sentinels)
{
    for (size_t i = 0; i < sentinels->count; i++) {
        const struct redis_link *link = sentinels->all[i].link;
        if (link != NULL && link->state == REDIS_LINK_READY)
            request_again(sentinels, &sentinels->all[i]);
    }
}

bool redis_sentinels_step(struct redis_sentinels *sentinels, const struct redis_link *link,
                          short revents)
{
    for (size_t i = 0; sentinels != NULL && i < sentinels->count; i++) {
        _cleanup_(error_done) struct error error = {0};
        struct sentinel *sentinel = &sentinels->all[i];
        if (sentinel->link != link)
            continue;
        if (!redis_link_step(sentinel->link, revents, &error))
            lose(sentinel, &error);
        else if (sentinel->has_switched)
            request_again(sentinels, sentinel);
        return true;
    }
    return false;
}

void redis_sentinels_receive(struct redis_sentinels *sentinels)
{
    struct redis_link *const *places[REDIS_MAX_SENTINELS];
    struct pollfd polls[REDIS_MAX_SENTINELS];
    size_t count = redis_sentinels_list(sentinels, places);
    if (count == 0 || !redis_link_wait(places, polls, count, 0))
        return;
    for (size_t i = 0; i < count; i++)
        if (polls[i].revents != 0)
            redis_sentinels_step(sentinels, *places[i], polls[i].revents);
}

static int64_t check(struct sentinel *sentinel, int64_t now_ms)
{
    _cleanup_(error_done) struct error error = {0};
    int64_t refresh_ms = sentinel->answered_ms + REFRESH_MS;
    if (sentinel->link != NULL && sentinel->link->state == REDIS_LINK_READY && now_ms >= refresh_ms)
        redis_link_free(TAKE(sentinel->link)); /* subscribed, it cannot ask */
    if (sentinel->link == NULL && now_ms >= sentinel->retry_ms)
        open_link(sentinel, now_ms);
    struct redis_link *link = sentinel->link;
    if (link == NULL)
        return sentinel->retry_ms;
    if (link->state != REDIS_LINK_READY) {
        int64_t next_ms = CLOCK_NEVER;
        if (redis_link_check(link, now_ms, &next_ms, &error))
            return next_ms;
        lose(sentinel, &error);
        return sentinel->retry_ms;
    }
    if (now_ms >= link->ping.sent_ms + PING_MS &&
        !redis_link_ping(sentinel->link, now_ms, &error)) {
        lose(sentinel, &error);
        return sentinel->retry_ms;
    }
    return clock_earlier(link->ping.sent_ms + PING_MS, refresh_ms);
}

int64_t redis_sentinels_check(struct redis_sentinels *sentinels, int64_t now_ms)
{
    int64_t next_ms = CLOCK_NEVER;
    for (size_t i = 0; sentinels != NULL && i < sentinels->count; i++) {
        int64_t at_ms = check(&sentinels->all[i], now_ms);
        if (at_ms < next_ms)
            next_ms = at_ms;
    }
    if (sentinels != NULL && now_ms < sentinels->requested_ms + GRACE_MS &&
        sentinels->requested_ms + GRACE_MS < next_ms)
        next_ms = sentinels->requested_ms + GRACE_MS;
    return next_ms;
}

bool redis_sentinels_are_settled(const struct redis_sentinels *sentinels, int64_t now_ms)
{
    bool is_known = false;
    bool is_requesting = false;
    for (size_t i = 0; sentinels != NULL && i < sentinels->count; i++) {
        const struct sentinel *sentinel = &sentinels->all[i];
        is_requesting = is_requesting || sentinel->is_requesting;
        is_known = is_known || (sentinel->host != NULL && !sentinel->is_requesting);
    }
    return !is_requesting || (is_known && now_ms >= sentinels->requested_ms + GRACE_MS);
}

/* One that is still awaited has no error of its own yet. */
static void add_reason(struct text *reasons, const struct sentinel *sentinel)
{
    if (error_is_set(&sentinel->error))
        text_addf(reasons, "%s", error_text(&sentinel->error));
    else
        text_addf(reasons, "cannot connect to Redis at %s: %s", sentinel->server.address,
                  sentinel->link == NULL ? "no answer in time"
                                         : redis_link_awaited(sentinel->link));
}

static bool nobody_knows(const struct redis_sentinels *sentinels, struct error *error)
{
    struct text reasons = {0};
    for (size_t i = 0; i < sentinels->count && i < MAX_EXPLAINED; i++) {
        text_addf(&reasons, "%s", i == 0 ? "" : "; ");
        add_reason(&reasons, &sentinels->all[i]);
    }
    error_unavailable(error, "no Sentinel names the master \"%s\": %s",
                      sentinels->options->sentinel_master, reasons.bytes);
    text_done(&reasons);
    return false;
}

bool redis_sentinels_are_local(const struct redis_sentinels *sentinels)
{
    size_t i = 0;
    while (i < sentinels->count && !sentinels->all[i].server.is_local)
        i++;
    return i < sentinels->count;
}

/* The last answer of any of them. */
static int64_t answered_ms(const struct redis_sentinels *sentinels)
{
    int64_t newest_ms = 0;
    for (size_t i = 0; i < sentinels->count; i++)
        if (sentinels->all[i].answered_ms > newest_ms)
            newest_ms = sentinels->all[i].answered_ms;
    return newest_ms;
}

bool redis_sentinels_master(const struct redis_sentinels *sentinels, const char **ret_host,
                            int *ret_port, struct error *error)
{
    const struct sentinel *best = NULL;
    int64_t newest_ms = answered_ms(sentinels);
    for (size_t i = 0; i < sentinels->count; i++) {
        const struct sentinel *sentinel = &sentinels->all[i];
        bool is_gone = sentinel->lost_ms != 0 && newest_ms >= sentinel->lost_ms + SILENT_MS;
        if (sentinel->host != NULL && !is_gone &&
            (best == NULL || sentinel->known_epoch > best->known_epoch))
            best = sentinel;
    }
    if (best == NULL)
        return nobody_knows(sentinels, error);
    *ret_host = best->host;
    *ret_port = best->port;
    return true;
}
