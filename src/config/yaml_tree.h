/*
 * YAML as a tree: for files that people have written for somebody else, of which we read some keys.
 *
 * Threads: any; nothing changes after parsing.
 * Owner:   the forest owns all of its trees.
 */
#ifndef BACKLOG_CONFIG_YAML_TREE_H
#define BACKLOG_CONFIG_YAML_TREE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum yaml_kind {
    YAML_TREE_NULL,
    YAML_TREE_TEXT,
    YAML_TREE_LIST,
    YAML_TREE_MAP,
    YAML_TREE_INVALID, /* only with yaml_rules.keeps_invalid: `text` says why */
};

/* Bytes of the file (of a UTF-8 one; the lines are right in any case). */
struct yaml_span {
    size_t line; /* from 1 on */
    size_t start, end;
};

struct yaml_tree {
    enum yaml_kind kind;
    size_t line;
    size_t start,
        end;        /* its bytes; of a list or map without brackets to the end of its last item */
    bool is_plain;  /* a text without quotes */
    bool is_flow;   /* a list or map in brackets */
    bool is_shared; /* an alias stands for it, or for what it is in: its bytes are used twice */
    char *text;     /* of a YAML_TREE_TEXT, and as it is written of a YAML_TREE_NULL */
    char **keys;    /* of a YAML_TREE_MAP, one for each item; "" where a key is no word */
    struct yaml_span *key_spans;
    struct yaml_tree **items;
    size_t count;
};

/* The documents of one file. */
struct yaml_forest {
    struct yaml_tree **trees;
    size_t count, capacity;
    size_t nodes, text_bytes; /* of all trees */
};

/* For files that are no manifests, of which a mistake must not fail all. {0}: as manifests. */
struct yaml_rules {
    bool keeps_invalid; /* a key that is no word, or a NUL byte in a value, is an item of kind
                           YAML_TREE_INVALID, and does not fail the file */
};

/* `path` is for the errors. The caller ends the forest with yaml_forest_done(). */
bool yaml_forest_parse_by(const struct yaml_rules *rules, const char *text, size_t length,
                          const char *path, struct yaml_forest *ret_forest, struct error *error);
bool yaml_forest_parse(const char *text, size_t length, const char *path,
                       struct yaml_forest *ret_forest, struct error *error);
bool yaml_forest_load(const char *path, struct yaml_forest *ret_forest, struct error *error);
void yaml_forest_done(struct yaml_forest *forest);

/* The item at a path of keys such as "spec.advanced", NULL where there is none; so of a NULL tree.
 * A null item is none. */
const struct yaml_tree *yaml_tree_find(const struct yaml_tree *tree, const char *path);

/* The text at the path; NULL where there is none, or something else. */
const char *yaml_tree_text(const struct yaml_tree *tree, const char *path);

/* Do both say the same, however it is written? NULL is the same as NULL only. */
bool yaml_tree_is_same(const struct yaml_tree *one, const struct yaml_tree *other);

/* Is a key of the map given twice? */
bool yaml_tree_has_twice(const struct yaml_tree *map);

#endif
