/*
 * A server that speaks Redis's protocol and answers by a script: for what a real one says only when it
 * is old, starting or hostile.
 *
 * Threads: it serves on one of its own, one connection after the other.
 */
#ifndef BACKLOG_TEST_SCALERS_REDIS_PEER_H
#define BACKLOG_TEST_SCALERS_REDIS_PEER_H

#include <pthread.h>

struct redis_line {
    const char *command; /* its first word */
    const char *answer;  /* in the protocol; "": none, and it falls silent */
};

struct redis_peer {
    const struct redis_line *script; /* ends with an empty line; other commands are answered OK */
    char address[32];
    int listener;
    pthread_t thread;
};

void redis_peer_start(struct redis_peer *peer, const struct redis_line *script);
void redis_peer_stop(struct redis_peer *peer);

#endif
