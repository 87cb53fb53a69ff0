/*
 * A patch: which lines of a text are replaced by which others. What it does not name stays as it
 * is, byte by byte.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_MANIFEST_MIGRATION_PATCH_H
#define BACKLOG_MANIFEST_MIGRATION_PATCH_H

#include "base/text.h"

#include <stddef.h>

/* Where the lines of a text begin; each ends with its LF, but perhaps for the last. */
struct lines {
    const char *text;
    size_t *starts; /* count + 1: the last is the end of the text */
    size_t count;
};

void lines_init(struct lines *lines, const char *text, size_t length);
void lines_done(struct lines *lines);

/* The line, from 0 on, that has this byte. */
size_t lines_find(const struct lines *lines, size_t byte);

struct patch_item {
    size_t first,
        count;  /* lines of the text, from 0 on; no count: the new ones come before `first` */
    char *text; /* whole lines; "" : none */
};

struct patch {
    struct patch_item *items; /* in order, none touches another */
    size_t count, capacity;
};

/* Takes the text. Behind all that are there. */
void patch_add(struct patch *patch, size_t first, size_t count, char *text);
void patch_done(struct patch *patch);

/* The text behind it is added to `ret_text`. */
void patch_apply(const struct patch *patch, const struct lines *lines, struct text *ret_text);

/* As `diff -u` writes it, with three lines around each change; "" where there is none. */
void patch_diff(const struct patch *patch, const struct lines *lines, const char *path,
                struct text *ret_diff);

#endif
