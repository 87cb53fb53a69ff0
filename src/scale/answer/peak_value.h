/*
 * The largest value that a trigger answered lately: what it goes on to answer while measuring
 * fails.
 *
 * The HPA keeps the replicas of the largest recommendation in its stabilization window for scaling
 * down. A smaller value that is repeated for longer would remove workers in an outage; a larger
 * one, of before that window, would start replicas that have gone. So the memory is as long as that
 * window (300 s, where nobody sets another), and reaches back from what was answered last: by then
 * the HPA had the replicas that it keeps.
 *
 * Time in which held values were answered does not count, so a short recovery between two outages
 * does not end what was known before the first.
 *
 * Threads: none are involved; it belongs to its trigger. Time is a parameter, and never goes back.
 */
#ifndef BACKLOG_SCALE_ANSWER_PEAK_VALUE_H
#define BACKLOG_SCALE_ANSWER_PEAK_VALUE_H

#include "scale/policy/peaks.h"

#include <stddef.h>
#include <stdint.h>

/* The HPA's, where its object sets none; as holdWindow's default in metadata/general.c. */
enum { PEAK_VALUE_WINDOW_MS = 5 * 60 * 1000 };

/* Start from {0}; peak_value_done() ends it. */
struct peak_value {
    /* Of the window, PEAKS_MAX at most. Their times are of a clock that stands still in failures:
     * failed_for_ms behind now_ms. */
    struct peak *entries;
    size_t count, capacity;
    int64_t added_at_ms;      /* when peak_value_add() was called last */
    int64_t failed_for_ms;    /* how long held values were answered, in failures that are over */
    int64_t failing_since_ms; /* when the failure began that goes on; 0: there is none */
    int64_t held_at_ms;       /* when a held value was answered last */
};

void peak_value_done(struct peak_value *peak);

/* A measurement was answered with this value, which is >= 0: what failed is over. */
void peak_value_add(struct peak_value *peak, double value, int64_t window_ms, int64_t now_ms);

/* What another replica answered before this one came, by the clock of now_ms, merged with what is
 * known. */
void peak_value_add_earlier(struct peak_value *peak, const struct peak *entries, size_t count,
                            int64_t now_ms);

/* Measuring has been failing since then, and a held value was answered. */
void peak_value_hold(struct peak_value *peak, int64_t since_ms, int64_t now_ms);

/* How long before the last addition the entry was answered, without failures. */
int64_t peak_value_age_ms(const struct peak_value *peak, const struct peak *entry);

/* The largest value in the window that ends with the last one; 0: nothing was answered. */
double peak_value_largest(const struct peak_value *peak);

#endif
