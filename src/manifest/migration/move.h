/*
 * The edits that move one trigger to Backlog, and back. For migration.c.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_MANIFEST_MIGRATION_MOVE_H
#define BACKLOG_MANIFEST_MIGRATION_MOVE_H

#include "manifest/builtin.h"
#include "manifest/migration/edits.h"

struct move {
    const struct manifest_file *file;
    const struct lines *lines;
    const struct yaml_tree *trigger;
    const char *scaler_address;
    const char *authentication; /* what gives KEDA its certificates for the server; NULL: none */
    bool is_cluster_wide;       /* it is a ClusterTriggerAuthentication */
    struct edits *edits;
};

/* Adds the edits that make it a trigger of this type, external or external-push. Fails where the
 * YAML is written in a way that cannot be edited. */
bool move_there(const struct move *move, const struct builtin *builtin, const char *type,
                struct error *error);

/* Is its authenticationRef that of KEDA's certificates, of the same kind? */
bool move_names_certificates(const struct move *move);
/* Does a template write its authenticationRef, so that its name is not known here? */
bool move_ref_is_templated(const struct move *move);

/* Adds the edits that make it a trigger of the server at the address, as move_there() would have
 * made it, if it has been moved to another one, or without `authentication`; none where it is one.
 * Without `authentication` only the address changes. An authenticationRef that a template writes
 * stays, where nothing else changes. Fails as move_there(). */
bool move_to_server(const struct move *move, struct error *error);

/* Adds the edit that makes one that has moved one of this type; none where it is one. Fails as
 * move_there(). */
bool move_to_type(const struct move *move, const char *type, struct error *error);

/* Adds the edits that make it one of KEDA's own again, by its metadata alone. */
bool move_back(const struct move *move, const struct scaler *scaler, struct error *error);

#endif
