/*
 * Drafts of connections: what the connections file needs for triggers that had a TriggerAuthentication.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_MANIFEST_MIGRATION_DRAFTS_H
#define BACKLOG_MANIFEST_MIGRATION_DRAFTS_H

#include "base/text.h"
#include "manifest/builtin.h"

#include <stdbool.h>
#include <stddef.h>

/* Who reads the file: values of the chart name a Secret, the server names a file of it. */
enum drafts_format { DRAFTS_FOR_CHART, DRAFTS_FOR_SERVER };

struct draft_line {
    char *key;
    char *value;  /* NULL: it is in a Secret */
    char *secret; /* ... of this name, */
    char *item;   /* ... under this key */
};

struct draft {
    char *name;
    const char *scaler;
    const char *namespace; /* that may use it; NULL: all */
    struct draft_line *lines;
    size_t count;
};

struct drafts {
    struct draft *items;
    size_t count, capacity;
};

/* The connection of a trigger that needs one: an equal one is there already, or it is added. Returns its name,
 * which lives as long as the drafts. */
const char *drafts_add(struct drafts *drafts, const struct builtin *builtin, const char *namespace);
void drafts_done(struct drafts *drafts);

/* Leaves the first `count`: what the others were for did not move. */
void drafts_cut(struct drafts *drafts, size_t count);

/* The YAML file. */
void drafts_write(const struct drafts *drafts, enum drafts_format format, struct text *ret_text);

/* A value as YAML takes it for a text, in quotes where it needs them. Also within brackets. */
void yaml_add_text(struct text *text, const char *value);

#endif
