/*
 * The largest value that a trigger answered in the last five minutes: what it goes on to answer while measuring
 * fails.
 *
 * Five minutes are the HPA's stabilization window for scaling down: the HPA keeps the replicas of the largest
 * recommendation in it. A smaller value that is repeated for longer would remove workers in an outage.
 *
 * Time that a failure took does not count, so a short recovery between two outages does not end what was known
 * before the first. Values are kept by half minutes: the window is up to half a minute longer than it says.
 *
 * Threads: none are involved; it belongs to its trigger. Time is a parameter.
 */
#ifndef BACKLOG_SCALE_PEAK_VALUE_H
#define BACKLOG_SCALE_PEAK_VALUE_H

#include <stdint.h>

enum {
    PEAK_VALUE_WINDOW_MS = 5 * 60 * 1000,
    PEAK_VALUE_BUCKET_MS = 30 * 1000,
    PEAK_VALUE_BUCKETS = PEAK_VALUE_WINDOW_MS / PEAK_VALUE_BUCKET_MS + 1,
};

/* Start from {0}. */
struct peak_value {
    double values[PEAK_VALUE_BUCKETS]; /* each the largest of its half minute, 0: none */
    int64_t newest;                    /* the number of the last half minute that has one */
    int64_t last_ms;                   /* of peak_value_add() */
    int64_t failed_ms;                 /* how long failures took that are over */
    int64_t failing_since_ms;          /* of the one that is not; 0: none is */
};

/* A measurement was answered with this value, which is >= 0: what failed is over. */
void peak_value_add(struct peak_value *peak, double value, int64_t now_ms);

/* Measuring has been failing since then. */
void peak_value_fail(struct peak_value *peak, int64_t since_ms);

/* The largest value in the five minutes before `since_ms`, when measuring began to fail; 0: there is none. */
double peak_value_before(const struct peak_value *peak, int64_t since_ms);

#endif
