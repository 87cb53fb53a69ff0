/*
 * What the dashboard of a rehearsal shows at a moment: a row for each trigger and worker, the
 * figures of its head, and what each ScaledObject has.
 *
 * Threads: a recorder is of the rehearsal's; a snapshot does not change, and may be read by any.
 * Owner:   the caller.
 */
#ifndef BACKLOG_LAB_REHEARSAL_SNAPSHOT_H
#define BACKLOG_LAB_REHEARSAL_SNAPSHOT_H

#include "lab/rehearsal.h"
#include "lab/worker_logs.h"
#include "web/content/live_tables.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* A row of a table, as JSON. */
struct rehearsal_row {
    enum live_table table;
    uint64_t id;
    char *fixed, *live;
};

/* What a ScaledObject has: "namespace/name". */
struct rehearsal_replicas {
    char *label;
    int64_t replicas, ready;
};

struct rehearsal_snapshot {
    struct rehearsal_row *rows; /* by id */
    size_t count, capacity;
    struct rehearsal_replicas *objects;
    size_t objects_count;
    json_t *figures;
};

/* Remembers the workers that there were. */
struct rehearsal_recorder;

/* The logs are borrowed. */
struct rehearsal_recorder *rehearsal_recorder_new(struct worker_logs *logs);
void rehearsal_recorder_free(struct rehearsal_recorder *recorder);

struct rehearsal_snapshot *rehearsal_record(struct rehearsal_recorder *recorder,
                                            const struct rehearsal *rehearsal, int64_t now_ms);
void rehearsal_snapshot_free(struct rehearsal_snapshot *snapshot); /* of NULL, too */

#endif
