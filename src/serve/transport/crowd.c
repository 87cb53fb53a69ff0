#include "serve/transport/crowd.h"

#include "base/clock.h"

enum { CROWD = 1000, TRIM_AFTER_MS = 1000 };

void crowd_init(struct crowd *crowd)
{
    *crowd = (struct crowd){.due_ms = CLOCK_NEVER};
}

bool crowd_is_over(struct crowd *crowd, size_t count, int64_t now_ms)
{
    if (count > crowd->most)
        crowd->most = count;
    if (crowd->due_ms == CLOCK_NEVER && crowd->most - count > CROWD)
        crowd->due_ms = now_ms + TRIM_AFTER_MS;
    if (now_ms < crowd->due_ms)
        return false;
    crowd->due_ms = CLOCK_NEVER;
    crowd->most = count;
    return true;
}
