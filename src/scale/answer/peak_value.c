#include "scale/answer/peak_value.h"

#include "base/memory.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void peak_value_done(struct peak_value *peak)
{
    free(peak->entries);
    *peak = (struct peak_value){0};
}

static void end_failure(struct peak_value *peak)
{
    if (peak->failing_since_ms > 0 && peak->held_at_ms > peak->failing_since_ms)
        peak->failed_for_ms += peak->held_at_ms - peak->failing_since_ms;
    peak->failing_since_ms = 0;
}

void peak_value_add(struct peak_value *peak, double value, int64_t window_ms, int64_t now_ms)
{
    end_failure(peak);
    int64_t at_ms = now_ms - peak->failed_for_ms;
    peak->added_at_ms = now_ms;
    while (peak->count > 0 && peak->entries[peak->count - 1].value <= value)
        peak->count--;
    peak->count =
        peaks_drop(peak->entries, peak->count, at_ms - window_ms); /* as the HPA (hpa.c) */
    if (peak->count == PEAKS_MAX)
        peak->count = peaks_join_closest(peak->entries, peak->count);
    peak->entries =
        memory_grow(peak->entries, &peak->capacity, peak->count + 1, sizeof(*peak->entries));
    peak->entries[peak->count++] = (struct peak){value, at_ms};
}

void peak_value_add_earlier(struct peak_value *peak, const struct peak *entries, size_t count,
                            int64_t now_ms)
{
    struct peak merged[PEAKS_MAX];
    int64_t latest_ms = now_ms - peak->failed_for_ms;
    assert(count <= PEAKS_MAX);
    for (size_t i = 0; i < count; i++) {
        int64_t at_ms = entries[i].at_ms - peak->failed_for_ms;
        merged[i] = (struct peak){entries[i].value, at_ms < latest_ms ? at_ms : latest_ms};
    }
    if (count == 0)
        return;
    if (peak->count == 0)
        peak->added_at_ms = now_ms;
    peak->count = peaks_merge(merged, count, PEAKS_MAX, peak->entries, peak->count);
    peak->entries =
        memory_grow(peak->entries, &peak->capacity, peak->count, sizeof(*peak->entries));
    memcpy(peak->entries, merged, peak->count * sizeof(*peak->entries));
}

/* A failure counts from the last answer on, if it began before that. One that began after the last
 * held value is another one: in between was a reading, though no call was answered with it. */
void peak_value_hold(struct peak_value *peak, int64_t since_ms, int64_t now_ms)
{
    if (since_ms > peak->held_at_ms)
        end_failure(peak);
    if (peak->failing_since_ms == 0)
        peak->failing_since_ms = since_ms > peak->added_at_ms ? since_ms : peak->added_at_ms;
    peak->held_at_ms = now_ms;
}

int64_t peak_value_age_ms(const struct peak_value *peak, const struct peak *entry)
{
    int64_t age_ms = peak->added_at_ms - peak->failed_for_ms - entry->at_ms;
    return age_ms > 0 ? age_ms : 0;
}

double peak_value_largest(const struct peak_value *peak)
{
    return peak->count == 0 ? 0 : peak->entries[0].value;
}
