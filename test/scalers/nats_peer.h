/*
 * A server that speaks the protocol of NATS clients and answers requests by a script.
 *
 * Threads: each connection is served on one of its own.
 */
#ifndef BACKLOG_TEST_SCALERS_NATS_PEER_H
#define BACKLOG_TEST_SCALERS_NATS_PEER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct nats_line {
    const char *subject; /* the end of a request's, such as ".CONSUMER.INFO.orders.workers" */
    const char *answer;  /* the body; NULL: none */
    bool is_late;        /* the answer is sent before that to the next request of the connection */
    const char
        *message_on; /* a message on this subject is sent first, to who subscribed to it; or NULL */
    size_t message_bytes;   /* that it has; 0: 1 */
    const char *raw;        /* is sent instead of an answer; or NULL */
    bool has_no_responders; /* instead of an answer */
    bool is_denied;         /* instead of an answer */
    bool is_deaf;           /* nothing on this connection is answered from now on */
    int times;         /* the line is for so many requests, and the next that fits after; 0: all */
    size_t connection; /* the line is for this one only, from 1 on, in the order in which they were
                          opened; 0: for all */
};

enum { NATS_PEER_CONNECTIONS = 8, NATS_PEER_MAX_WORD = 600 };

struct nats_peer {
    const struct nats_line *script; /* ends with an empty line; other requests are not answered */
    const char *denied;             /* nobody may subscribe to this subject; or NULL */
    const char *refusal;            /* then: "-ERR ..."; NULL: that the right is missing */
    size_t greeted;                 /* later connections are accepted, and hear nothing; 0: all */
    char address[32];
    int listener;
    pthread_t thread;

    pthread_mutex_t lock;
    size_t connections;
    int sockets[NATS_PEER_CONNECTIONS];
    pthread_t threads[NATS_PEER_CONNECTIONS];
    struct {
        int socket;
        char subject[NATS_PEER_MAX_WORD];
        char id[NATS_PEER_MAX_WORD];
    } *subscriptions;
    size_t subscriptions_count;
    size_t subscriptions_capacity;
    int used[16];                     /* of each line */
    char connect[NATS_PEER_MAX_WORD]; /* the last CONNECT */
    size_t pings;
};

void nats_peer_start(struct nats_peer *peer, const struct nats_line *script);
void nats_peer_stop(struct nats_peer *peer);

#endif
