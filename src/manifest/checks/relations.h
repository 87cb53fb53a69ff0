/*
 * What goes together badly: settings of KEDA's that Backlog never sees, and those of its trigger.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_MANIFEST_CHECKS_RELATIONS_H
#define BACKLOG_MANIFEST_CHECKS_RELATIONS_H

#include "manifest/entries.h"
#include "manifest/manifest.h"

/* Of one trigger of type external or external-push. Adds warnings and notes. */
void relations_check(const struct manifest_object *object, const struct yaml_tree *trigger,
                     const struct entries *entries, const char *prefix, struct findings *findings);

/* The value of `hold` in a trigger whose fallback shall take over. */
#define RELATIONS_HOLD_WITH_FALLBACK "60s"

/* Of a ScaledJob's trigger without hold: KEDA starts jobs for a value at each poll, and an error
 * ends none (pkg/scaling/executor/scale_jobs.go). */
#define RELATIONS_HOLD_OF_JOBS                                                                     \
    "in an outage a held value starts jobs at each poll: add hold: \"0s\""

#endif
