#include "serve/crowd.h"

#include "base/clock.h"

enum { CROWD_CALLS = 1000, TRIM_AFTER_MS = 1000 };

void crowd_init(struct crowd *crowd)
{
    *crowd = (struct crowd){.due_ms = CLOCK_NEVER};
}

bool crowd_is_over(struct crowd *crowd, size_t calls, int64_t now_ms)
{
    if (calls > crowd->most)
        crowd->most = calls;
    if (crowd->due_ms == CLOCK_NEVER && crowd->most - calls > CROWD_CALLS)
        crowd->due_ms = now_ms + TRIM_AFTER_MS;
    if (now_ms < crowd->due_ms)
        return false;
    crowd->due_ms = CLOCK_NEVER;
    crowd->most = calls;
    return true;
}
