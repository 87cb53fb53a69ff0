#include "config/yaml_tree.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* Aliases make a large tree of a short file, and one that holds itself an endless one. */
enum { LARGEST_FILE = 4 << 20, MAX_NODES = 200 * 1000, MAX_DEPTH = 64, MAX_DOCUMENTS = 1024 };

struct grower {
    yaml_document_t *document;
    const char *path;
    size_t nodes;
};

static void tree_free(struct yaml_tree *tree)
{
    if (tree == NULL)
        return;
    for (size_t i = 0; i < tree->count; i++) {
        tree_free(tree->items[i]);
        if (tree->keys != NULL)
            free(tree->keys[i]);
    }
    free(tree->items);
    free(tree->keys);
    free(tree->text);
    free(tree);
}

void yaml_forest_done(struct yaml_forest *forest)
{
    for (size_t i = 0; i < forest->count; i++)
        tree_free(forest->trees[i]);
    free(forest->trees);
    *forest = (struct yaml_forest){0};
}

static bool is_null(const yaml_node_t *node)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    if (node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (text_equal((const char *)node->data.scalar.value, words[i]))
            return true;
    return false;
}

static bool take_scalar(const struct grower *grower, const yaml_node_t *node,
                        struct yaml_tree *tree, struct error *error)
{
    const char *value = (const char *)node->data.scalar.value;
    if (strlen(value) != node->data.scalar.length)
        return error_invalid(error, "%s:%zu: the value has a NUL byte", grower->path, tree->line);
    tree->kind = is_null(node) ? YAML_TREE_NULL : YAML_TREE_TEXT;
    tree->text = text_copy(value);
    return true;
}

static struct yaml_tree *grow(struct grower *grower, int index, size_t depth, struct error *error);

static bool take_list(struct grower *grower, const yaml_node_t *node, struct yaml_tree *tree,
                      size_t depth, struct error *error)
{
    const yaml_node_item_t *item = node->data.sequence.items.start;
    size_t count = (size_t)(node->data.sequence.items.top - item);
    tree->kind = YAML_TREE_LIST;
    tree->items = memory_array(count, sizeof(struct yaml_tree *));
    for (size_t i = 0; i < count; i++) {
        struct yaml_tree *child = grow(grower, item[i], depth + 1, error);
        if (child == NULL)
            return false;
        tree->items[tree->count++] = child;
    }
    return true;
}

static bool take_map(struct grower *grower, const yaml_node_t *node, struct yaml_tree *tree,
                     size_t depth, struct error *error)
{
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    size_t count = (size_t)(node->data.mapping.pairs.top - pair);
    tree->kind = YAML_TREE_MAP;
    tree->items = memory_array(count, sizeof(struct yaml_tree *));
    tree->keys = memory_array(count, sizeof(char *));
    for (size_t i = 0; i < count; i++) {
        const yaml_node_t *key = yaml_document_get_node(grower->document, pair[i].key);
        if (key->type != YAML_SCALAR_NODE)
            return error_invalid(error, "%s:%zu: a key must be a word", grower->path,
                                 key->start_mark.line + 1);
        struct yaml_tree *child = grow(grower, pair[i].value, depth + 1, error);
        if (child == NULL)
            return false;
        tree->keys[tree->count] = text_copy((const char *)key->data.scalar.value);
        tree->items[tree->count++] = child;
    }
    return true;
}

/* NULL with the error set. */
static struct yaml_tree *grow(struct grower *grower, int index, size_t depth, struct error *error)
{
    const yaml_node_t *node = yaml_document_get_node(grower->document, index);
    struct yaml_tree *tree = memory_new(sizeof(*tree));
    bool good = false;
    tree->line = node->start_mark.line + 1;
    if (depth > MAX_DEPTH || ++grower->nodes > MAX_NODES)
        error_invalid(error, "%s:%zu: too deep or too large", grower->path, tree->line);
    else if (node->type == YAML_SCALAR_NODE)
        good = take_scalar(grower, node, tree, error);
    else if (node->type == YAML_SEQUENCE_NODE)
        good = take_list(grower, node, tree, depth, error);
    else
        good = take_map(grower, node, tree, depth, error);
    if (good)
        return tree;
    tree_free(tree);
    return NULL;
}

static bool add_document(struct yaml_forest *forest, yaml_document_t *document, const char *path,
                         struct error *error)
{
    struct grower grower = {document, path, forest->nodes};
    if (forest->count == MAX_DOCUMENTS)
        return error_invalid(error, "%s: more than %d documents", path, MAX_DOCUMENTS);
    struct yaml_tree *tree = grow(&grower, 1, 0, error); /* the root is always the first node */
    if (tree == NULL)
        return false;
    forest->nodes = grower.nodes;
    forest->trees[forest->count++] = tree;
    return true;
}

static bool read_documents(yaml_parser_t *parser, struct yaml_forest *forest, const char *path,
                           struct error *error)
{
    for (;;) {
        yaml_document_t document;
        if (!yaml_parser_load(parser, &document))
            return error_invalid(error, "%s:%zu: not YAML: %s", path, parser->problem_mark.line + 1,
                                 parser->problem == NULL ? "unreadable" : parser->problem);
        bool ends = yaml_document_get_root_node(&document) == NULL;
        bool good = ends || add_document(forest, &document, path, error);
        yaml_document_delete(&document);
        if (ends || !good)
            return good;
    }
}

bool yaml_forest_parse(const char *text, size_t length, const char *path,
                       struct yaml_forest *ret_forest, struct error *error)
{
    yaml_parser_t parser;
    struct yaml_forest forest = {.trees = memory_array(MAX_DOCUMENTS, sizeof(struct yaml_tree *))};
    yaml_parser_initialize(&parser);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
    bool good = read_documents(&parser, &forest, path, error);
    yaml_parser_delete(&parser);
    if (good)
        *ret_forest = forest;
    else
        yaml_forest_done(&forest);
    return good;
}

bool yaml_forest_load(const char *path, struct yaml_forest *ret_forest, struct error *error)
{
    _cleanup_(text_done) struct text text = {0};
    return file_read(path, LARGEST_FILE, &text, error) &&
           yaml_forest_parse(text.bytes == NULL ? "" : text.bytes, text.length, path, ret_forest,
                             error);
}

static const struct yaml_tree *find_key(const struct yaml_tree *tree, const char *key,
                                        size_t length)
{
    for (size_t i = 0; tree->kind == YAML_TREE_MAP && i < tree->count; i++)
        if (strlen(tree->keys[i]) == length && memcmp(tree->keys[i], key, length) == 0)
            return tree->items[i];
    return NULL;
}

const struct yaml_tree *yaml_tree_find(const struct yaml_tree *tree, const char *path)
{
    while (tree != NULL && *path != '\0') {
        size_t length = strcspn(path, ".");
        tree = find_key(tree, path, length);
        path += length + (path[length] == '.');
    }
    return tree == NULL || tree->kind == YAML_TREE_NULL ? NULL : tree;
}

const char *yaml_tree_text(const struct yaml_tree *tree, const char *path)
{
    const struct yaml_tree *item = yaml_tree_find(tree, path);
    return item == NULL || item->kind != YAML_TREE_TEXT ? NULL : item->text;
}
