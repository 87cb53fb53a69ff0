#include "scale/answer/peak_value.h"

#include "base/memory.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void peak_value_done(struct peak_value *peak)
{
    free(peak->entries);
    *peak = (struct peak_value){0};
}

static void remove_entry(struct peak_value *peak, size_t at)
{
    peak->count--;
    memmove(peak->entries + at, peak->entries + at + 1,
            (peak->count - at) * sizeof(*peak->entries));
}

/* The larger value is taken to have been there for as long as the smaller one. */
static void join_closest(struct peak_value *peak)
{
    struct peak_value_entry *entries = peak->entries;
    size_t closest = 0;
    for (size_t i = 1; i + 1 < peak->count; i++)
        if (entries[i + 1].at_ms - entries[i].at_ms <
            entries[closest + 1].at_ms - entries[closest].at_ms)
            closest = i;
    entries[closest].at_ms = entries[closest + 1].at_ms;
    remove_entry(peak, closest + 1);
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
    while (peak->count > 0 && peak->entries[0].at_ms <= at_ms - window_ms) /* as the HPA (hpa.c) */
        remove_entry(peak, 0);
    if (peak->count == PEAK_VALUE_MAX_ENTRIES)
        join_closest(peak);
    peak->entries =
        memory_grow(peak->entries, &peak->capacity, peak->count + 1, sizeof(*peak->entries));
    peak->entries[peak->count++] = (struct peak_value_entry){value, at_ms};
}

/* From the latest one back those that are larger than all that came after. */
size_t peak_value_merge(struct peak_value_entry entries[PEAK_VALUE_MAX_ENTRIES], size_t count,
                        const struct peak_value_entry *others, size_t others_count)
{
    struct peak_value_entry both[2 * PEAK_VALUE_MAX_ENTRIES];
    struct peak_value merged = {.entries = both + ARRAY_LENGTH(both)};
    while (count > 0 || others_count > 0) {
        bool is_own = others_count == 0 ||
                      (count > 0 && entries[count - 1].at_ms >= others[others_count - 1].at_ms);
        const struct peak_value_entry *entry = is_own ? &entries[--count] : &others[--others_count];
        if (merged.count > 0 && entry->value <= merged.entries->value)
            continue;
        *--merged.entries = *entry;
        merged.count++;
    }
    while (merged.count > PEAK_VALUE_MAX_ENTRIES)
        join_closest(&merged);
    memcpy(entries, merged.entries, merged.count * sizeof(*entries));
    return merged.count;
}

void peak_value_add_earlier(struct peak_value *peak, const struct peak_value_entry *entries,
                            size_t count, int64_t now_ms)
{
    struct peak_value_entry merged[PEAK_VALUE_MAX_ENTRIES];
    int64_t latest_ms = now_ms - peak->failed_for_ms;
    for (size_t i = 0; i < count; i++) {
        int64_t at_ms = entries[i].at_ms - peak->failed_for_ms;
        merged[i] =
            (struct peak_value_entry){entries[i].value, at_ms < latest_ms ? at_ms : latest_ms};
    }
    if (count == 0)
        return;
    if (peak->count == 0)
        peak->added_at_ms = now_ms;
    peak->count = peak_value_merge(merged, count, peak->entries, peak->count);
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

int64_t peak_value_age_ms(const struct peak_value *peak, const struct peak_value_entry *entry)
{
    int64_t age_ms = peak->added_at_ms - peak->failed_for_ms - entry->at_ms;
    return age_ms > 0 ? age_ms : 0;
}

double peak_value_largest(const struct peak_value *peak)
{
    return peak->count == 0 ? 0 : peak->entries[0].value;
}
