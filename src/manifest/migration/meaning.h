/*
 * What a file says before and after its triggers have moved: the same, but for what moving changes.
 * It looks at the two texts alone, and knows nothing of how they were edited.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_MANIFEST_MIGRATION_MEANING_H
#define BACKLOG_MANIFEST_MIGRATION_MEANING_H

#include "manifest/manifest.h"
#include "manifest/migration/migration_settings.h"

#include <stdbool.h>

/* One text of the file, and the manifests that it is in. */
struct meaning_text {
    const struct manifests *manifests;
    const struct manifest_file *file;
};

/* Is all outside of triggers the same, and each trigger either the same, or moved as the settings
 * say: there, to another server, or back? */
bool meaning_is_kept(const struct migration_settings *settings, const struct meaning_text *before,
                     const struct meaning_text *after);

#endif
