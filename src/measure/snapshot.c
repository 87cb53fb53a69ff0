#include "measure/snapshot.h"

#include <sys/param.h>

int64_t snapshot_fresh_ms(const struct snapshot *snapshot, int64_t interval_ms)
{
    enum { MIN_MS = 500, DURATIONS = 10 };
    return MIN(interval_ms, MAX(MIN_MS, DURATIONS * snapshot->duration_ms));
}

void snapshot_done(struct snapshot *snapshot)
{
    error_done(&snapshot->error);
}

const char *client_state_name(enum client_state state)
{
    static const char *const names[] = {
        [CLIENT_DISCONNECTED] = "not connected",
        [CLIENT_CONNECTED] = "connected",
        [CLIENT_FAILED] = "failed",
    };
    return names[state];
}
