/*
 * The edits that move one trigger to Backlog. For migration.c.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_MANIFEST_MIGRATION_MOVE_H
#define BACKLOG_MANIFEST_MIGRATION_MOVE_H

#include "manifest/builtin.h"
#include "manifest/migration/marks.h"

struct move {
    const struct manifest_file *file;
    const struct lines *lines;
    const struct yaml_tree *trigger;
    const struct builtin *builtin;
    const char *type;                 /* external or external-push */
    const struct option_entry *added; /* to the metadata, in front */
    size_t added_count;
    const char *authentication_ref; /* to add, as YAML within brackets; NULL: none */
};

/* Adds the edits. Fails where the YAML is written in a way that cannot be edited. */
bool move_make(const struct move *move, struct edits *edits, struct error *error);

/* Does the trigger in the edited file say what it is meant to? */
bool move_is_made(const struct move *move, const struct yaml_tree *edited);

#endif
