#include "measure/connection/interval_set.h"

#include "base/memory.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The index of the interval, or where to insert it. The search is binary, as triggers may set ten
 * thousand intervals. */
static size_t find(const struct interval_set *set, int64_t interval_ms)
{
    size_t low = 0;
    size_t high = set->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (set->intervals[middle].interval_ms < interval_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct interval_set *set, size_t at, int64_t interval_ms)
{
    return at < set->count && set->intervals[at].interval_ms == interval_ms;
}

void interval_set_add(struct interval_set *set, int64_t interval_ms)
{
    size_t at = find(set, interval_ms);
    if (!is_at(set, at, interval_ms)) {
        set->intervals =
            memory_grow(set->intervals, &set->capacity, set->count + 1, sizeof(*set->intervals));
        memmove(set->intervals + at + 1, set->intervals + at,
                (set->count++ - at) * sizeof(*set->intervals));
        set->intervals[at] = (struct interval_uses){.interval_ms = interval_ms};
    }
    set->intervals[at].uses++;
}

void interval_set_remove(struct interval_set *set, int64_t interval_ms)
{
    size_t at = find(set, interval_ms);
    if (!is_at(set, at, interval_ms) || --set->intervals[at].uses > 0)
        return;
    memmove(set->intervals + at, set->intervals + at + 1,
            (--set->count - at) * sizeof(*set->intervals));
}

void interval_set_done(struct interval_set *set)
{
    free(set->intervals);
    *set = (struct interval_set){0};
}
