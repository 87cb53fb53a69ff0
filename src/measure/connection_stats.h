/*
 * What is counted of one connection. engine_stats.c adds up those of several connections.
 *
 * Threads: any; a copy belongs to whoever has it.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_STATS_H
#define BACKLOG_MEASURE_CONNECTION_STATS_H

#include "base/metric.h"

#include <stdint.h>

enum connection_count {
    /* Numbers of this moment. */
    COUNT_CONNECTIONS,
    COUNT_FAILED_CONNECTIONS,
    COUNT_QUERIES,
    COUNT_FAILING_QUERIES,
    COUNT_ISOLATED_QUERIES, /* in flight or due, and slow, or timed out last */
    COUNT_SUBSCRIBED_QUERIES,
    COUNT_HELD_TRIGGERS,    /* their answers are from before measuring failed */
    COUNT_HELD_CONNECTIONS, /* with such triggers */
    COUNT_EXPIRED_TRIGGERS, /* get errors, as their hold is over */

    /* Counters, which go on when their connection has ended. */
    COUNT_FIRST_EVER,
    COUNT_NOTIFICATIONS = COUNT_FIRST_EVER,
    COUNT_FAILED_SUBSCRIPTIONS, /* refused by the source or the scaler */
    COUNT_CONNECTS,             /* attempts that succeeded; one under way is counted when it ends */
    COUNT_FAILED_CONNECTS,
    COUNT_ANSWERED,
    COUNT_FAILED,    /* answered with an error */
    COUNT_TIMED_OUT, /* not answered in time, or the client was lost */
    CONNECTION_COUNTS,
};

struct connection_stats {
    uint64_t counts[CONNECTION_COUNTS];
    struct histogram measurement_seconds;
    /* Of the last seconds. Of several connections the largest value counts. */
    double utilization;   /* the share of its places that was in use */
    double delay_seconds; /* how long queries waited for their turn */
};

#endif
