/*
 * A Kustomize patch in a file of its own: which kind of object it is for. A JSON patch does not say
 * so; the kustomization that names the file does.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_MANIFEST_MIGRATION_PATCH_TARGET_H
#define BACKLOG_MANIFEST_MIGRATION_PATCH_TARGET_H

#include "manifest/manifest.h"

/* NULL where no kustomization among the files names it, or several do with other kinds. Borrowed
 * from the manifests. */
const char *patch_target_kind(const struct manifests *manifests, const struct manifest_file *file);

/* Is it a kustomization? One may have no kind. */
bool patch_target_is_kustomization(const struct yaml_tree *tree);

#endif
