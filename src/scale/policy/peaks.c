#include "scale/policy/peaks.h"

#include "base/memory.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

static size_t remove_at(struct peak *peaks, size_t count, size_t at)
{
    memmove(peaks + at, peaks + at + 1, (count - at - 1) * sizeof(*peaks));
    return count - 1;
}

size_t peaks_drop(struct peak *peaks, size_t count, int64_t at_ms)
{
    while (count > 0 && peaks[0].at_ms <= at_ms)
        count = remove_at(peaks, count, 0);
    return count;
}

size_t peaks_join_closest(struct peak *peaks, size_t count)
{
    size_t closest = 0;
    assert(count >= 2);
    for (size_t i = 1; i + 1 < count; i++)
        if (peaks[i + 1].at_ms - peaks[i].at_ms < peaks[closest + 1].at_ms - peaks[closest].at_ms)
            closest = i;
    peaks[closest].at_ms = peaks[closest + 1].at_ms;
    return remove_at(peaks, count, closest + 1);
}

/* From the latest one back those that are larger than all that came after. */
size_t peaks_merge(struct peak *peaks, size_t count, size_t max, const struct peak *others,
                   size_t others_count)
{
    struct peak both[2 * PEAKS_MAX];
    struct peak *merged = both + ARRAY_LENGTH(both);
    size_t merged_count = 0;
    while (count > 0 || others_count > 0) {
        bool is_own = others_count == 0 ||
                      (count > 0 && peaks[count - 1].at_ms >= others[others_count - 1].at_ms);
        const struct peak *peak = is_own ? &peaks[--count] : &others[--others_count];
        if (merged_count > 0 && peak->value <= merged->value)
            continue;
        *--merged = *peak;
        merged_count++;
    }
    while (merged_count > max)
        merged_count = peaks_join_closest(merged, merged_count);
    memcpy(peaks, merged, merged_count * sizeof(*peaks));
    return merged_count;
}
