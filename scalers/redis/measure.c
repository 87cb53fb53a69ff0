#include "redis/measure.h"

#include "base/clock.h"
#include "base/memory.h"
#include "redis/connect.h"
#include "redis/stall.h"

#include <poll.h>
#include <utlist.h>

enum { CONNECT_MS = 2000, MAX_OWN = 4, MAX_CHANNELS = MAX_OWN + REDIS_MAX_SENTINELS };

static void take_tasks(struct redis_client *client, struct feed *feed)
{
    for (struct task *task; (task = feed_take(feed)) != NULL;) {
        task->data = NULL;
        if (task->isolate)
            DL_APPEND(client->waiting_isolated, task);
        else
            DL_APPEND(client->waiting, task);
    }
}

static void give_up(struct redis_client *client, struct task *task)
{
    if (task->data != NULL)
        redis_command_remove_task(task);
    else if (task->isolate)
        DL_DELETE(client->waiting_isolated, task);
    else
        DL_DELETE(client->waiting, task);
    task_return(task, true);
}

static void serve_feed(struct redis_client *client, struct feed *feed)
{
    uint64_t id = 0;
    while (feed_next_unsubscribe(feed, &id))
        redis_subscriber_unsubscribe(&client->subscriber, id);
    for (struct task *task; (task = feed_next_cancelled(feed)) != NULL;)
        give_up(client, task);
    take_tasks(client, feed);
}

/* Those that had to wait are measured from now on. */
static void send_list(struct redis_client *client, struct redis_channel *channel,
                      struct task **waiting, bool was_kept_back, redis_send_tasks *send)
{
    struct task *tasks = TAKE(*waiting);
    for (struct task *task = tasks; was_kept_back && task != NULL; task = task->next)
        task_started(task);
    send(client, channel, tasks);
}

static bool open_shared(struct redis_client *client, struct error *error)
{
    client->shared = redis_client_open(client, false, clock_now_ms() + CONNECT_MS, error);
    if (client->shared == NULL)
        return false;
    client->shared->measures_round_trips = true;
    return true;
}

/* Sends what waits, on a channel that is opened for it. */
static bool send_waiting(struct redis_client *client, redis_send_tasks *send, struct error *error)
{
    if (!redis_follow_master(client, clock_now_ms())) {
        client->was_kept_back = true;
        return true;
    }
    struct redis_channel *isolated = client->isolated;
    if (client->waiting_isolated != NULL && isolated != NULL && isolated->state == REDIS_READY)
        send_list(client, isolated, &client->waiting_isolated, true, send);
    if (client->waiting == NULL)
        return true;
    if (client->shared == NULL && !open_shared(client, error))
        return false;
    if (client->shared->state != REDIS_READY) {
        client->was_kept_back = true;
        return true;
    }
    redis_subscriber_prepare(&client->subscriber, client->shared, client->waiting);
    send_list(client, client->shared, &client->waiting, client->was_kept_back, send);
    client->was_kept_back = false;
    return true;
}

/* The channels that there are, the shared one first: what the server did first is handled first. */
struct polled {
    struct redis_channel *channels[MAX_CHANNELS];
    struct pollfd descriptors[MAX_CHANNELS];
    size_t count;
};

static void list_channels(const struct redis_client *client, struct polled *polled)
{
    struct redis_channel *all[MAX_CHANNELS] = {client->shared, client->standby, client->isolated,
                                               client->subscriber.channel};
    size_t count = MAX_OWN + redis_sentinels_list(client->sentinels, &all[MAX_OWN]);
    polled->count = 0;
    for (size_t i = 0; i < count; i++) {
        if (all[i] == NULL)
            continue;
        polled->channels[polled->count] = all[i];
        polled->descriptors[polled->count++] =
            (struct pollfd){.fd = all[i]->context->fd, .events = redis_channel_events(all[i])};
    }
}

/* False: the client is of no further use. */
static bool step(struct redis_client *client, struct redis_channel *channel, short revents,
                 struct error *error)
{
    _cleanup_(error_done) struct error broken = {0};
    if (redis_sentinels_step(client->sentinels, channel, revents))
        return true;
    if (channel == client->subscriber.channel) {
        redis_subscriber_step(&client->subscriber, revents);
        return true;
    }
    bool is_known =
        channel == client->shared || channel == client->standby || channel == client->isolated;
    if (!is_known || redis_channel_step(channel, revents, &broken))
        return true;
    if (channel == client->standby)
        redis_client_close(client, &client->standby);
    else if (channel == client->isolated)
        redis_stall_lose_isolated(client, &broken);
    else if (!redis_stall_lose_shared(client)) {
        error_move(error, &broken);
        return false;
    }
    return true;
}

static bool step_all(struct redis_client *client, const struct polled *polled, struct error *error)
{
    for (size_t i = 0; i < polled->count; i++)
        if (!step(client, polled->channels[i], polled->descriptors[i].revents, error))
            return false;
    return true;
}

/* Returns when to check again; -1: the client is of no further use. */
static int64_t check(struct redis_client *client, struct error *error)
{
    int64_t now_ms = clock_now_ms();
    int64_t next_ms = redis_subscriber_check(&client->subscriber, now_ms);
    int64_t sentinels_ms = redis_sentinels_check(client->sentinels, now_ms);
    if (sentinels_ms < next_ms)
        next_ms = sentinels_ms;
    if (!redis_stall_check_shared(client, now_ms, &next_ms, error))
        return -1;
    redis_stall_check_standby(client, now_ms, &next_ms);
    redis_stall_check_isolated(client, now_ms, &next_ms);
    return next_ms;
}

static bool has_work(const struct redis_client *client)
{
    return client->waiting != NULL || client->waiting_isolated != NULL ||
           (client->shared != NULL && redis_channel_has_tasks(client->shared)) ||
           (client->isolated != NULL && redis_channel_has_tasks(client->isolated)) ||
           redis_subscriber_is_needed(&client->subscriber);
}

static bool can_send(const struct task *waiting, const struct redis_channel *channel)
{
    return waiting != NULL && (channel == NULL || channel->state == REDIS_READY);
}

/* Writes, finds out what is late, and waits for what can be read. */
static bool turn(struct redis_client *client, struct feed *feed, struct error *error)
{
    struct polled polled;
    list_channels(client, &polled);
    if (!step_all(client, &polled, error)) /* writes */
        return false;
    int64_t next_ms = check(client, error);
    if (next_ms < 0)
        return false;
    if (redis_follow_master(client, clock_now_ms()) &&
        (can_send(client->waiting, client->shared) ||
         can_send(client->waiting_isolated, client->isolated)))
        next_ms = 0;
    list_channels(client, &polled);
    feed_wait(feed, polled.descriptors, polled.count, next_ms);
    return step_all(client, &polled, error);
}

static void abandon_tasks(struct redis_channel *channel)
{
    struct redis_command *command = channel == NULL ? NULL : channel->commands;
    for (; command != NULL; command = command->next)
        while (redis_command_take_task(command) != NULL)
            ;
}

bool redis_measure(struct redis_client *client, struct feed *feed, redis_send_tasks *send,
                   struct error *error)
{
    bool usable = true;
    redis_sentinels_receive(client->sentinels); /* nobody was here to read it */
    while (usable && !feed_is_stopping(feed)) {
        serve_feed(client, feed);
        if (!has_work(client))
            break;
        usable = send_waiting(client, send, error) && turn(client, feed, error);
    }
    abandon_tasks(client->shared);
    abandon_tasks(client->isolated);
    client->waiting = client->waiting_isolated = NULL;
    return usable;
}
