/*
 * The channels of an AMQP connection. The broker answers each of them in order, so what hangs holds
 * up only what was sent behind it on the same channel.
 *
 * A channel that is closed while it owes answers is used again once the broker has confirmed that:
 * until then a late answer could be taken for another.
 *
 * Threads: one at a time. Owner: the set, of all its channels.
 */
#ifndef BACKLOG_SCALERS_RABBITMQ_AMQP_CHANNELS_H
#define BACKLOG_SCALERS_RABBITMQ_AMQP_CHANNELS_H

#include "rabbitmq/amqp/connection.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RABBITMQ_MAX_PIPELINE = 64 }; /* requests in flight on one channel */

/* A channel, and the requests sent on it that are not answered yet, as a ring. */
struct rabbitmq_channel {
    struct rabbitmq_channel *prev, *next; /* in a list of its user */
    enum rabbitmq_channel_state {
        RABBITMQ_CHANNEL_CLOSED,
        RABBITMQ_CHANNEL_OPENING, /* what is sent now is answered after the opening */
        RABBITMQ_CHANNEL_OPEN,
        /* Nothing is sent, and what comes is ignored, until that is confirmed. */
        RABBITMQ_CHANNEL_CLOSING,
    } state;
    amqp_channel_t number;
    size_t max_pipeline;
    size_t pipeline; /* how many it may have in flight; shrinks when a missing queue closes it */
    uint64_t sent[RABBITMQ_MAX_PIPELINE]; /* their ids */
    size_t first;
    size_t count;
    /* When its last answer was read, or something was sent while it owed none: since then its first
     * request has waited for the broker to work on it, and longer where that answer came late. */
    int64_t since_ms;
    bool is_behind; /* since_ms is no start of a round trip: its first request was behind another */
};

struct rabbitmq_channels {
    struct rabbitmq_amqp_connection *connection;
    struct rabbitmq_channel **by_number; /* [number - 1] */
    size_t capacity;
    int used;                       /* numbers */
    struct rabbitmq_channel *spare; /* given back; utlist */
    int64_t round_trip_ms;          /* the quickest, of openings and of requests behind no other */
};

/* The connection is borrowed. */
void rabbitmq_channels_init(struct rabbitmq_channels *channels,
                            struct rabbitmq_amqp_connection *connection);
void rabbitmq_channels_done(struct rabbitmq_channels *channels);

/* A channel with nothing in flight, open or closed; NULL where the broker allows no more. */
struct rabbitmq_channel *rabbitmq_channels_take(struct rabbitmq_channels *channels);

/* Gives back a channel with nothing in flight. */
void rabbitmq_channels_give_back(struct rabbitmq_channels *channels,
                                 struct rabbitmq_channel *channel);

/* Gives back a channel that owes answers: it is closed. */
bool rabbitmq_channels_abandon(struct rabbitmq_channels *channels, struct rabbitmq_channel *channel,
                               struct error *error);

/* NULL: none that is in use. */
struct rabbitmq_channel *rabbitmq_channels_find(const struct rabbitmq_channels *channels,
                                                amqp_channel_t number);

/* Those whose opening the broker has confirmed. */
int rabbitmq_channels_count_open(const struct rabbitmq_channels *channels);

/* Each of these sends; false where the connection is lost. */
bool rabbitmq_channels_open(struct rabbitmq_channels *channels, struct rabbitmq_channel *channel,
                            struct error *error);
bool rabbitmq_channels_declare(struct rabbitmq_channels *channels, struct rabbitmq_channel *channel,
                               uint64_t id, const char *queue, struct error *error);

/* Something that the broker itself answers, whatever state its queues are in. `ret_owed`: it owes
 * an answer, or does not even read what was sent before; else there was no channel for it. */
bool rabbitmq_channels_ping(struct rabbitmq_channels *channels, bool *ret_owed,
                            struct error *error);

/* What the broker sent. False where it was not due, or the connection is lost. */
bool rabbitmq_channels_opened(struct rabbitmq_channels *channels, struct rabbitmq_channel *channel);
bool rabbitmq_channels_closed(struct rabbitmq_channels *channels, struct rabbitmq_channel *channel,
                              struct error *error);
bool rabbitmq_channels_close_confirmed(struct rabbitmq_channels *channels,
                                       struct rabbitmq_channel *channel);

/* The first request was answered now. */
struct rabbitmq_answered {
    uint64_t id;
    int64_t waited_ms;     /* for the broker; with a round trip where it was behind no other */
    int64_t round_trip_ms; /* of them, at most; 0: none */
};

/* Takes the first request; there must be one. */
struct rabbitmq_answered rabbitmq_channels_answered(struct rabbitmq_channels *channels,
                                                    struct rabbitmq_channel *channel);

/* Whether the broker has to answer something that a request may wait for: the opening, or requests
 * that were sent. For the end of a closing nobody waits. */
bool rabbitmq_channel_owes(const struct rabbitmq_channel *channel);

/* The id of the request so many behind the first. */
uint64_t rabbitmq_channel_sent(const struct rabbitmq_channel *channel, size_t index);

#endif
