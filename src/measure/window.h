/*
 * A window: the last readings of a query, for those who decide by more than the present.
 *
 * It is bounded in number. Samples that come close upon one another (a push measures every few
 * milliseconds) become one, which remembers the most that was waiting and in flight, so that
 * nothing between two samples is lost.
 *
 * Threads: none; a window belongs to whoever holds it. Owner: a query has one under its
 * connection's lock; others copy.
 */
#ifndef BACKLOG_MEASURE_WINDOW_H
#define BACKLOG_MEASURE_WINDOW_H

#include "measure/task.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WINDOW_MAX_SAMPLES = 64 };

struct window_sample {
    int64_t at_ms; /* when the source was asked */
    struct reading reading;
    double max_waiting; /* of all that became this one; the value, where the source has no other
                           count */
    double max_in_flight;
    bool is_after_gap; /* measuring failed, or nobody measured, between the one before and this one
                        */
};

/* Start from {.interval_ms = ...}: how far apart measurements are meant to be. */
struct window {
    int64_t interval_ms;
    struct window_sample samples[WINDOW_MAX_SAMPLES]; /* the oldest first */
    size_t count;
    bool has_gap; /* since the last sample */
};

void window_add(struct window *window, int64_t at_ms, const struct reading *reading);
void window_add_gap(struct window *window);

/* What waits: messages, or the one number that the source has. */
double window_waiting(const struct reading *reading);

#endif
