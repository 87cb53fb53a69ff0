/*
 * A server that speaks AMQP, with queues that are as their names say: "q7" has 7 messages, one
 * without a number is empty, "missing..." does not exist, and "hanging..." holds up its channel. It
 * answers as late as a script says: for a broker that is far away, or busy at certain moments.
 *
 * Threads: it serves one connection, on a thread of its own; what is const of it may be read on
 * any.
 */
#ifndef BACKLOG_TEST_SCALERS_AMQP_PEER_H
#define BACKLOG_TEST_SCALERS_AMQP_PEER_H

#include <pthread.h>
#include <stddef.h>

enum { AMQP_DELAYS = 6, AMQP_QUEUES = 128, AMQP_NAME_BYTES = 256 };

struct amqp_script {
    int openings_ms[AMQP_DELAYS]; /* busy before the answer to each opening of a channel, with
                                     everything */
    int declares_ms[AMQP_DELAYS]; /* and to each declare */
    int link_ms;                  /* on the way of each answer */
    int hanging_ms;   /* a hanging queue, and what is behind it on its channel; 0: for ever */
    int freeze_after; /* nothing is answered after so many declares; 0: never */
    int channel_max;  /* 0: 100 */
};

struct amqp_peer {
    const struct amqp_script *script;
    char host[64];
    int listener;
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    struct amqp_queue {
        char name[AMQP_NAME_BYTES];
        size_t declares;
    } queues[AMQP_QUEUES];
    size_t queues_count;
    size_t openings; /* of channels */
};

void amqp_peer_start(struct amqp_peer *peer, const struct amqp_script *script);

/* Once its client is gone. */
void amqp_peer_stop(struct amqp_peer *peer);

/* How many times it received a declare of this queue, and an opening of any channel. */
size_t amqp_peer_declares(struct amqp_peer *peer, const char *queue);
size_t amqp_peer_openings(struct amqp_peer *peer);

#endif
