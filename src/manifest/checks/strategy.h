/*
 * A ScaledJob's scalingStrategy and what its trigger counts: a strategy takes a message that is in
 * work for a part of the value, or it does not (KEDA, pkg/scaling/executor/scale_jobs.go,
 * GetEffectiveMaxScale).
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_MANIFEST_CHECKS_STRATEGY_H
#define BACKLOG_MANIFEST_CHECKS_STRATEGY_H

#include "manifest/entries.h"
#include "manifest/manifest.h"

/* Of one trigger, which is this scaler's. Adds warnings and notes; none for a ScaledObject. */
void strategy_check(const struct manifest_object *object, const struct yaml_tree *trigger,
                    const char *scaler, const struct entries *entries, const char *prefix,
                    struct findings *findings);

#endif
