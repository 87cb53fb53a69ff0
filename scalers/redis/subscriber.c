#include "redis/subscriber.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "redis/link/setup.h"

#include <stdio.h>
#include <string.h>

static const char push_channel[] = "__redis__:invalidate";

enum {
    PING_MS = 5000,       /* proves that the link works, and keeps connections open on the way */
    RETRY_MS = 10 * 1000, /* after it was refused */
    MAX_WORDS = 200,
};

void redis_subscriber_init(struct redis_subscriber *subscriber, struct redis_server *server)
{
    *subscriber = (struct redis_subscriber){.server = server};
}

static void close_link(struct redis_subscriber *subscriber)
{
    redis_link_free(TAKE(subscriber->link));
}

void redis_subscriber_done(struct redis_subscriber *subscriber)
{
    close_link(subscriber);
    redis_subscriptions_done(&subscriber->subscriptions);
    error_done(&subscriber->refusal);
}

/* What it would have reported may be lost: the measurement that subscribes again sees it. */
static void lose_link(struct redis_subscriber *subscriber)
{
    close_link(subscriber);
    redis_reopening_closed(&subscriber->reopening, clock_now_ms());
    redis_subscriptions_lose_all(&subscriber->subscriptions);
}

static void refuse(struct redis_subscriber *subscriber, struct error *refusal, const char *words)
{
    error_unavailable(refusal,
                      "Redis at %s cannot notify of changes, which needs version 6 and the rights "
                      "to client|id, client|tracking, client|caching, subscribe and the channel "
                      "%s: %.*s",
                      subscriber->server->address, push_channel, (int)text_cut(words, MAX_WORDS),
                      words);
}

/* Whoever already waits may be reported to no more. */
static void refuse_all(struct redis_subscriber *subscriber, const char *words)
{
    refuse(subscriber, &subscriber->refusal, words);
    subscriber->retry_ms = clock_now_ms() + RETRY_MS;
    lose_link(subscriber);
}

static void on_setup(struct redis_link *link, struct redis_command *command,
                     const redisReply *reply)
{
    (void)command;
    struct redis_subscriber *subscriber = link->owner.self;
    if (reply->type == REDIS_REPLY_ERROR)
        redis_link_refuse(link, "%.*s", (int)text_cut(reply->str, MAX_WORDS), reply->str);
    else if (reply->type == REDIS_REPLY_INTEGER)
        snprintf(subscriber->id, sizeof(subscriber->id), "%lld", reply->integer);
}

/* A proxy that closes a connection upon a command that it does not know does so here, where nothing
 * is measured. */
static void on_connected(struct redis_link *link)
{
    redis_setup_send(link);
    redis_link_send(link, &(struct redis_request){{"CLIENT", "ID"}, on_setup});
    redis_link_send(link, &(struct redis_request){{"CLIENT", "TRACKING", "OFF"}, on_setup});
    redis_link_send(link, &(struct redis_request){{"SUBSCRIBE", push_channel}, on_setup});
}

/* The keys that were changed, or nothing: all were (FLUSHALL). */
static void on_message(struct redis_link *link, const redisReply *keys)
{
    struct redis_subscriber *subscriber = link->owner.self;
    if (keys->type == REDIS_REPLY_NIL)
        redis_subscriptions_notify_all(&subscriber->subscriptions);
    for (size_t i = 0; keys->type == REDIS_REPLY_ARRAY && i < keys->elements; i++)
        if (keys->element[i]->type == REDIS_REPLY_STRING)
            redis_subscriptions_notify(&subscriber->subscriptions, keys->element[i]->str,
                                       (size_t)keys->element[i]->len);
}

