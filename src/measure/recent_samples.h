/*
 * The recent samples of a query: its last readings, for those who decide by more than the present.
 *
 * It is bounded in number. Samples that come close upon one another (a push measures every few
 * milliseconds) become one, which remembers the most that was waiting and in flight, so that
 * nothing between two samples is lost.
 *
 * Threads: none; they belong to whoever has them. Owner: a query has some under its
 * connection's lock; others copy.
 */
#ifndef BACKLOG_MEASURE_RECENT_SAMPLES_H
#define BACKLOG_MEASURE_RECENT_SAMPLES_H

#include "measure/reading.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RECENT_SAMPLES_MAX = 64 };

struct recent_sample {
    int64_t at_ms; /* when its request was sent */
    struct reading reading;
    /* The largest of all readings that this sample is of; NAN: one is unknown, and none above 0. */
    double max_waiting; /* the value, where the source has no other count */
    double max_in_flight;
    /* Measuring failed, or nobody measured, between the one before and this one. */
    bool is_after_gap;
};

/* Start from {.interval_ms = ...}, which says how far apart measurements are meant to be. */
struct recent_samples {
    int64_t interval_ms;
    int64_t duration_ms; /* of the last measurement: those of a slow source are that far apart */
    struct recent_sample samples[RECENT_SAMPLES_MAX]; /* the oldest first */
    size_t count;
    bool has_gap;    /* since the last sample */
    int64_t last_ms; /* when the last request was sent; its sample's at_ms may be a little later */
};

void recent_samples_add(struct recent_samples *recent, int64_t at_ms,
                        const struct reading *reading);
void recent_samples_add_gap(struct recent_samples *recent);

/* Whether samples so far apart are a gap: several in between are missing. */
bool recent_samples_is_gap(const struct recent_samples *recent, int64_t distance_ms);

/* What waits: messages, or the one number that the source has. */
double recent_samples_waiting(const struct reading *reading);

#endif
