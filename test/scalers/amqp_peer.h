/*
 * A server that speaks AMQP, with queues that are as their names say: "q7" has 7 messages, one
 * without a number is empty, "missing..." does not exist, to "forbidden..." the user has no right,
 * and "hanging..." holds up its channel. It answers as late as a script says, by the clock of
 * support/fast_time.h: for a broker that is far away, or busy at certain moments.
 *
 * Threads: one, its client's. It serves one connection, while the client waits.
 */
#ifndef BACKLOG_TEST_SCALERS_AMQP_PEER_H
#define BACKLOG_TEST_SCALERS_AMQP_PEER_H

#include "support/fast_time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AMQP_DELAYS = 6, AMQP_QUEUES = 128, AMQP_NAME_BYTES = 256 };

struct amqp_script {
    int openings_ms[AMQP_DELAYS]; /* busy before the answer to each opening of a channel, with
                                     everything */
    int declares_ms[AMQP_DELAYS]; /* and to each declare */
    int link_ms;                  /* on the way of each answer */
    int links_ms[AMQP_DELAYS];    /* and more of it, of the answers on channels, one by one; those
                                     behind them wait for them */
    int hanging_ms;      /* a hanging queue, and what is behind it on its channel; 0: for ever */
    int freeze_after;    /* nothing is answered after so many declares; 0: never */
    size_t lost_opening; /* the opening of this number is never answered; 0: none */
    uint16_t answers_on; /* the channel on which declares are answered; 0: each on its own */
    int channel_max;     /* 0: 100 */
    bool has_no_limits;  /* of channels and of frames, which it says by zeros */
};

struct amqp_peer {
    const struct amqp_script *script;
    char host[64];
    int listener;
    struct fast_time_peer time;
    struct amqp_call *call; /* its connection */
    struct amqp_queue {
        char name[AMQP_NAME_BYTES];
        size_t declares;
    } queues[AMQP_QUEUES];
    size_t queues_count;
    size_t openings;      /* of channels */
    uint16_t channel_max; /* that the client asks for */
};

/* Time is fast from now on. Both are borrowed. */
void amqp_peer_start(struct amqp_peer *peer, const struct amqp_script *script);
void amqp_peer_stop(struct amqp_peer *peer);

/* How many times it received a declare of this queue. */
size_t amqp_peer_declares(const struct amqp_peer *peer, const char *queue);

#endif