static void open_link(struct redis_subscriber *subscriber, const char *address, int64_t now_ms)
{
    _cleanup_(error_done) struct error error = {0};
    subscriber->reopening.opened_ms = now_ms;
    error_done(&subscriber->refusal);
    const struct redis_link_owner owner = {
        .self = subscriber, .on_connected = on_connected, .on_message = on_message};
    subscriber->link =
        redis_link_open(subscriber->server, address, now_ms + REDIS_CONNECT_MS, &owner, &error);
    if (subscriber->link == NULL)
        refuse_all(subscriber, error_text(&error));
}

/* What is read on the link is reported to the subscriber's present one. */
static bool is_tracked(const struct redis_subscriber *subscriber, const struct redis_link *link)
{
    return subscriber->link != NULL && link->tracked_for == subscriber->link->number;
}

static void on_tracking(struct redis_link *link, struct redis_command *command,
                        const redisReply *reply)
{
    (void)command;
    struct redis_subscriber *subscriber = link->owner.subscriber;
    if (is_tracked(subscriber, link) && reply->type == REDIS_REPLY_ERROR)
        refuse_all(subscriber, reply->str);
}

static void track(struct redis_subscriber *subscriber, struct redis_link *link)
{
    link->tracked_for = subscriber->link->number;
    redis_link_send(
        link, &(struct redis_request){
                  {"CLIENT", "TRACKING", "ON", "REDIRECT", subscriber->id, "OPTIN"}, on_tracking});
}

void redis_subscriber_prepare(struct redis_subscriber *subscriber, struct redis_link *link)
{
    int64_t now_ms = clock_now_ms();
    const char *address = link->socket.address;
    if (subscriber->link != NULL && !text_equal(subscriber->link->socket.address, address))
        close_link(subscriber); /* the name leads elsewhere by now */
    if (subscriber->link != NULL && subscriber->subscriptions.all == NULL)
        subscriber->link->ping.is_pending = false; /* nobody was here to read the reply */
    if (subscriber->link == NULL && now_ms >= subscriber->retry_ms &&
        now_ms >= subscriber->reopening.at_ms)
        open_link(subscriber, address, now_ms);
    if (subscriber->link != NULL && subscriber->link->state == REDIS_LINK_READY &&
        !is_tracked(subscriber, link))
        track(subscriber, link);
}

/* The reply to CLIENT CACHING: the command's tasks are subscribed, or cannot be. */
static void on_caching(struct redis_link *link, struct redis_command *command,
                       const redisReply *reply)
{
    struct redis_subscriber *subscriber = link->owner.subscriber;
    _cleanup_(error_done) struct error refusal = {0};
    if (reply->type == REDIS_REPLY_ERROR)
        refuse(subscriber, &refusal,
               error_is_set(&subscriber->refusal) ? "CLIENT TRACKING was refused" : reply->str);
    for (struct task *task = command->tasks; task != NULL; task = task->next) {
        if (!redis_subscriptions_has(&subscriber->subscriptions, task->notifier.id))
            continue;
        if (!error_is_set(&refusal)) {
            task_subscribed(task);
            continue;
        }
        redis_subscriptions_remove(&subscriber->subscriptions, task->notifier.id);
        task_cannot_subscribe(task, &refusal);
    }
}

/* Whether the task's reading is to be tracked; else says why it cannot be, where it never can on
 * this link. */
static bool subscribe(struct redis_subscriber *subscriber, struct redis_link *link,
                      const char *const *keys, struct task *task)
{
    if (!task_wants_subscription(task))
        return false;
    if (link->is_asking) /* it is soon to be read there without, or elsewhere */
        return false;
    if (is_tracked(subscriber, link)) {
        redis_subscriptions_add(&subscriber->subscriptions, keys, &task->notifier, link);
        return true;
    }
    if (error_is_set(&subscriber->refusal))
        task_cannot_subscribe(task, &subscriber->refusal);
    return false;
}

