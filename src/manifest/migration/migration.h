/*
 * Moving triggers of KEDA's own types to Backlog, and back: as few edits of the files as it takes, so that
 * comments and formatting stay. Credentials of TriggerAuthentications become named connections.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_MANIFEST_MIGRATION_MIGRATION_H
#define BACKLOG_MANIFEST_MIGRATION_MIGRATION_H

#include "manifest/manifest.h"
#include "manifest/migration/drafts.h"
#include "manifest/migration/patch.h"
#include "measure/scaler.h"

struct migration_settings {
    const struct scaler *const *scalers;
    const char *scaler_address; /* of the triggers */
    const char
        *authentication;  /* what gives KEDA the certificates for the server; NULL: plain text */
    bool is_cluster_wide; /* it is a ClusterTriggerAuthentication */
};

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
    struct drafts drafts; /* the connections to make */
    size_t moved;         /* triggers */
};

/* What is moved is a note; what cannot be moved is an error with the reason, and stays as it is. */
void migration_make(const struct migration_settings *settings, const struct manifests *manifests,
                    struct migration *ret_migration, struct findings *findings);

/* Takes back what migration_make() did, by the comments that it left. A file whose comments somebody has edited is an
 * error, and stays as it is. */
void migration_undo(const struct scaler *const *scalers, const struct manifests *manifests,
                    struct migration *ret_migration, struct findings *findings);

void migration_done(struct migration *migration);

#endif
