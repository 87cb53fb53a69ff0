#include "config/yaml_tree.h"

#include "base/memory.h"
#include "base/system/input.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* Aliases make a large tree of a short file, and one that holds itself an endless one. What they
 * repeat counts as if it were written. */
enum {
    LARGEST_FILE = 16 << 20,
    MAX_NODES = 1000 * 1000,
    MAX_TEXT_MIB = 32, /* a file in UTF-16 can grow by a half */
    MAX_DEPTH = 64,
};

/* libyaml counts characters; every so many of them it is known which byte that is. */
enum { CHARACTERS_PER_MARK = 256 };

struct byte_map {
    const char *text;
    size_t length;
    size_t first;  /* behind the byte order mark */
    size_t *marks; /* NULL: a character is a byte */
    size_t mark_count;
};

struct grower {
    const struct yaml_rules *rules;
    yaml_document_t *document;
    const struct byte_map *bytes;
    const unsigned char *uses; /* of each node: by how many it is an item; at most 2 */
    const char *path;
    struct yaml_forest *forest; /* counts what has grown */
};

static bool begins_character(char byte)
{
    return ((unsigned char)byte & 0xC0) != 0x80;
}

static void byte_map_init(struct byte_map *map, const char *text, size_t length)
{
    static const char byte_order_mark[] = "\xEF\xBB\xBF";
    size_t characters = 0, other = 0;
    *map = (struct byte_map){.text = text, .length = length};
    if (length >= 3 && memcmp(text, byte_order_mark, 3) == 0)
        map->first = 3;
    for (size_t i = map->first; i < length; i++)
        other += !begins_character(text[i]);
    if (other == 0)
        return;
    map->marks = memory_array(length / CHARACTERS_PER_MARK + 1, sizeof(size_t));
    for (size_t i = map->first; i < length; i++)
        if (begins_character(text[i]) && characters++ % CHARACTERS_PER_MARK == 0)
            map->marks[map->mark_count++] = i;
}

static void byte_map_done(struct byte_map *map)
{
    free(map->marks);
}

/* Where the character begins; the end of the text for what is behind it. */
static size_t byte_of(const struct byte_map *map, size_t character)
{
    if (map->marks == NULL)
        return map->length - map->first > character ? map->first + character : map->length;
    if (character / CHARACTERS_PER_MARK >= map->mark_count)
        return map->length;
    size_t byte = map->marks[character / CHARACTERS_PER_MARK];
    for (size_t left = character % CHARACTERS_PER_MARK; left > 0 && byte < map->length; left--)
        do
            byte++;
        while (byte < map->length && !begins_character(map->text[byte]));
    return byte;
}

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
    free(tree->key_spans);
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

static bool has_nul(const yaml_node_t *scalar)
{
    return strlen((const char *)scalar->data.scalar.value) != scalar->data.scalar.length;
}

/* Makes it an invalid item, or fails. */
static bool refuse(const struct grower *grower, struct yaml_tree *item, const char *words,
                   struct error *error)
{
    if (!grower->rules->keeps_invalid)
        return error_invalid(error, "%s:%zu: %s", grower->path, item->line, words);
    item->kind = YAML_TREE_INVALID;
    item->text = text_copy(words);
    return true;
}

static bool take_scalar(const struct grower *grower, const yaml_node_t *node,
                        struct yaml_tree *tree, struct error *error)
{
    const char *value = (const char *)node->data.scalar.value;
    if (has_nul(node))
        return refuse(grower, tree, "the value has a NUL byte", error);
    tree->kind = is_null(node) ? YAML_TREE_NULL : YAML_TREE_TEXT;
    tree->is_plain = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    tree->text = text_copy(value);
    return true;
}

static struct yaml_tree *grow(struct grower *grower, int index, size_t depth, bool is_shared,
                              struct error *error);

/* Of a value or key: is there not too much text? */
static bool count_text(const struct grower *grower, int index, size_t line, struct error *error)
{
    const yaml_node_t *node = yaml_document_get_node(grower->document, index);
    size_t *bytes = &grower->forest->text_bytes;
    *bytes += node->type == YAML_SCALAR_NODE ? node->data.scalar.length : 0;
    return *bytes <= (size_t)MAX_TEXT_MIB << 20 ||
           error_invalid(error, "%s:%zu: more than %d MiB of text, with what aliases (*) repeat",
                         grower->path, line, MAX_TEXT_MIB);
}

static bool is_used_twice(const struct grower *grower, int index)
{
    return grower->uses[index - 1] > 1;
}

/* libyaml takes what follows a list or map without brackets for a part of it: comments, blank
 * lines. */
