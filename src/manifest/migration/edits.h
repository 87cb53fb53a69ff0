/*
 * Edits of a text: some bytes in place of others. All other bytes stay as they are.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_MANIFEST_MIGRATION_EDITS_H
#define BACKLOG_MANIFEST_MIGRATION_EDITS_H

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
/* Leaves the first `count`. */
void edits_cut(struct edits *edits, size_t count);
void edits_done(struct edits *edits);

/* The edits as a patch of whole lines. Sorts them. False where some overlap. */
bool edits_patch(struct edits *edits, const struct lines *lines, struct patch *ret_patch);

#endif
