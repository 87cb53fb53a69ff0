/*
 * Slots: where requests are sent. Each group of requests has some, and each of them has one
 * channel. A channel that hangs leaves its slot to another one, and is stalled until it owes no
 * answer any more, or for good.
 *
 * Threads: one at a time. Owner: the slots, of all channels.
 */
#ifndef BACKLOG_SCALERS_RABBITMQ_AMQP_SLOTS_H
#define BACKLOG_SCALERS_RABBITMQ_AMQP_SLOTS_H

#include "rabbitmq/amqp/channels.h"
#include "rabbitmq/amqp/requests.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    RABBITMQ_SHARED_CHANNELS = 24,
    RABBITMQ_QUARANTINE_CHANNELS = 8,
    RABBITMQ_ISOLATED_CHANNELS = 16,
    RABBITMQ_SLOTS =
        RABBITMQ_SHARED_CHANNELS + RABBITMQ_QUARANTINE_CHANNELS + RABBITMQ_ISOLATED_CHANNELS,
};

/* Its user begins and ends `channels`; the rest starts from {0}. */
struct rabbitmq_slots {
    struct rabbitmq_channels channels;
    struct rabbitmq_channel *used[RABBITMQ_SLOTS]; /* by group; NULL: no channel there */
    struct rabbitmq_channel *stalled; /* left their slots; an answer may still come; utlist */
};

/* The slots of a group; one of them has a channel from then on, or is NULL where the broker allows
 * no more. A group that has none then takes one from another group once it is idle there. */
size_t rabbitmq_slots_count(const struct rabbitmq_slots *slots, enum rabbitmq_group group);
struct rabbitmq_channel *rabbitmq_slots_channel(struct rabbitmq_slots *slots,
                                                enum rabbitmq_group group, size_t index);

/* The next channel that has a slot, and its group: `position` starts from 0. NULL: there are no
 * more. */
struct rabbitmq_channel *rabbitmq_slots_next(const struct rabbitmq_slots *slots, size_t *position,
                                             enum rabbitmq_group *ret_group);

/* Whether its channels take one request at a time. */
bool rabbitmq_slots_are_single(enum rabbitmq_group group);

/* Whether there is no channel, and there will be none. */
bool rabbitmq_slots_are_exhausted(const struct rabbitmq_slots *slots);

/* Whether the channel has a slot: else it is stalled. */
bool rabbitmq_slots_has(const struct rabbitmq_slots *slots, const struct rabbitmq_channel *channel);

/* Takes a channel out of its slot. */
void rabbitmq_slots_stall(struct rabbitmq_slots *slots, struct rabbitmq_channel *channel);

/* A stalled channel that owes no answer any more can be used again; nothing happens to any other.
 */
void rabbitmq_slots_restore(struct rabbitmq_slots *slots, struct rabbitmq_channel *channel);

/* Gives up a channel, stalled or not: what it owes will never be taken for anything. False where
 * the connection is lost. */
bool rabbitmq_slots_abandon(struct rabbitmq_slots *slots, struct rabbitmq_channel *channel,
                            struct error *error);

#endif