static void end_at_last_item(struct yaml_tree *tree)
{
    if (!tree->is_flow && tree->count > 0)
        tree->end = tree->items[tree->count - 1]->end;
}

static bool take_list(struct grower *grower, const yaml_node_t *node, struct yaml_tree *tree,
                      size_t depth, struct error *error)
{
    const yaml_node_item_t *item = node->data.sequence.items.start;
    size_t count = (size_t)(node->data.sequence.items.top - item);
    tree->kind = YAML_TREE_LIST;
    tree->is_flow = node->data.sequence.style == YAML_FLOW_SEQUENCE_STYLE;
    tree->items = memory_array(count, sizeof(struct yaml_tree *));
    for (size_t i = 0; i < count; i++) {
        struct yaml_tree *child = grow(grower, item[i], depth + 1, tree->is_shared, error);
        if (child == NULL)
            return false;
        tree->items[tree->count++] = child;
    }
    end_at_last_item(tree);
    return true;
}

/* The item of a key; NULL with the error set. */
static struct yaml_tree *grow_value(struct grower *grower, const yaml_node_pair_t *pair,
                                    const struct yaml_tree *map, bool is_word, size_t depth,
                                    struct error *error)
{
    const yaml_node_t *key = yaml_document_get_node(grower->document, pair->key);
    bool is_shared = map->is_shared || is_used_twice(grower, pair->key);
    if (!count_text(grower, pair->key, map->line, error))
        return NULL;
    if (is_word)
        return grow(grower, pair->value, depth, is_shared, error);
    struct yaml_tree *item = memory_new(sizeof(*item));
    item->line = key->start_mark.line + 1;
    item->start = item->end = byte_of(grower->bytes, key->start_mark.index);
    item->is_shared = is_shared;
    if (refuse(grower, item, "a key must be a word", error))
        return item;
    tree_free(item);
    return NULL;
}

static bool take_map(struct grower *grower, const yaml_node_t *node, struct yaml_tree *tree,
                     size_t depth, struct error *error)
{
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    size_t count = (size_t)(node->data.mapping.pairs.top - pair);
    tree->kind = YAML_TREE_MAP;
    tree->is_flow = node->data.mapping.style == YAML_FLOW_MAPPING_STYLE;
    tree->items = memory_array(count, sizeof(struct yaml_tree *));
    tree->keys = memory_array(count, sizeof(char *));
    tree->key_spans = memory_array(count, sizeof(*tree->key_spans));
    for (size_t i = 0; i < count; i++) {
        const yaml_node_t *key = yaml_document_get_node(grower->document, pair[i].key);
        bool is_word = key->type == YAML_SCALAR_NODE && !has_nul(key);
        struct yaml_tree *child = grow_value(grower, &pair[i], tree, is_word, depth + 1, error);
        if (child == NULL)
            return false;
        tree->keys[tree->count] = text_copy(is_word ? (const char *)key->data.scalar.value : "");
        tree->key_spans[tree->count] =
            (struct yaml_span){.line = key->start_mark.line + 1,
                               .start = byte_of(grower->bytes, key->start_mark.index),
                               .end = byte_of(grower->bytes, key->end_mark.index)};
        tree->items[tree->count++] = child;
    }
    end_at_last_item(tree);
    return true;
}

