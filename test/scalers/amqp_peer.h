/*
 * A server that speaks AMQP and has nothing but empty queues, of which it tells as late as a script says:
 * for a broker that is far, or busy at certain moments.
 *
 * Threads: it serves one connection, on a thread of its own.
 */
#ifndef BACKLOG_TEST_SCALERS_AMQP_PEER_H
#define BACKLOG_TEST_SCALERS_AMQP_PEER_H

#include <pthread.h>

enum { AMQP_DELAYS = 4 };

struct amqp_delays {
    int openings_ms[AMQP_DELAYS]; /* before the answer to each opening of a channel */
    int declares_ms[AMQP_DELAYS]; /* and to each question after a queue */
};

struct amqp_peer {
    const struct amqp_delays *delays;
    char host[64];
    int listener;
    pthread_t thread;
};

void amqp_peer_start(struct amqp_peer *peer, const struct amqp_delays *delays);

/* Once its client is gone. */
void amqp_peer_stop(struct amqp_peer *peer);

#endif
