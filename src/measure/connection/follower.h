/*
 * A follower: who gets every reading of a query once, in order, at the moment it arrives, whoever
 * else reads the query.
 *
 * Threads: the hooks run with the lock of the query's connection, so they call nothing of the
 * engine and wait for nothing. What they work on belongs to that lock from follower_start() to
 * follower_stop(). Those two take the lock.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_FOLLOWER_H
#define BACKLOG_MEASURE_CONNECTION_FOLLOWER_H

#include "measure/recent_samples.h"

struct query;

/* Owner: the caller, who must end it before freeing it. Start from the hooks and the context. */
struct follower {
    /* The last sample is the reading. */
    void (*on_reading)(struct follower *follower, const struct recent_samples *recent);
    /* For query_snapshot_with(), whose `copy` it gets. */
    void (*copy)(const struct follower *follower, void *copy);
    void *context;

    struct query *query; /* NULL: it follows none */
    /* The last reading that it got; it stays when another query is followed. */
    int64_t last_reading_ms;
    struct follower *next, *prev;
};

/* The follower gets each reading of the query from now on, at once the one that is known, if it had
 * none as new. The query was acquired with keeps_recent_samples. */
void follower_start(struct query *query, struct follower *follower);
void follower_stop(struct follower *follower); /* harmless where it follows none */

/* ---- for query.c ---- */

/* Hands the new sample to all followers. The caller has the lock, which others get in between. */
void follower_hand_out(struct query *query);

#endif
