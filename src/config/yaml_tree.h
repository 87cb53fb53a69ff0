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

enum yaml_kind { YAML_TREE_NULL, YAML_TREE_TEXT, YAML_TREE_LIST, YAML_TREE_MAP };

struct yaml_tree {
    enum yaml_kind kind;
    size_t line;
    char *text;  /* of a YAML_TREE_TEXT */
    char **keys; /* of a YAML_TREE_MAP, one for each item */
    struct yaml_tree **items;
    size_t count;
};

/* The documents of one file. */
struct yaml_forest {
    struct yaml_tree **trees;
    size_t count;
    size_t nodes; /* of all trees */
};

/* `path` is for the errors. The caller ends the forest with yaml_forest_done(). */
bool yaml_forest_parse(const char *text, size_t length, const char *path,
                       struct yaml_forest *ret_forest, struct error *error);
bool yaml_forest_load(const char *path, struct yaml_forest *ret_forest, struct error *error);
void yaml_forest_done(struct yaml_forest *forest);

/* The item at a path of keys such as "spec.advanced", NULL where there is none; so of a NULL tree. A null
 * item is none. */
const struct yaml_tree *yaml_tree_find(const struct yaml_tree *tree, const char *path);

/* The text at the path; NULL where there is none, or something else. */
const char *yaml_tree_text(const struct yaml_tree *tree, const char *path);

#endif
