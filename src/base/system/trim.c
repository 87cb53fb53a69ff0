#include "base/system/trim.h"

#include "base/clock.h"

enum { TRIM_MIN_DROP = 1000, TRIM_AFTER_MS = 1000 };

void trim_init(struct trim *trim)
{
    *trim = (struct trim){.due_ms = CLOCK_NEVER};
}

bool trim_due(struct trim *trim, size_t count, int64_t now_ms)
{
    if (count > trim->max)
        trim->max = count;
    if (trim->due_ms == CLOCK_NEVER && trim->max - count > TRIM_MIN_DROP)
        trim->due_ms = now_ms + TRIM_AFTER_MS;
    if (now_ms < trim->due_ms)
        return false;
    trim->due_ms = CLOCK_NEVER;
    trim->max = count;
    return true;
}
