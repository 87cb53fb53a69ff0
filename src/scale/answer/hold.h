/*
 * What a trigger goes on to be answered while measuring fails: what KEDA was answered before that.
 *
 * The HPA keeps the replicas of the largest recommendation in its stabilization window for scaling
 * down. A smaller value that is repeated for longer would remove workers in an outage; a larger
 * one, of before that window, would start replicas that have gone. So what is held is the largest
 * value that GetMetrics was answered in a time as long as that window (300 s, where nobody sets
 * another) before the failure. Time in which measuring fails does not count, so a short recovery
 * between two outages does not end what was known before the first.
 *
 *     a call or stream is answered from a measurement    hold_measured(): measuring does not fail
 *     ... and it is GetMetrics                           hold_add(), after that
 *     it could not be                                    hold_failed(): the hold begins, once
 *     another replica, or the trigger before an edit     hold_take(), which counts until this one
 *     has answered                                       is measured
 *
 * Threads: none are involved; it belongs to its trigger. Times are milliseconds of one clock, which
 * the caller passes in and which never goes back. 0: there is none, but of since_ms.
 */
#ifndef BACKLOG_SCALE_ANSWER_HOLD_H
#define BACKLOG_SCALE_ANSWER_HOLD_H

#include "scale/policy/peaks.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The HPA's, where its object sets none; as holdWindow's default in metadata/general.c. */
enum { HOLD_WINDOW_MS = 5 * 60 * 1000 };

/* Start from {0}; hold_done() ends it. */
struct hold {
    bool is_active;      /* the last answer from a measurement was: otherwise nothing is held */
    bool is_own;         /* that answer was this trigger's, not taken from others */
    double value;        /* of that answer, which is >= 0 */
    int64_t measured_ms; /* when the request for its reading was sent; 0: there was no answer */

    /* Of GetMetrics, PEAKS_MAX at most; NULL: only zeros were answered. While measuring fails the
     * times are of before that. */
    struct peak *peaks;
    size_t peaks_count, peaks_capacity;

    int64_t failing_since_ms; /* the first answer since then that no measurement gave */
    bool has_begun;           /* that was here, or what is held was taken from others */
    int64_t since_ms;         /* when: where it was taken from maybe before this machine started */
};

/* What one holds, for others. */
struct held {
    double value;     /* it is active */
    int64_t since_ms; /* as hold_since_ms() or, where measuring does not fail, as measured_ms */
    size_t peaks_count;
    struct peak peaks[PEAKS_MAX];
};

/* An answer from a measurement, the request for which was sent then. */
void hold_measured(struct hold *hold, double value, bool active, int64_t sent_ms, int64_t now_ms);

/* GetMetrics was answered with this value, from a measurement. */
void hold_add(struct hold *hold, double value, int64_t window_ms, int64_t now_ms);

/* An answer that no measurement gave. */
void hold_failed(struct hold *hold, int64_t now_ms);

/* Since when it is held, if measuring fails now. */
int64_t hold_since_ms(const struct hold *hold, int64_t now_ms);

/* The value to hold. */
double hold_value(const struct hold *hold);

/* False: nothing is held. */
bool hold_give(const struct hold *hold, int64_t now_ms, struct held *ret_held);

/* Where this trigger was measured, only the peaks count. */
void hold_take(struct hold *hold, const struct held *held, int64_t now_ms);

/* Of two the larger value counts, and the later time; of their peaks the larger at each time. */
void held_merge(struct held *known, const struct held *other);

void hold_done(struct hold *hold);

#endif
