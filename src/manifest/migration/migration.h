/*
 * Moving triggers of KEDA's own types to Backlog, to another server, and back: a type and two keys.
 * What is not edited stays byte by byte. The credentials stay where they are, for a server with
 * --kubernetes.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_MANIFEST_MIGRATION_MIGRATION_H
#define BACKLOG_MANIFEST_MIGRATION_MIGRATION_H

#include "manifest/manifest.h"
#include "manifest/migration/migration_settings.h"
#include "manifest/migration/patch.h"

/* Of one file. */
struct migrated_file {
    const struct manifest_file *file;
    struct lines lines;
    struct patch patch;
    struct text text; /* behind it */
};

struct migration {
    struct migrated_file *items; /* those that change */
    size_t count, capacity;
    size_t moved; /* triggers, to another server, too */
};

/* What is moved is a note; what cannot be moved is an error with the reason, and stays as it is. */
void migration_make(const struct migration_settings *settings, const struct manifests *manifests,
                    struct migration *ret_migration, struct findings *findings);
void migration_done(struct migration *migration);

#endif