struct redis_command *redis_subscriber_read_keys(struct redis_subscriber *subscriber,
                                                 struct redis_link *link,
                                                 struct redis_request request,
                                                 const char *const *keys, struct task *const *tasks,
                                                 size_t count)
{
    bool is_tracked = false;
    for (size_t i = 0; i < count; i++)
        is_tracked = subscribe(subscriber, link, keys, tasks[i]) || is_tracked;
    if (is_tracked) {
        memcpy(request.first_words, (const char *const[]){"CLIENT", "CACHING", "YES", NULL},
               4 * sizeof(char *));
        request.on_first_reply = on_caching;
    }
    return redis_link_send_for(link, &request, tasks, count);
}

struct redis_command *redis_subscriber_read(struct redis_subscriber *subscriber,
                                            struct redis_link *link, struct redis_request request,
                                            const char *key, struct task *const *tasks,
                                            size_t count)
{
    return redis_subscriber_read_keys(subscriber, link, request, (const char *const[]){key, NULL},
                                      tasks, count);
}

/* No query before it has a reply to come. */
static bool is_tracking_next(const struct redis_link *link)
{
    const struct redis_command *command = link->commands;
    while (command != NULL && !command->is_for_tasks && command->on_reply != on_tracking)
        command = command->next;
    return command != NULL && command->on_reply == on_tracking;
}

/* A link that is lost while CLIENT TRACKING is to be replied to next may be lost because of it:
 * that is not sent on the next one for a while. */
void redis_subscriber_forget_link(struct redis_subscriber *subscriber,
                                  const struct redis_link *link)
{
    if (is_tracked(subscriber, link) && is_tracking_next(link))
        refuse_all(subscriber, "no reply to CLIENT TRACKING");
    else
        redis_subscriptions_lose_link(&subscriber->subscriptions, link);
}

void redis_subscriber_reset(struct redis_subscriber *subscriber)
{
    close_link(subscriber);
    redis_subscriptions_notify_all(&subscriber->subscriptions);
    error_done(&subscriber->refusal);
    subscriber->reopening = (struct redis_reopening){0};
    subscriber->retry_ms = 0;
}

void redis_subscriber_unsubscribe(struct redis_subscriber *subscriber, uint64_t notifier_id)
{
    redis_subscriptions_remove(&subscriber->subscriptions, notifier_id);
}

bool redis_subscriber_is_needed(const struct redis_subscriber *subscriber)
{
    return subscriber->link != NULL &&
           (subscriber->link->state != REDIS_LINK_READY || subscriber->subscriptions.all != NULL);
}

void redis_subscriber_step(struct redis_subscriber *subscriber, short revents)
{
    _cleanup_(error_done) struct error error = {0};
    struct redis_link *link = subscriber->link;
    bool was_ready = link->state == REDIS_LINK_READY;
    if (redis_link_step(link, revents, &error))
        return;
    if (was_ready)
        lose_link(subscriber);
    else
        refuse_all(subscriber, error_text(&error));
}

int64_t redis_subscriber_check(struct redis_subscriber *subscriber, int64_t now_ms)
{
    _cleanup_(error_done) struct error ignored = {0};
    if (subscriber->link == NULL)
        return CLOCK_NEVER;
    if (subscriber->link->state != REDIS_LINK_READY) {
        if (now_ms < subscriber->link->deadline_ms)
            return subscriber->link->deadline_ms;
        refuse_all(subscriber, redis_link_awaited(subscriber->link));
        return CLOCK_NEVER;
    }
    if (subscriber->subscriptions.all == NULL) /* nobody may stay to read the reply to a ping */
        return CLOCK_NEVER;
    if (now_ms >= subscriber->link->ping.sent_ms + PING_MS &&
        !redis_link_ping(subscriber->link, now_ms, &ignored))
        lose_link(subscriber);
    int64_t due_ms = redis_subscriptions_notify_due(&subscriber->subscriptions, now_ms);
    if (subscriber->link == NULL)
        return CLOCK_NEVER;
    return clock_earlier(due_ms, subscriber->link->ping.sent_ms + PING_MS);
}
