#include "measure/snapshot.h"

#include <sys/param.h>

int64_t snapshot_fresh_ms(const struct query_known *known, int64_t interval_ms)
{
    enum { MIN_MS = 500, DURATIONS = 10 };
    return MIN(interval_ms, MAX(MIN_MS, DURATIONS * known->duration_ms));
}

void snapshot_copy(const struct snapshot *snapshot, struct snapshot *ret_copy)
{
    *ret_copy = *snapshot;
    snapshot_copy_known(&snapshot->known, &ret_copy->known);
}

void snapshot_copy_known(const struct query_known *known, struct query_known *ret_copy)
{
    *ret_copy = *known;
    ret_copy->error = (struct error){0};
    error_copy(&ret_copy->error, &known->error);
}

void snapshot_done(struct snapshot *snapshot)
{
    error_done(&snapshot->known.error);
}
