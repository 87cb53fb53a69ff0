/*
 * Can a trigger of one of KEDA's own types be moved to Backlog? `check` and `migrate --cluster` say
 * so, and `migrate` moves what can.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_MANIFEST_CHECKS_MOVE_CHECK_H
#define BACKLOG_MANIFEST_CHECKS_MOVE_CHECK_H

#include "manifest/builtin.h"
#include "manifest/finding.h"
#include "manifest/manifest.h"

#include <stdbool.h>

/* The trigger, and the object that it is of. All borrowed. */
struct move_check {
    const struct scaler *const *scalers;
    const struct manifest_file *file;
    const struct yaml_tree *trigger;
    const char *name, *label; /* "" where it is not known */
    const char *namespace;    /* NULL: not known */
};

/* Adds what is against it, each as an error with its line. Returns whether there is nothing. */
bool move_check(const struct move_check *check, const struct builtin *builtin,
                struct findings *reasons);

/* Warns of a host that the server must list before: it is beside a ClusterTriggerAuthentication,
 * not in it (docs/security.md). Of a trigger that can move. */
void move_check_host(const struct builtin *builtin, const struct finding_place *place,
                     struct findings *findings);

#endif
