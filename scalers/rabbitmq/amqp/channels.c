#include "rabbitmq/amqp/channels.h"

#include "base/clock.h"
#include "base/memory.h"

#include <stdlib.h>
#include <utlist.h>

void rabbitmq_channels_init(struct rabbitmq_channels *channels,
                            struct rabbitmq_amqp_connection *connection)
{
    *channels = (struct rabbitmq_channels){.connection = connection, .round_trip_ms = INT64_MAX};
}

void rabbitmq_channels_done(struct rabbitmq_channels *channels)
{
    for (int i = 0; i < channels->used; i++)
        free(channels->by_number[i]);
    free(channels->by_number);
}

struct rabbitmq_channel *rabbitmq_channels_take(struct rabbitmq_channels *channels)
{
    struct rabbitmq_channel *channel = channels->spare;
    if (channel != NULL) {
        DL_DELETE(channels->spare, channel);
        return channel;
    }
    if (channels->used == channels->connection->max_channels)
        return NULL;
    channel = memory_new(sizeof(*channel));
    channels->by_number = memory_grow(channels->by_number, &channels->capacity,
                                      (size_t)channels->used + 1, sizeof(*channels->by_number));
    channels->by_number[channels->used++] = channel;
    channel->number = (amqp_channel_t)channels->used;
    return channel;
}

void rabbitmq_channels_give_back(struct rabbitmq_channels *channels,
                                 struct rabbitmq_channel *channel)
{
    DL_PREPEND(channels->spare, channel);
}

static bool send_close(struct rabbitmq_channels *channels, struct rabbitmq_channel *channel,
                       struct error *error)
{
    amqp_channel_close_t close = {.reply_code = AMQP_REPLY_SUCCESS,
                                  .reply_text = amqp_cstring_bytes("no answer in time")};
    channel->state = RABBITMQ_CHANNEL_CLOSING;
    channel->count = 0;
    return rabbitmq_amqp_connection_send(channels->connection, channel->number,
                                         AMQP_CHANNEL_CLOSE_METHOD, &close, error);
}

/* Where the broker reads nothing now, the number is lost to this connection. */
bool rabbitmq_channels_abandon(struct rabbitmq_channels *channels, struct rabbitmq_channel *channel,
                               struct error *error)
{
    if (rabbitmq_amqp_connection_can_send(channels->connection))
        return send_close(channels, channel, error);
    channel->state = RABBITMQ_CHANNEL_CLOSING;
    channel->count = 0;
    return true;
}

struct rabbitmq_channel *rabbitmq_channels_find(const struct rabbitmq_channels *channels,
                                                amqp_channel_t number)
{
    return number == 0 || number > channels->used ? NULL : channels->by_number[number - 1];
}

int rabbitmq_channels_count_open(const struct rabbitmq_channels *channels)
{
    int count = 0;
    for (int i = 0; i < channels->used; i++)
        count += channels->by_number[i]->state == RABBITMQ_CHANNEL_OPEN;
    return count;
}

bool rabbitmq_channels_open(struct rabbitmq_channels *channels, struct rabbitmq_channel *channel,
                            struct error *error)
{
    amqp_channel_open_t open = {.out_of_band = amqp_empty_bytes};
    channel->state = RABBITMQ_CHANNEL_OPENING;
    channel->since_ms = clock_now_ms();
    channel->is_behind = false;
    return rabbitmq_amqp_connection_send(channels->connection, channel->number,
                                         AMQP_CHANNEL_OPEN_METHOD, &open, error);
}

bool rabbitmq_channels_declare(struct rabbitmq_channels *channels, struct rabbitmq_channel *channel,
                               uint64_t id, const char *queue, struct error *error)
{
    if (channel->count == 0 && channel->state == RABBITMQ_CHANNEL_OPEN) {
        channel->since_ms = clock_now_ms();
        channel->is_behind = false;
    }
    channel->sent[(channel->first + channel->count++) % RABBITMQ_MAX_PIPELINE] = id;
    amqp_queue_declare_t declare = {
        .queue = amqp_cstring_bytes(queue), .passive = true, .arguments = amqp_empty_table};
    return rabbitmq_amqp_connection_send(channels->connection, channel->number,
                                         AMQP_QUEUE_DECLARE_METHOD, &declare, error);
}

bool rabbitmq_channel_owes(const struct rabbitmq_channel *channel)
{
    return channel->state == RABBITMQ_CHANNEL_OPENING || channel->count > 0;
}

bool rabbitmq_channels_ping(struct rabbitmq_channels *channels, bool *ret_owed, struct error *error)
{
    *ret_owed = true;
    if (!rabbitmq_amqp_connection_can_send(channels->connection))
        return true;
    struct rabbitmq_channel *channel = rabbitmq_channels_take(channels);
    *ret_owed = channel != NULL;
    if (channel == NULL)
        return true;
    if (channel->state == RABBITMQ_CHANNEL_OPEN)
        return send_close(channels, channel, error);
    rabbitmq_channels_give_back(channels, channel);
    return rabbitmq_channel_owes(channel) || rabbitmq_channels_open(channels, channel, error);
}

/* The requests that were sent with the opening are behind it. */
static void took_answer(struct rabbitmq_channels *channels, struct rabbitmq_channel *channel)
{
    int64_t now_ms = clock_now_ms();
    int64_t waited_ms = now_ms - channel->since_ms;
    if (!channel->is_behind && waited_ms < channels->round_trip_ms)
        channels->round_trip_ms = waited_ms;
    channel->since_ms = now_ms;
    channel->is_behind = true;
}

bool rabbitmq_channels_opened(struct rabbitmq_channels *channels, struct rabbitmq_channel *channel)
{
    if (channel->state != RABBITMQ_CHANNEL_OPENING)
        return channel->state == RABBITMQ_CHANNEL_CLOSING;
    took_answer(channels, channel);
    channel->state = RABBITMQ_CHANNEL_OPEN;
    return true;
}

bool rabbitmq_channels_closed(struct rabbitmq_channels *channels, struct rabbitmq_channel *channel,
                              struct error *error)
{
    amqp_channel_close_ok_t ok = {0};
    if (channel->state != RABBITMQ_CHANNEL_CLOSING)
        channel->state = RABBITMQ_CHANNEL_CLOSED;
    return rabbitmq_amqp_connection_send(channels->connection, channel->number,
                                         AMQP_CHANNEL_CLOSE_OK_METHOD, &ok, error);
}

bool rabbitmq_channels_close_confirmed(struct rabbitmq_channels *channels,
                                       struct rabbitmq_channel *channel)
{
    if (channel->state != RABBITMQ_CHANNEL_CLOSING)
        return false;
    channel->state = RABBITMQ_CHANNEL_CLOSED;
    rabbitmq_channels_give_back(channels, channel);
    return true;
}

struct rabbitmq_answered rabbitmq_channels_answered(struct rabbitmq_channels *channels,
                                                    struct rabbitmq_channel *channel)
{
    bool was_behind = channel->is_behind;
    struct rabbitmq_answered answered = {.id = channel->sent[channel->first],
                                         .waited_ms = clock_now_ms() - channel->since_ms};
    channel->first = (channel->first + 1) % RABBITMQ_MAX_PIPELINE;
    channel->count--;
    took_answer(channels, channel);
    answered.round_trip_ms = was_behind ? 0 : channels->round_trip_ms;
    return answered;
}

uint64_t rabbitmq_channel_sent(const struct rabbitmq_channel *channel, size_t index)
{
    return channel->sent[(channel->first + index) % RABBITMQ_MAX_PIPELINE];
}
