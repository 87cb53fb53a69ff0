#include "rabbitmq/amqp/slots.h"

#include <utlist.h>

/* Of a new channel while others hang: the fewer are behind the next that hangs. */
enum { STALL_PIPELINE = 4 };

static const struct group {
    size_t first; /* of its slots */
    size_t count;
    size_t share; /* the part of the broker's channels that it may use at most, as a divisor */
    size_t pipeline;
} groups[RABBITMQ_GROUPS] = {
    [RABBITMQ_GROUP_SHARED] = {0, RABBITMQ_SHARED_CHANNELS, 2, RABBITMQ_MAX_PIPELINE},
    [RABBITMQ_GROUP_QUARANTINED] = {RABBITMQ_SHARED_CHANNELS, RABBITMQ_QUARANTINE_CHANNELS, 4, 1},
    [RABBITMQ_GROUP_ISOLATED] = {RABBITMQ_SHARED_CHANNELS + RABBITMQ_QUARANTINE_CHANNELS,
                                 RABBITMQ_ISOLATED_CHANNELS, 4, 1},
};

size_t rabbitmq_slots_count(const struct rabbitmq_slots *slots, enum rabbitmq_group group)
{
    size_t allowed = (size_t)slots->channels.connection->max_channels / groups[group].share;
    size_t count = groups[group].count < allowed ? groups[group].count : allowed;
    return count > 0 ? count : 1;
}

static bool has_channel(const struct rabbitmq_slots *slots, enum rabbitmq_group group)
{
    for (size_t i = 0; i < groups[group].count; i++)
        if (slots->used[groups[group].first + i] != NULL)
            return true;
    return false;
}

/* The idle channel of another group, where the broker allows no more, and none will come back. */
static struct rabbitmq_channel *take_idle(struct rabbitmq_slots *slots, enum rabbitmq_group group)
{
    if (slots->stalled != NULL || has_channel(slots, group))
        return NULL;
    for (size_t slot = RABBITMQ_SLOTS; slot-- > 0;) {
        struct rabbitmq_channel *channel = slots->used[slot];
        if (channel != NULL && !rabbitmq_channel_owes(channel)) {
            slots->used[slot] = NULL;
            return channel;
        }
    }
    return NULL;
}

struct rabbitmq_channel *rabbitmq_slots_channel(struct rabbitmq_slots *slots,
                                                enum rabbitmq_group group, size_t index)
{
    struct rabbitmq_channel **slot = &slots->used[groups[group].first + index];
    if (*slot != NULL)
        return *slot;
    *slot = rabbitmq_channels_take(&slots->channels);
    if (*slot == NULL)
        *slot = take_idle(slots, group);
    if (*slot == NULL)
        return NULL;
    (*slot)->pipeline = (*slot)->max_pipeline = groups[group].pipeline;
    if (slots->stalled != NULL && (*slot)->pipeline > STALL_PIPELINE)
        (*slot)->pipeline = STALL_PIPELINE;
    return *slot;
}

struct rabbitmq_channel *rabbitmq_slots_next(const struct rabbitmq_slots *slots, size_t *position,
                                             enum rabbitmq_group *ret_group)
{
    while (*position < RABBITMQ_SLOTS && slots->used[*position] == NULL)
        ++*position;
    if (*position == RABBITMQ_SLOTS)
        return NULL;
    size_t group = 0;
    while (group + 1 < RABBITMQ_GROUPS && *position >= groups[group + 1].first)
        group++;
    *ret_group = (enum rabbitmq_group)group;
    return slots->used[(*position)++];
}

bool rabbitmq_slots_are_single(enum rabbitmq_group group)
{
    return groups[group].pipeline == 1;
}

bool rabbitmq_slots_are_exhausted(const struct rabbitmq_slots *slots)
{
    const struct rabbitmq_channels *channels = &slots->channels;
    for (size_t group = 0; group < RABBITMQ_GROUPS; group++)
        if (has_channel(slots, (enum rabbitmq_group)group))
            return false;
    return slots->stalled == NULL && channels->spare == NULL &&
           channels->used == channels->connection->max_channels;
}

/* RABBITMQ_SLOTS: none. */
static size_t slot_of(const struct rabbitmq_slots *slots, const struct rabbitmq_channel *channel)
{
    size_t slot = 0;
    while (slot < RABBITMQ_SLOTS && slots->used[slot] != channel)
        slot++;
    return slot;
}

bool rabbitmq_slots_has(const struct rabbitmq_slots *slots, const struct rabbitmq_channel *channel)
{
    return slot_of(slots, channel) < RABBITMQ_SLOTS;
}

void rabbitmq_slots_stall(struct rabbitmq_slots *slots, struct rabbitmq_channel *channel)
{
    slots->used[slot_of(slots, channel)] = NULL;
    DL_APPEND(slots->stalled, channel);
}

void rabbitmq_slots_restore(struct rabbitmq_slots *slots, struct rabbitmq_channel *channel)
{
    if (channel->count > 0 || rabbitmq_slots_has(slots, channel))
        return;
    DL_DELETE(slots->stalled, channel);
    rabbitmq_channels_give_back(&slots->channels, channel);
}

bool rabbitmq_slots_abandon(struct rabbitmq_slots *slots, struct rabbitmq_channel *channel,
                            struct error *error)
{
    size_t slot = slot_of(slots, channel);
    if (slot < RABBITMQ_SLOTS)
        slots->used[slot] = NULL;
    else
        DL_DELETE(slots->stalled, channel);
    return rabbitmq_channels_abandon(&slots->channels, channel, error);
}
