/*
 * Peaks: what was the largest of a time. The first is the largest, and each is later than the one
 * before, since what was smaller and earlier is of no use: when the first is too old, the next one
 * is the largest that is left.
 *
 * Threads: none are involved. Times are of one clock in all that is merged.
 */
#ifndef BACKLOG_SCALE_POLICY_PEAKS_H
#define BACKLOG_SCALE_POLICY_PEAKS_H

#include <stddef.h>
#include <stdint.h>

enum { PEAKS_MAX = 32 }; /* that any caller keeps */

/* A value, and when it was so last. */
struct peak {
    double value;
    int64_t at_ms;
};

/* Drops those that were so no later than `at_ms`. Returns how many are left. */
size_t peaks_drop(struct peak *peaks, size_t count, int64_t at_ms);

/* Two that are closest become one: the larger value is taken to have been there for as long as the
 * smaller one. There are two at least. Returns how many are left. */
size_t peaks_join_closest(struct peak *peaks, size_t count);

/* Merges others with them: at each time the larger value counts. Neither are more than PEAKS_MAX.
 * Returns how many there are then, `max` at most. */
size_t peaks_merge(struct peak *peaks, size_t count, size_t max, const struct peak *others,
                   size_t others_count);

#endif
