/*
 * Can KEDA's own scaler take a trigger of Backlog over? `migrate --back` moves what can.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_MANIFEST_CHECKS_BACK_CHECK_H
#define BACKLOG_MANIFEST_CHECKS_BACK_CHECK_H

#include "manifest/finding.h"
#include "manifest/manifest.h"
#include "measure/scaler.h"

#include <stdbool.h>

/* The trigger, whose metadata is a map, and the object that it is of. All borrowed. */
struct back_check {
    const struct manifests *manifests;
    const struct manifest_file *file;
    const struct yaml_tree *trigger;
    const struct scaler *scaler;
    const char *label;     /* "" where it is not known */
    const char *namespace; /* NULL: not known */
};

/* False with an error where KEDA's scaler lacks a key that it requires, or would scale by a default
 * in place of a policy. What a template adds is not known: there is no error then. */
bool back_check(const struct back_check *check, struct error *error);

/* Adds what KEDA's scaler ignores of the metadata: keys of the source as warnings, others as a
 * note. */
void back_check_keys(const struct back_check *check, struct findings *findings);

#endif
