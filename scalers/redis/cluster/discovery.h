/*
 * Which nodes of a Redis Cluster have which slots: CLUSTER SLOTS, for which several nodes race. The
 * first whose map has slots wins, and its connection is kept for the next time.
 *
 * Who is asked: the node whose connection is kept; then the known nodes and the addresses of the
 * options, from where the last request has ended (at first from a random one); nodes that fail come
 * last. Each is asked once per request.
 *
 * Where the last map is doubted, whoever it is of comes behind all that do not fail, and its
 * connection is closed: others may know more. That costs a connection, so it is done every 3 s.
 * Between, who was asked instead is asked on its connection, and may have learned more.
 *
 * For how long: the next node is asked after 200 ms, after 500 where the first one's connection was
 * kept, or at once where one fails. So a node far away has the time that it needs, and one that
 * does not respond delays the others by no more than that. The one that is doubted may be the
 * nearest, and is asked a second after the others. Where 4 are being asked, the oldest is given up
 * for the next, after a second at least; all are at the end of the request.
 *
 * The links count for no budget: where the nodes' have used it up, their map is read all the same.
 *
 * Threads: that of the client. Owner: the client.
 */
#ifndef BACKLOG_SCALERS_REDIS_CLUSTER_DISCOVERY_H
#define BACKLOG_SCALERS_REDIS_CLUSTER_DISCOVERY_H

#include "base/error.h"
#include "redis/cluster/slots.h"
#include "redis/link/link.h"
#include "redis/options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REDIS_DISCOVERY_LINKS = 4 };

/* A node that is asked. */
struct redis_attempt {
    struct redis_discovery *discovery;
    struct redis_server server;
    struct redis_link *link; /* NULL: none is asked */
    int64_t begun_ms;
    struct error failed; /* what its reply lacks, until its step has ended */
};

struct redis_discovery {
    const struct redis_connection_options *options; /* whose addresses are asked, too */
    const struct redis_slot_map *map;               /* whose nodes are known; borrowed */
    char *source;                                   /* the address of whom it is; NULL: none yet */
    struct redis_attempt *kept;                     /* with the connection to it; NULL: none */
    int64_t changed_ms; /* when a connection was last closed for a doubt; 0: never */
    bool is_local;      /* so may the nodes be (redis_server_check_peer()) */
    struct redis_attempt attempts[REDIS_DISCOVERY_LINKS];

    /* A request. */
    bool is_requesting;
    bool is_doubted;      /* the last map is */
    int64_t requested_ms; /* since when, or when last; 0: never */
    int64_t until_ms;
    int64_t begun_ms;             /* the last node was asked then */
    int64_t next_at_ms;           /* the next one is, if it is not the one that is doubted */
    size_t first;                 /* of all nodes and addresses */
    size_t passed;                /* of them from there on, once for each rank */
    struct redis_slot_map *found; /* the new map, to be taken; NULL: none yet */
    struct error failures;        /* of those who were asked so far */
    struct error error;           /* nobody had one, and why */
};

/* The options must outlive it; the login and the context are those of `like`. */
void redis_discovery_init(struct redis_discovery *discovery,
                          const struct redis_connection_options *options,
                          const struct redis_server *like);
void redis_discovery_done(struct redis_discovery *discovery);

/* Reads the map, and is done by then: `found` or `error` is set. `is_doubted`: the last map is. */
void redis_discovery_request(struct redis_discovery *discovery, bool is_doubted, int64_t now_ms,
                             int64_t until_ms);

/* The places of the links that there are; a place is NULL once its link is closed. Returns how
 * many. */
size_t redis_discovery_list(const struct redis_discovery *discovery,
                            struct redis_link *const *ret_places[REDIS_DISCOVERY_LINKS]);

/* After poll(), with a link of these, and whenever the time has come. Returns when that is. */
void redis_discovery_step(struct redis_discovery *discovery, const struct redis_link *link,
                          short revents);
int64_t redis_discovery_check(struct redis_discovery *discovery, int64_t now_ms);

#endif
