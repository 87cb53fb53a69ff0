#include "rabbitmq/amqp/deadlines.h"

#include "base/clock.h"
#include "rabbitmq/amqp/quarantine.h"

#include <utlist.h>

enum {
    SEND_MS = 5, /* how soon sending is tried again where the broker reads nothing */
};

/* What a check of the time finds out. */
struct check {
    int64_t now_ms;
    int64_t next_ms;
    bool is_silent; /* something is late, and nothing at all has come since it was sent */
};

/* Who is owed an answer on a channel. */
struct owed {
    struct rabbitmq_request *request; /* NULL: it has ended, and is only to be waited for */
    int64_t since_ms;
    int64_t timeout_ms;
};

/* The first request that was sent on it; before any was sent, the first that waits for the opening
 * of such a channel. False: nobody. `group`: NULL where the channel is stalled. */
static bool find_owed(const struct rabbitmq_declarer *declarer,
                      const struct rabbitmq_channel *channel, const enum rabbitmq_group *group,
                      struct owed *ret_owed)
{
    if (!rabbitmq_channel_owes(channel))
        return false;
    *ret_owed = (struct owed){.since_ms = channel->since_ms, .timeout_ms = RABBITMQ_STALL_MS};
    if (channel->count > 0)
        ret_owed->request = rabbitmq_declarer_find_sent(declarer, channel, 0);
    else if (group == NULL || declarer->requests.waiting[*group] == NULL)
        return false;
    else {
        ret_owed->request = declarer->requests.waiting[*group];
        if (ret_owed->request->waits_since_ms > channel->since_ms)
            ret_owed->since_ms = ret_owed->request->waits_since_ms;
    }
    if (ret_owed->request != NULL)
        ret_owed->timeout_ms = ret_owed->request->task->timeout_ms;
    return true;
}

static int64_t stall_ms(const struct rabbitmq_declarer *declarer,
                        const struct rabbitmq_channel *channel, int64_t timeout_ms)
{
    int64_t stall_ms = timeout_ms / 4 < RABBITMQ_STALL_MS ? timeout_ms / 4 : RABBITMQ_STALL_MS;
    int64_t round_trip_ms = declarer->slots.channels.round_trip_ms;
    if (channel->state == RABBITMQ_CHANNEL_OPENING)
        return timeout_ms / 2;
    return channel->is_behind || round_trip_ms == INT64_MAX ? stall_ms : stall_ms + round_trip_ms;
}

static bool abandon(struct rabbitmq_declarer *declarer, struct rabbitmq_channel *channel,
                    struct error *error)
{
    rabbitmq_declarer_send_behind_again(declarer, channel);
    return rabbitmq_slots_abandon(&declarer->slots, channel, error);
}

static bool time_out(struct rabbitmq_declarer *declarer, struct rabbitmq_channel *channel,
                     struct rabbitmq_request *request, const struct check *check,
                     struct error *error)
{
    int64_t timeout_ms = request->task->timeout_ms;
    if (declarer->pinged_ms != 0 && check->now_ms - declarer->pinged_ms >= timeout_ms / 4)
        return error_unavailable(error, "RabbitMQ at %s: no answer to anything within %lld ms",
                                 declarer->connection->address, (long long)timeout_ms);
    task_time_out(rabbitmq_requests_remove(&declarer->requests, request));
    return abandon(declarer, channel, error);
}

/* What is behind the first request goes elsewhere; its slot gets another channel. */
static void stall(struct rabbitmq_declarer *declarer, struct rabbitmq_channel *channel,
                  struct rabbitmq_request *request)
{
    rabbitmq_quarantine_add(&declarer->quarantine, request->queue);
    rabbitmq_declarer_send_behind_again(declarer, channel);
    rabbitmq_slots_stall(&declarer->slots, channel);
}

static bool check_channel(struct rabbitmq_declarer *declarer, struct rabbitmq_channel *channel,
                          const enum rabbitmq_group *group, struct check *check,
                          struct error *error)
{
    struct owed owed;
    if (!find_owed(declarer, channel, group, &owed))
        return true;
    int64_t deadline_ms = owed.since_ms + owed.timeout_ms;
    int64_t stalls_ms = owed.since_ms + stall_ms(declarer, channel, owed.timeout_ms);
    if (check->now_ms >= deadline_ms) {
        check->next_ms = clock_earlier(check->next_ms, check->now_ms);
        return owed.request == NULL ? abandon(declarer, channel, error)
                                    : time_out(declarer, channel, owed.request, check, error);
    }
    check->next_ms = clock_earlier(check->next_ms, deadline_ms);
    if (owed.request == NULL)
        return true;

    bool may_stall = group != NULL && *group != RABBITMQ_GROUP_ISOLATED;
    bool silent = declarer->connection->received_ms <= owed.since_ms;
    if (check->now_ms < stalls_ms)
        check->next_ms = clock_earlier(check->next_ms, stalls_ms);
    else if (silent)
        check->is_silent = true;
    else if (may_stall && channel->state == RABBITMQ_CHANNEL_OPEN) {
        stall(declarer, channel, owed.request);
        check->next_ms = clock_earlier(check->next_ms, check->now_ms);
    }
    return true;
}

static bool check_channels(struct rabbitmq_declarer *declarer, struct check *check,
                           struct error *error)
{
    struct rabbitmq_channel *channel;
    struct rabbitmq_channel *next;
    DL_FOREACH_SAFE(declarer->slots.stalled, channel, next) {
        if (!check_channel(declarer, channel, NULL, check, error))
            return false;
    }
    size_t position = 0;
    enum rabbitmq_group group;
    while ((channel = rabbitmq_slots_next(&declarer->slots, &position, &group)) != NULL)
        if (!check_channel(declarer, channel, &group, check, error))
            return false;
    return true;
}

bool rabbitmq_deadlines_check(struct rabbitmq_declarer *declarer, int64_t *ret_next_ms,
                              struct error *error)
{
    struct check check = {.now_ms = clock_now_ms(), .next_ms = CLOCK_NEVER};
    if (!check_channels(declarer, &check, error))
        return false;
    if (check.is_silent && declarer->pinged_ms == 0) {
        bool owed;
        if (!rabbitmq_channels_ping(&declarer->slots.channels, &owed, error))
            return false;
        declarer->pinged_ms = owed ? check.now_ms : 0;
    }
    if (rabbitmq_declarer_has_waiting(declarer) &&
        !rabbitmq_amqp_connection_can_send(declarer->connection))
        check.next_ms = clock_earlier(check.next_ms, check.now_ms + SEND_MS);
    *ret_next_ms = check.next_ms;
    return true;
}
