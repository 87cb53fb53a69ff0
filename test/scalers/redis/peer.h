/*
 * A server that speaks Redis's protocol and answers by a script: for what a real one says only when
 * it is old, starting or hostile.
 *
 * Threads: the main one, on which it works while the client waits (support/fast_time.h).
 */
#ifndef BACKLOG_TEST_SCALERS_REDIS_PEER_H
#define BACKLOG_TEST_SCALERS_REDIS_PEER_H

#include "support/fast_time.h"

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
    size_t answer_bytes; /* of an answer with NULs; 0: it ends with the first one */
};

#define SCRIPT(...) ((const struct redis_line[]){__VA_ARGS__, {.command = NULL}})

/* The reply to ROLE. */
#define MASTER "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"

/* Of a server that can be subscribed to. */
#define SUBSCRIBED "*3\r\n$9\r\nsubscribe\r\n$20\r\n__redis__:invalidate\r\n:1\r\n"
#define SUBSCRIBABLE {"SUBSCRIBE", SUBSCRIBED}, {"CLIENT ID", ":7\r\n"}

/* The message that a key has changed: CHANGED("4\r\njobs"). */
#define CHANGED(key) "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$" key "\r\n"

enum { REDIS_PEER_CONNECTIONS = 64 };

struct redis_peer {
    const struct redis_line *script; /* ends with an empty line; other commands are answered OK */
    char address[32];
    int port;
    int listener;
    struct fast_time_peer time;
    size_t connections;
    struct redis_call *calls[REDIS_PEER_CONNECTIONS];
    struct redis_call *subscriber; /* NULL: none */
    int used[32];                  /* of each line */
};

void redis_peer_start(struct redis_peer *peer, const struct redis_line *script);

/* At this IPv4 address and port; 0: any. */
void redis_peer_start_at(struct redis_peer *peer, const char *address, int port,
                         const struct redis_line *script);

void redis_peer_stop(struct redis_peer *peer);

/* To the connection that sent SUBSCRIBE last; there must be one. */
void redis_peer_push(struct redis_peer *peer, const char *text);

int redis_peer_used(const struct redis_peer *peer, size_t line);
size_t redis_peer_connections(const struct redis_peer *peer);

#endif
