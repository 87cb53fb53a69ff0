/*
 * The recent samples of a query: its last readings, for scaling policies.
 *
 * There are at most RECENT_SAMPLES_MAX. Readings that are closer together than the interval become
 * one sample, as a push measures every few milliseconds. The sample remembers the most that was
 * waiting and in flight, so that no peak between two samples is lost.
 *
 * Threads: none; a query has its samples under its connection's lock, others have copies.
 */
#ifndef BACKLOG_MEASURE_RECENT_SAMPLES_H
#define BACKLOG_MEASURE_RECENT_SAMPLES_H

#include "measure/reading.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RECENT_SAMPLES_MAX = 64 };

struct recent_sample {
    int64_t at_ms;          /* when the request for the reading was sent */
    struct reading reading; /* the last one of this sample */
    /* The maxima of all readings of this sample. NAN: a reading had no such count, and no other one
     * was above 0. */
    double max_waiting; /* of recent_samples_waiting() */
    double max_in_flight;
    /* Between the sample before and this one measuring failed, or nobody measured. */
    bool is_after_gap;
};

/* Start from {.interval_ms = ...}. */
struct recent_samples {
    int64_t interval_ms; /* how far apart samples are to be */
    int64_t duration_ms; /* of the last measurement: samples of a slow source are that far apart */
    int64_t waited_ms;   /* how long the last measurement waited for its turn */
    unsigned wants;      /* bits of enum reading_want: what the last reading was measured with */
    struct recent_sample samples[RECENT_SAMPLES_MAX]; /* the oldest first */
    size_t count;
    bool has_gap;    /* since the last sample */
    int64_t last_ms; /* when the last request was sent; its sample's at_ms may be a little later */
};

void recent_samples_add(struct recent_samples *recent, int64_t at_ms,
                        const struct reading *reading);
void recent_samples_add_gap(struct recent_samples *recent);

/* Whether a distance between the last sample and one before it is a gap: several samples in between
 * are missing, though it was their turn. */
bool recent_samples_is_gap(const struct recent_samples *recent, int64_t distance_ms);

/* How much of a distance between two samples is too long to say that in between it was as in both:
 * a source that cannot keep up has no gaps, but is seen seldom. */
int64_t recent_samples_unseen_ms(const struct recent_samples *recent, int64_t distance_ms);

/* `waiting`, or `value` if the source has no such count. */
double recent_samples_waiting(const struct reading *reading);

#endif
