/*
 * A server that answers PromQL queries by their text: a number with itself, `slowN` after N
 * milliseconds, `statusN` with this status, `sizeN` with N bytes, `drop` by closing the connection,
 * `dropN` so after N milliseconds, `hang` never.
 *
 * `held` ends by a `release`, which closes its connection and is answered a little later itself;
 * `pinged` is answered once there was a ping that `ping` changed.
 *
 * Threads: the main one, on which it works while the client waits (support/fast_time.h).
 */
#ifndef BACKLOG_TEST_SCALERS_HTTP_PEER_H
#define BACKLOG_TEST_SCALERS_HTTP_PEER_H

#include "support/fast_time.h"

#include <stdbool.h>
#include <stddef.h>

struct http_peer {
    char address[32]; /* http://host:port */
    int listener;
    struct fast_time_peer time;
    struct http_connection *connections;
    size_t requests;
    size_t max_in_flight;
    const char *ping; /* what the next query `1` is taken for; NULL: itself */
    bool was_pinged;
    char request[4096]; /* the last; may be read once the peer has stopped */
};

void http_peer_start(struct http_peer *peer);

/* Connections to it are refused from then on. */
void http_peer_stop(struct http_peer *peer);

#endif
