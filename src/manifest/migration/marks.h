/*
 * Edits of a YAML text that can be taken back: beside what is new a comment keeps what was there.
 *
 *     # backlog migrate: type in place of:
 *     #|  - type: kafka
 *       - type: external-push
 *
 * The comment names the first word of each new line, so that nothing is taken back that somebody has changed since.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_MANIFEST_MIGRATION_MARKS_H
#define BACKLOG_MANIFEST_MIGRATION_MARKS_H

#include "base/error.h"
#include "manifest/migration/patch.h"

#include <stdbool.h>
#include <stddef.h>

/* These bytes are replaced by the text. */
struct edit {
    size_t start, end;
    char *text;
};

struct edits {
    struct edit *items;
    size_t count, capacity;
};

/* Copies the text. */
void edits_add(struct edits *edits, size_t start, size_t end, const char *text);
void edits_done(struct edits *edits);

/* The edits as a patch, with comments that keep what was there. Sorts them. False where some overlap. */
bool marks_make(struct edits *edits, const struct lines *lines, struct patch *ret_patch);

/* The patch that takes all of it back; an empty one where nothing is marked. `path` is for the error. */
bool marks_undo(const struct lines *lines, const char *path, struct patch *ret_patch,
                struct error *error);

#endif
