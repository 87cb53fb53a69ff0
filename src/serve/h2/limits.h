/*
 * What the nghttp2 transport takes from clients, all in one table: each limit's name, its number,
 * why, and how often it was reached.
 *
 * Threads: the server's own, but for reading the counts (any).
 */
#ifndef BACKLOG_SERVE_H2_LIMITS_H
#define BACKLOG_SERVE_H2_LIMITS_H

#include "serve/transport/transport.h"

#include <stdatomic.h>

enum h2_limit {
    /* How many there may be. */
    H2_CONNECTIONS,
    H2_PEER_CONNECTIONS,
    H2_DESCRIPTORS,
    H2_CALLS,
    H2_HEADER_BYTES,
    H2_PATH_BYTES,
    H2_HELD_BYTES,
    /* How many at once, and how many per second after that; of each connection, which has a bucket
     * for each from here to the last. */
    H2_RESETS,
    H2_REFUSALS,
    H2_PINGS,
    H2_SETTINGS,
    H2_GOAWAYS,
    H2_EMPTY_FRAMES,
    H2_WINDOW_UPDATES,
    H2_OTHER_FRAMES,
    H2_INVALID_FRAMES,
    H2_FRAMES_QUEUED, /* the last of them */
    /* How long. */
    H2_HANDSHAKE_MS,
    H2_CALL_MS,
    H2_WRITE_MS,
    H2_SILENCE_MS,
    H2_IDLE_MS,
    H2_LIMITS, /* how many limits there are */
};

struct h2_limits {
    int64_t max[H2_LIMITS];
    _Atomic uint64_t hits[H2_LIMITS];
    int64_t warned_ms[H2_LIMITS];
};

/* By number; ends with one without a name. */
extern const struct limit h2_limit_table[];

/* The table's numbers, and the operator's where the options have some. False: those are not sound.
 */
bool h2_limits_init(struct h2_limits *limits, const struct server_options *options,
                    struct error *error);
bool h2_limits_check(const struct server_options *options, struct error *error);

/* Counts a hit, and logs it at most once in ten seconds. `peer` is whose it was. */
void h2_limit_hit(struct h2_limits *limits, enum h2_limit limit, const char *peer, int64_t now_ms);

/*
 * Whether an address may have `more` of what all clients share. It may have as much as it leaves to
 * the others: so one takes half of it at most, the next half of the rest. One address, or a few,
 * leave something; about sixteen together take all.
 */
bool h2_limit_leaves(const struct h2_limits *limits, enum h2_limit limit, size_t of_all,
                     size_t of_address, size_t more);

/*
 * How much of a rate is used up, as one time: when it will be unused again. Each take moves it by
 * the time that one takes to come back, and it may lie as far ahead as the limit's number of them
 * takes.
 */
struct h2_bucket {
    int64_t unused_us;
};

/* False: too many. */
bool h2_bucket_take(struct h2_bucket *bucket, const struct h2_limits *limits, enum h2_limit limit,
                    int64_t now_ms);

/* Gives one back. */
void h2_bucket_return(struct h2_bucket *bucket, enum h2_limit limit);

#endif
