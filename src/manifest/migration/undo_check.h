/*
 * What the comments of a migration give back: whole triggers of KEDA's own types, or, where somebody has edited the
 * comments, halves.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_MANIFEST_MIGRATION_UNDO_CHECK_H
#define BACKLOG_MANIFEST_MIGRATION_UNDO_CHECK_H

#include "manifest/manifest.h"
#include "measure/scaler.h"

/* `undone` is the text behind it; `line` that of the first comment. Fails with the line of a trigger that would be neither one
 * of Backlog's nor one of KEDA's. A file that is no YAML before is not checked. */
bool undo_check(const struct scaler *const *scalers, const struct manifests *manifests,
                const struct manifest_file *file, size_t line, const struct text *undone,
                struct error *error);

#endif
