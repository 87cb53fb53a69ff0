#include "measure/snapshot.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <sys/param.h>

int64_t snapshot_fresh_ms(const struct query_known *known, int64_t interval_ms)
{
    enum { MIN_MS = 500, DURATIONS = 10 };
    return MIN(interval_ms, MAX(MIN_MS, DURATIONS * known->duration_ms));
}

void snapshot_copy_known(const struct query_known *known, struct query_known *ret_copy)
{
    const struct error error = known->error;
    *ret_copy = *known;
    ret_copy->error = (struct error){0};
    error_copy(&ret_copy->error, &error);
    ret_copy->note = known->note == NULL ? NULL : text_copy(known->note);
}

void snapshot_done(struct snapshot *snapshot)
{
    query_known_done(&snapshot->known);
}

void query_known_done(struct query_known *known)
{
    error_done(&known->error);
    free(TAKE(known->note));
}
