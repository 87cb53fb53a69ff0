/*
 * What is counted of a connection, or of several together. engine_stats.c adds it up for engine.h.
 *
 * Threads: any; these are copies, which belong to whoever has them.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_STATS_H
#define BACKLOG_MEASURE_CONNECTION_STATS_H

#include "base/metric.h"

#include <stdint.h>

enum connection_count {
    /* What is so now. */
    COUNT_CONNECTIONS,
    COUNT_FAILED_CONNECTIONS,
    COUNT_QUERIES,
    COUNT_FAILING_QUERIES,
    COUNT_ISOLATED_QUERIES, /* those in flight or due that were slow, or timed out last */
    COUNT_SUBSCRIBED_QUERIES,
    COUNT_HELD_TRIGGERS, /* are answered by what was known before measuring failed */
    COUNT_HELD_CONNECTIONS,
    COUNT_EXPIRED_TRIGGERS, /* were held, and are refused since the hold is over */

    /* What ever happened, also on connections that are no more. */
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
    double utilization;   /* the share of its places that the busiest connection used lately */
    double delay_seconds; /* how long queries of the slowest one waited for their turn lately */
};

#endif
