#include "measure/snapshot.h"

#include <sys/param.h>

int64_t snapshot_fresh_ms(const struct snapshot *snapshot, int64_t interval_ms)
{
    enum { MIN_MS = 500, DURATIONS = 10 };
    return MIN(interval_ms, MAX(MIN_MS, DURATIONS * snapshot->duration_ms));
}

void snapshot_copy(const struct snapshot *snapshot, struct snapshot *ret_copy)
{
    *ret_copy = *snapshot;
    ret_copy->error = (struct error){0};
    error_copy(&ret_copy->error, &snapshot->error);
}

void snapshot_done(struct snapshot *snapshot)
{
    error_done(&snapshot->error);
}
