#include "scale/answer/hold.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

static int64_t failing_ms(const struct hold *hold, int64_t now_ms)
{
    return hold->failing_since_ms > 0 ? now_ms - hold->failing_since_ms : 0;
}

static void move_peaks(struct peak *peaks, size_t count, int64_t by_ms)
{
    for (size_t i = 0; i < count; i++)
        peaks[i].at_ms += by_ms;
}

void hold_measured(struct hold *hold, double value, bool active, int64_t sent_ms, int64_t now_ms)
{
    move_peaks(hold->peaks, hold->peaks_count, failing_ms(hold, now_ms));
    hold->failing_since_ms = 0;
    hold->has_begun = false;
    hold->is_own = true;
    hold->is_active = active;
    hold->value = value;
    hold->measured_ms = sent_ms;
}

/* Of idle triggers, which are most of them where there are many, nothing is kept. */
void hold_add(struct hold *hold, double value, int64_t window_ms, int64_t now_ms)
{
    size_t count = hold->peaks_count;
    if (count == 0 && !(value > 0))
        return;
    while (count > 0 && hold->peaks[count - 1].value <= value)
        count--;
    count = peaks_drop(hold->peaks, count, now_ms - window_ms); /* as the HPA (hpa.c) */
    if (count == PEAKS_MAX)
        count = peaks_join_closest(hold->peaks, count);
    hold->peaks = memory_grow(hold->peaks, &hold->peaks_capacity, count + 1, sizeof(*hold->peaks));
    hold->peaks[count] = (struct peak){value, now_ms};
    hold->peaks_count = count + 1;
}

void hold_failed(struct hold *hold, int64_t now_ms)
{
    if (hold->failing_since_ms == 0)
        hold->failing_since_ms = now_ms;
    hold->since_ms = hold_since_ms(hold, now_ms);
    hold->has_begun = true;
}

int64_t hold_since_ms(const struct hold *hold, int64_t now_ms)
{
    return hold->has_begun ? hold->since_ms : now_ms;
}

double hold_value(const struct hold *hold)
{
    return hold->peaks_count == 0 ? hold->value : fmax(hold->value, hold->peaks[0].value);
}

/* ---- others ---- */

bool hold_give(const struct hold *hold, int64_t now_ms, struct held *ret_held)
{
    if (!hold->is_active)
        return false;
    ret_held->value = hold->value;
    ret_held->since_ms = hold_since_ms(hold, hold->measured_ms);
    ret_held->peaks_count = hold->peaks_count;
    for (size_t i = 0; i < hold->peaks_count; i++)
        ret_held->peaks[i] = hold->peaks[i];
    move_peaks(ret_held->peaks, ret_held->peaks_count, failing_ms(hold, now_ms));
    return true;
}

void held_merge(struct held *known, const struct held *other)
{
    known->value = fmax(known->value, other->value);
    known->since_ms = MAX(known->since_ms, other->since_ms);
    known->peaks_count =
        peaks_merge(known->peaks, known->peaks_count, PEAKS_MAX, other->peaks, other->peaks_count);
}

static void set_peaks(struct hold *hold, const struct peak *peaks, size_t count)
{
    hold->peaks = memory_grow(hold->peaks, &hold->peaks_capacity, count, sizeof(*hold->peaks));
    if (count > 0)
        memcpy(hold->peaks, peaks, count * sizeof(*peaks));
    hold->peaks_count = count;
}

void hold_take(struct hold *hold, const struct held *held, int64_t now_ms)
{
    struct held both = {.since_ms = INT64_MIN};
    struct held other = *held;
    move_peaks(other.peaks, other.peaks_count, -failing_ms(hold, now_ms));
    if (hold->peaks_count > 0)
        memcpy(both.peaks, hold->peaks, hold->peaks_count * sizeof(*hold->peaks));
    both.peaks_count = hold->peaks_count;
    if (hold->is_active) {
        both.value = hold->value;
        both.since_ms = hold_since_ms(hold, hold->measured_ms);
    }
    held_merge(&both, &other);
    set_peaks(hold, both.peaks, both.peaks_count);
    if (hold->is_own)
        return;
    hold->is_active = hold->has_begun = true;
    hold->value = both.value;
    hold->measured_ms = hold->since_ms = both.since_ms;
}

void hold_done(struct hold *hold)
{
    free(hold->peaks);
    *hold = (struct hold){0};
}