/* NULL with the error set. */
static struct yaml_tree *grow(struct grower *grower, int index, size_t depth, bool is_shared,
                              struct error *error)
{
    const yaml_node_t *node = yaml_document_get_node(grower->document, index);
    struct yaml_tree *tree = memory_new(sizeof(*tree));
    bool good = false;
    tree->line = node->start_mark.line + 1;
    tree->start = byte_of(grower->bytes, node->start_mark.index);
    tree->end = byte_of(grower->bytes, node->end_mark.index);
    tree->is_shared = is_shared || is_used_twice(grower, index);
    if (depth > MAX_DEPTH)
        error_invalid(error, "%s:%zu: lists and maps are nested more than %d deep", grower->path,
                      tree->line, MAX_DEPTH);
    else if (++grower->forest->nodes > MAX_NODES)
        error_invalid(error, "%s:%zu: more than %d values, with what aliases (*) repeat",
                      grower->path, tree->line, MAX_NODES);
    else if (!count_text(grower, index, tree->line, error))
        good = false;
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

static void count_use(unsigned char *uses, int index)
{
    if (uses[index - 1] < 2)
        uses[index - 1]++;
}

/* Nodes are numbered from 1 on. The caller frees it. */
static unsigned char *count_uses(const yaml_document_t *document)
{
    const yaml_node_t *nodes = document->nodes.start;
    size_t count = (size_t)(document->nodes.top - nodes);
    unsigned char *uses = memory_array(count, 1);
    for (size_t i = 0; i < count; i++) {
        if (nodes[i].type == YAML_SEQUENCE_NODE)
            for (const yaml_node_item_t *item = nodes[i].data.sequence.items.start;
                 item < nodes[i].data.sequence.items.top; item++)
                count_use(uses, *item);
        if (nodes[i].type == YAML_MAPPING_NODE)
            for (const yaml_node_pair_t *pair = nodes[i].data.mapping.pairs.start;
                 pair < nodes[i].data.mapping.pairs.top; pair++) {
                count_use(uses, pair->key);
                count_use(uses, pair->value);
            }
    }
    return uses;
}

static bool add_document(const struct yaml_rules *rules, struct yaml_forest *forest,
                         yaml_document_t *document, const struct byte_map *bytes, const char *path,
                         struct error *error)
{
    _cleanup_(memory_free) unsigned char *uses = count_uses(document);
    struct grower grower = {rules, document, bytes, uses, path, forest};
    /* The root is always the first node. */
    struct yaml_tree *tree = grow(&grower, 1, 0, false, error);
    if (tree == NULL)
        return false;
    forest->trees =
        memory_grow(forest->trees, &forest->capacity, forest->count + 1, sizeof(*forest->trees));
    forest->trees[forest->count++] = tree;
    return true;
}

/* A character that cannot be read has a byte and no line. */
static size_t problem_line(const yaml_parser_t *parser, const struct byte_map *bytes)
{
    size_t line = parser->problem_mark.line + 1;
    if (parser->error != YAML_READER_ERROR)
        return line;
    line = 1;
    for (size_t i = 0; i < parser->problem_offset && i < bytes->length; i++)
        line += bytes->text[i] == '\n';
    return line;
}

static bool read_documents(const struct yaml_rules *rules, yaml_parser_t *parser,
                           struct yaml_forest *forest, const struct byte_map *bytes,
                           const char *path, struct error *error)
{
    for (;;) {
        yaml_document_t document;
        if (!yaml_parser_load(parser, &document))
            return error_invalid(error, "%s:%zu: not YAML: %s", path, problem_line(parser, bytes),
                                 parser->problem == NULL ? "unreadable" : parser->problem);
        bool ends = yaml_document_get_root_node(&document) == NULL;
        bool good = ends || add_document(rules, forest, &document, bytes, path, error);
        yaml_document_delete(&document);
        if (ends || !good)
            return good;
    }
}

bool yaml_forest_parse_by(const struct yaml_rules *rules, const char *text, size_t length,
                          const char *path, struct yaml_forest *ret_forest, struct error *error)
{
    yaml_parser_t parser;
    struct byte_map bytes;
    struct yaml_forest forest = {0};
    yaml_parser_initialize(&parser);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
    byte_map_init(&bytes, text, length);
    bool good = read_documents(rules, &parser, &forest, &bytes, path, error);
    byte_map_done(&bytes);
    yaml_parser_delete(&parser);
    if (good)
        *ret_forest = forest;
    else
        yaml_forest_done(&forest);
    return good;
}

bool yaml_forest_parse(const char *text, size_t length, const char *path,
                       struct yaml_forest *ret_forest, struct error *error)
{
    return yaml_forest_parse_by(&(struct yaml_rules){0}, text, length, path, ret_forest, error);
}

bool yaml_forest_load(const char *path, struct yaml_forest *ret_forest, struct error *error)
{
    _cleanup_(text_done) struct text text = {0};
    return input_read(path, LARGEST_FILE, &text, error) &&
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

bool yaml_tree_is_same(const struct yaml_tree *one, const struct yaml_tree *other)
{
    if (one == NULL || other == NULL)
        return one == other;
    if (one->kind != other->kind || one->count != other->count ||
        (one->text != NULL && !text_equal(one->text, other->text)))
        return false;
    for (size_t i = 0; i < one->count; i++)
        if ((one->kind == YAML_TREE_MAP && !text_equal(one->keys[i], other->keys[i])) ||
            !yaml_tree_is_same(one->items[i], other->items[i]))
            return false;
    return true;
}

static int compare_keys(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

bool yaml_tree_has_twice(const struct yaml_tree *map)
{
    _cleanup_(memory_free) char **sorted = memory_array(map->count + 1, sizeof(char *));
    bool is_twice = false;
    if (map->count == 0)
        return false;
    memcpy(sorted, map->keys, map->count * sizeof(char *));
    qsort(sorted, map->count, sizeof(char *), compare_keys);
    for (size_t i = 1; i < map->count; i++)
        is_twice |= text_equal(sorted[i - 1], sorted[i]);
    return is_twice;
}
