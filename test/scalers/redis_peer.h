/*
 * A server that speaks Redis's protocol and answers by a script: for what a real one says only when
 * it is old, starting or hostile.
 *
 * Threads: each connection is served on one of its own.
 */
#ifndef BACKLOG_TEST_SCALERS_REDIS_PEER_H
#define BACKLOG_TEST_SCALERS_REDIS_PEER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct redis_line {
    const char *command; /* its first words, up to three: "LLEN", "LLEN jobs" */
    const char *answer;  /* in the protocol; "": none, nor to what follows on this connection; NULL:
                            hangs up */
    const char *push;    /* before the answer, to the connection that sent SUBSCRIBE; or NULL */
    int wait_ms;         /* before the answer: the network is that slow */
    int times; /* the line is for so many commands, and the next that fits for those after; 0: all
                */
    bool hangs_up;     /* after the answer */
    size_t connection; /* the line is for this one only, from 1 on, in the order in which they were
                          opened; 0: for all */
};

enum { REDIS_PEER_CONNECTIONS = 64 };

struct redis_peer {
    const struct redis_line *script; /* ends with an empty line; other commands are answered OK */
    char address[32];
    int port;
    int listener;
    pthread_t thread;

    pthread_mutex_t lock;
    size_t connections;
    int sockets[REDIS_PEER_CONNECTIONS];
    pthread_t threads[REDIS_PEER_CONNECTIONS];
    int subscriber; /* -1: none */
    int used[32];   /* of each line */
};

void redis_peer_start(struct redis_peer *peer, const struct redis_line *script);

/* At this IPv4 address and port; 0: any. */
void redis_peer_start_at(struct redis_peer *peer, const char *address, int port,
                         const struct redis_line *script);
void redis_peer_stop(struct redis_peer *peer);
int redis_peer_used(struct redis_peer *peer, size_t line);
size_t redis_peer_connections(struct redis_peer *peer);

#endif
