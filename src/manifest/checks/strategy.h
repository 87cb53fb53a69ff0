/*
 * A ScaledJob's strategies. Of scaling, and what its trigger counts: it takes a message that is in
 * work for a part of the value, or it does not (KEDA, pkg/scaling/executor/scale_jobs.go,
 * GetEffectiveMaxScale). Of its rollout: a change of the ScaledJob deletes running jobs, or it does
 * not (controllers/keda/scaledjob_controller.go, deletePreviousVersionScaleJobs).
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_MANIFEST_CHECKS_STRATEGY_H
#define BACKLOG_MANIFEST_CHECKS_STRATEGY_H

#include "manifest/entries.h"
#include "manifest/manifest.h"
#include "measure/scaler.h"

/* Of one trigger, which is this scaler's. Adds warnings and notes; none for a ScaledObject. */
void strategy_check(const struct manifest_object *object, const struct yaml_tree *trigger,
                    const struct scaler *scaler, const struct entries *entries, const char *prefix,
                    struct findings *findings);

/* Of a ScaledJob's spec. Adds a warning unless its rollout is gradual; a note where it is another
 * one by choice, or where the rest of the spec is elsewhere: in a template's actions, or in what a
 * patch is for (KEDA's schema requires jobTargetRef). */
void strategy_check_rollout(const struct yaml_tree *spec, bool is_template,
                            const struct finding_place *place, struct findings *findings);

#endif
