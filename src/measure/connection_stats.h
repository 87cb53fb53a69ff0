/*
 * What is counted of a connection, or of several together: engine_stats.c adds it up, for engine.h.
 *
 * Threads: none; copies.
 */
#ifndef BACKLOG_MEASURE_CONNECTION_STATS_H
#define BACKLOG_MEASURE_CONNECTION_STATS_H

#include "base/metric.h"

#include <stddef.h>
#include <stdint.h>

struct connection_counts {
    struct {
        size_t connections;
        size_t failed_connections;
        size_t queries;
        size_t failing_queries;
        size_t isolated_queries; /* in flight, or due: slow, or timed out last */
        size_t subscribed_queries;
        size_t held_triggers; /* are answered by what was known before measuring failed */
        size_t held_connections;
        size_t expired_triggers; /* were held, and are refused since the hold is over */
    } now;
    struct connection_totals { /* also of connections that are no more */
        uint64_t notifications;
        uint64_t failed_subscriptions; /* refused by the source or the scaler */
        uint64_t connects;
        uint64_t failed_connects;
        uint64_t answered;
        uint64_t failed;     /* answered with an error */
        uint64_t unanswered; /* not in time, or the client was lost */
    } ever;
};

struct connection_stats {
    struct connection_counts counts;
    struct histogram measurement_seconds;
    double utilization;   /* of the busiest connection */
    double delay_seconds; /* of the slowest */
};

#endif
