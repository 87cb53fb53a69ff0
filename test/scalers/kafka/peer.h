/*
 * A broker of its own for tests of Kafka, which answers what librdkafka's mock cluster cannot: it
 * logs in by SASL PLAIN, or refuses to, and answers requests for metadata. It has the topics a and
 * b; a listing names a again, and another topic that is requested by name does not exist.
 *
 * Threads: the test's, and one of its own.
 */
#ifndef BACKLOG_TEST_SCALERS_KAFKA_PEER_H
#define BACKLOG_TEST_SCALERS_KAFKA_PEER_H

#include <pthread.h>
#include <stdbool.h>

struct kafka_peer {
    int delay_ms;   /* of each answer */
    bool refuses;   /* each login */
    bool has_no_id; /* its cluster */
    int port;       /* of 127.0.0.1 */

    int listener;
    int stop_fd;
    pthread_t thread;
};

/* The caller has set what is not zero. */
void kafka_peer_start(struct kafka_peer *peer);
void kafka_peer_stop(struct kafka_peer *peer);

#endif
