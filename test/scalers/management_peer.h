/*
 * A server that answers as RabbitMQ's management API does, with the queues q0, q1, ... of one
 * virtual host, each with as many messages as its number, and queues whose own GET is never
 * answered ("hangingN") or answered with 502 ("brokenN"). Every pattern matches all that are
 * listed. Tokens for it are at /token, numbered from 1.
 *
 * Threads: the main one, on which it works while the client waits (support/fast_time.h).
 */
#ifndef BACKLOG_TEST_SCALERS_MANAGEMENT_PEER_H
#define BACKLOG_TEST_SCALERS_MANAGEMENT_PEER_H

#include "support/fast_time.h"

#include <stdbool.h>
#include <stddef.h>

struct management_script {
    size_t queues;           /* that are listed */
    size_t queues_of_broker; /* in the overview */
    bool totals_hang;
    size_t totals_hang_after; /* so many listings of them; 0: do not */
    size_t totals_hang_until; /* so many listings of them have hung */
    bool without_statistics;  /* only the totals have counts */
    int totals_ms;            /* a listing of them takes so long */
    size_t cut;               /* so many of the queues, the last ones, are not in the totals */
    int statistics_ms;        /* a listing of them takes so long */
    int refuse_lists;         /* with this status, all listings and pages; 0: none */
    bool gives_pages;         /* all the same */
    int proxy_ms;             /* the fate 'p' takes so long */

    /* What becomes of each request for a token: 'g' given, for 100 s; 'r' an answer without one;
     * 'h' never answered. */
    const char *tokens;
};

struct management_peer {
    struct management_script script;
    char host[64];
    char token_uri[64];
    int listener;
    struct fast_time_peer time;
    struct management_call *calls;
    size_t totals;     /* listings, and pages */
    size_t statistics; /* listings, and pages */
    size_t singles;
    size_t tokens;
    size_t token_shown; /* the number of the token that the last GET had; 0: none */
    /* The JSON of other queues, in place of q0, q1, ..., as each source has them; NULL: these. A
     * GET of any one has that of the statistics. */
    const char *in_totals;
    const char *in_statistics;
    /* Of each request: 0 it is answered; 'h' never; 'c' its connection is closed; 'p' with 502, as
     * by a proxy. */
    int fate;
    size_t fated; /* so many requests have it, and then it is 0; 0: until it is changed */
    size_t in_flight;
    size_t max_in_flight;
};

void management_peer_start(struct management_peer *peer, const struct management_script *script);
void management_peer_stop(struct management_peer *peer);

#endif
