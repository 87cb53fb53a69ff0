/*
 * A follower: the scaling policy of a trigger, which gets every reading of a query once, in order,
 * when it arrives.
 *
 * Threads: the hooks are called with the lock of the query's connection. So they call nothing of
 * the engine, and do not block. The lock also guards what they change, from follower_start() to
 * follower_stop(). Those two take the lock.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_FOLLOWER_H
#define BACKLOG_MEASURE_CONNECTION_FOLLOWER_H

#include "measure/history.h"

struct query;

/* Owner: the caller, which calls follower_stop() before it frees the follower. Start from the hooks
 * and the context. */
struct follower {
    /* The reading is the last of the samples. */
    void (*on_reading)(struct follower *follower, const struct recent_samples *recent);
    /* Fills in the `copy` of query_snapshot_with(). */
    void (*copy)(const struct follower *follower, void *copy);
    void *context;
    /* Bits of enum reading_want, which its use of the query has, too. It gets no reading that was
     * measured without one of them. */
    unsigned wants;

    struct query *query; /* NULL: it follows none */
    /* at_ms of the last sample that it got. It stays when the follower moves to a query that
     * takes the samples, so that it gets no reading twice. */
    int64_t last_reading_ms;
    /* When the request for that reading was sent. This decides which of two readings is newer, and
     * at_ms only where both were sent in one millisecond: samples that were begun again while it
     * followed none do not know how far their former ones were put off. */
    int64_t last_sent_ms;
    struct follower *next, *prev;
};

/* The follower gets each reading of the query from now on, and the last known one at once, if it is
 * newer than what the follower got before. The query was acquired with keeps_history; where
 * the follower wants more than the last task did, the query is due now. */
void follower_start(struct query *query, struct follower *follower);
void follower_stop(struct follower *follower); /* harmless where it follows none */

/* ---- for query.c ---- */

/* Gives the new sample to all followers. The caller has the lock; between some of them it is
 * released for a moment (connection.h). */
void follower_hand_out(struct query *query);

#endif
