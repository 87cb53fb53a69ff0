/*
 * The servers that a command calls: one connection per address, made when it is needed, and again
 * (at most once a second) when it was lost.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_CLIENT_ENDPOINTS_H
#define BACKLOG_CLIENT_ENDPOINTS_H

#include "client/grpc_client.h"

#include <poll.h>

enum { ENDPOINTS_MAX = 64 };

struct endpoint {
    char *address;
    struct grpc_client *client; /* NULL: not connected */
    struct error error;         /* why not */
    int64_t retry_at_ms;
    uint64_t connections; /* made so far: who has calls on an older one must drop them */
};

struct endpoints {
    struct grpc_socket_tls tls;
    struct endpoint items[ENDPOINTS_MAX];
    size_t count;
};

/* The endpoint of this address; NULL where there are too many. */
struct endpoint *endpoints_find(struct endpoints *endpoints, const char *address);

/* Connects where it is not connected and the time has come. False: the endpoint's error says why.
 */
bool endpoints_connect(struct endpoints *endpoints, struct endpoint *endpoint, int64_t deadline_ms);

/* Frees the client of a lost connection; its calls must be freed before. */
void endpoints_drop(struct endpoint *endpoint, const char *reason);

void endpoints_done(struct endpoints *endpoints);

#endif
