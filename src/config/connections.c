#include "config/connections.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"

#include <fnmatch.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum {
    LARGEST_FILE = 4 << 20,
    LARGEST_SECRET = 64 << 10,
    LARGEST_LIST = 1 << 20, /* aliases make a long one of a short file */
    MAX_CONNECTIONS = 1024,
    MAX_ENTRIES = 64,
};

struct loader {
    yaml_document_t document;
    const char *path;
    const char *folder;
    struct watch *watch;
    struct connections *connections;
    struct error mistakes;
};

static void named_connection_done(struct named_connection *connection)
{
    for (size_t i = 0; i < connection->entries_count; i++) {
        char *value = (char *)connection->entries[i].value;
        explicit_bzero(value, strlen(value));
        free(value);
        free((char *)connection->entries[i].key);
    }
    for (size_t i = 0; i < connection->namespaces_count; i++)
        free(connection->namespaces[i]);
    free(connection->entries);
    free(connection->namespaces);
    free(connection->scaler);
    free(connection->name);
}

void connections_free(struct connections *connections)
{
    if (connections == NULL)
        return;
    for (size_t i = 0; i < connections->count; i++)
        named_connection_done(&connections->items[i]);
    free(connections->items);
    free(connections);
}

static void mistake(struct loader *loader, const yaml_node_t *node, const char *words)
{
    error_add(&loader->mistakes, "%s:%zu: %s", loader->path, node->start_mark.line + 1, words);
}

static void mistake_about(struct loader *loader, const yaml_node_t *node, const char *key,
                          const char *words)
{
    _cleanup_(memory_free) char *text = text_format("%.*s %s", (int)text_cut(key, 64), key, words);
    mistake(loader, node, text);
}

/* The string of a scalar, NULL of anything else. */
static const char *scalar(const yaml_node_t *node)
{
    bool plain = node->type == YAML_SCALAR_NODE &&
                 strlen((const char *)node->data.scalar.value) == node->data.scalar.length;
    return plain ? (const char *)node->data.scalar.value : NULL;
}

static yaml_node_t *node_at(struct loader *loader, int index)
{
    return yaml_document_get_node(&loader->document, index);
}

/* A scalar, or a sequence of scalars joined by commas, as KEDA writes lists; NULL of anything else. */
static char *value_text(struct loader *loader, const yaml_node_t *node)
{
    if (node->type != YAML_SEQUENCE_NODE)
        return text_copy(scalar(node));

    _cleanup_(text_done) struct text text = {0};
    const yaml_node_item_t *item = node->data.sequence.items.start;
    for (; item < node->data.sequence.items.top; item++) {
        const char *piece = scalar(node_at(loader, *item));
        if (piece == NULL || text.length > LARGEST_LIST)
            return NULL;
        text_addf(&text, "%s%s", text.length == 0 ? "" : ",", piece);
    }
    return text_take(&text);
}

static const char suffix_file[] = "File";

static char *secret_text(struct loader *loader, const yaml_node_t *node, const char *path)
{
    _cleanup_(memory_free) char *whole =
        path[0] == '/' ? text_copy(path) : text_format("%s/%s", loader->folder, path);
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(text_done) struct text content = {0};
    if (loader->watch != NULL)
        watch_add(loader->watch, whole);
    if (!file_read(whole, LARGEST_SECRET, &content, &error)) {
        mistake(loader, node, error_text(&error));
        return NULL;
    }
    if (content.bytes != NULL && strlen(content.bytes) != content.length) {
        mistake_about(loader, node, whole, "has a NUL byte");
        return NULL;
    }
    return text_take(&content);
}

static bool has_entry(const struct named_connection *connection, const char *key)
{
    for (size_t i = 0; i < connection->entries_count; i++)
        if (text_equal(connection->entries[i].key, key))
            return true;
    return false;
}

/* `key` and `value` move into the connection. */
static void add_entry(struct loader *loader, const yaml_node_t *node,
                      struct named_connection *connection, char *key, char *value)
{
    if (connection->entries == NULL)
        connection->entries = memory_array(MAX_ENTRIES, sizeof(*connection->entries));
    if (!has_entry(connection, key) && connection->entries_count < MAX_ENTRIES) {
        connection->entries[connection->entries_count++] = (struct option_entry){key, value};
        return;
    }
    mistake_about(loader, node, key, "is given twice, or there are too many keys");
    free(key);
    free(value);
}

static void read_namespaces(struct loader *loader, const yaml_node_t *node,
                            struct named_connection *connection)
{
    if (node->type != YAML_SEQUENCE_NODE || connection->namespaces != NULL) {
        mistake(loader, node, "namespaces must be one list of names or patterns");
        return;
    }
    const yaml_node_item_t *item = node->data.sequence.items.start;
    size_t count = (size_t)(node->data.sequence.items.top - item);
    connection->namespaces = memory_array(count, sizeof(char *));
    for (size_t i = 0; i < count; i++) {
        const char *pattern = scalar(node_at(loader, item[i]));
        if (pattern == NULL || pattern[0] == '\0')
            mistake(loader, node, "namespaces must be a list of names or patterns");
        else
            connection->namespaces[connection->namespaces_count++] = text_copy(pattern);
    }
    if (count == 0)
        mistake(loader, node,
                "namespaces is empty: nobody could use the connection; leave the key out for all");
}

static void read_key(struct loader *loader, struct named_connection *connection, const char *key,
                     const yaml_node_t *node)
{
    if (text_equal(key, "namespaces")) {
        read_namespaces(loader, node, connection);
        return;
    }
    char *value = value_text(loader, node);
    if (value == NULL)
        mistake_about(loader, node, key, "must be a single value or a list of values");
    else if (text_equal(key, "scaler")) {
        if (connection->scaler != NULL)
            mistake_about(loader, node, key, "is given twice");
        free(connection->scaler);
        connection->scaler = value;
    } else if (text_ends_with(key, suffix_file)) {
        _cleanup_(memory_free) char *path = value;
        char *secret = secret_text(loader, node, path);
        if (secret != NULL)
            add_entry(loader, node, connection,
                      text_copy_bytes(key, strlen(key) - strlen(suffix_file)), secret);
    } else
        add_entry(loader, node, connection, text_copy(key), value);
}

static bool has_connection(const struct connections *connections, const char *name)
{
    for (size_t i = 0; i < connections->count; i++)
        if (text_equal(connections->items[i].name, name))
            return true;
    return false;
}

static void read_connection(struct loader *loader, const char *name, const yaml_node_t *node)
{
    struct connections *connections = loader->connections;
    if (has_connection(connections, name)) {
        mistake_about(loader, node, name, "is there twice");
        return;
    }
    if (node->type != YAML_MAPPING_NODE || connections->count == MAX_CONNECTIONS) {
        mistake_about(loader, node, name, "must have keys, and be one of at most 1024 connections");
        return;
    }
    struct named_connection *connection = &connections->items[connections->count++];
    *connection = (struct named_connection){.name = text_copy(name)};

    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = node_at(loader, pair->key);
        if (scalar(key) == NULL)
            mistake(loader, key, "a key must be a word");
        else
            read_key(loader, connection, scalar(key), node_at(loader, pair->value));
    }
    if (connection->scaler == NULL)
        mistake_about(loader, node, name, "has no scaler: set one, such as scaler: kafka");
}

static void read_connections(struct loader *loader, const yaml_node_t *node)
{
    if (node->type == YAML_SCALAR_NODE && node->data.scalar.length == 0)
        return; /* "connections:" and nothing more */
    if (node->type != YAML_MAPPING_NODE) {
        mistake(loader, node, "connections must have named connections under it");
        return;
    }
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = node_at(loader, pair->key);
        if (scalar(key) == NULL || scalar(key)[0] == '\0')
            mistake(loader, key, "a connection's name must be a word");
        else
            read_connection(loader, scalar(key), node_at(loader, pair->value));
    }
}

static void read_document(struct loader *loader)
{
    const yaml_node_t *root = yaml_document_get_root_node(&loader->document);
    if (root == NULL)
        return; /* an empty file has no connections */
    if (root->type != YAML_MAPPING_NODE) {
        mistake(loader, root, "must begin with connections:");
        return;
    }
    const yaml_node_pair_t *pair = root->data.mapping.pairs.start;
    for (; pair < root->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = node_at(loader, pair->key);
        if (!text_equal(scalar(key), "connections"))
            mistake(loader, key, "the only key at the top is connections:");
        else
            read_connections(loader, node_at(loader, pair->value));
    }
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(((const struct named_connection *)left)->name,
                  ((const struct named_connection *)right)->name);
}

static bool load_document(yaml_parser_t *parser, const struct loader *loader,
                          yaml_document_t *ret_document, struct error *error)
{
    if (yaml_parser_load(parser, ret_document))
        return true;
    return error_invalid(error, "%s:%zu: not YAML: %s", loader->path, parser->problem_mark.line + 1,
                         parser->problem == NULL ? "unreadable" : parser->problem);
}

/* What stands in a second document would be left out in silence. */
static bool check_end(yaml_parser_t *parser, const struct loader *loader, struct error *error)
{
    yaml_document_t rest;
    if (!load_document(parser, loader, &rest, error))
        return false;
    bool more = yaml_document_get_root_node(&rest) != NULL;
    size_t line = rest.start_mark.line + 1;
    yaml_document_delete(&rest);
    return !more || error_invalid(error,
                                  "%s:%zu: a second document begins here: all connections "
                                  "belong into one",
                                  loader->path, line);
}

static bool parse_document(struct loader *loader, const char *text, size_t length,
                           struct error *error)
{
    yaml_parser_t parser;
    yaml_parser_initialize(&parser);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
    bool good = load_document(&parser, loader, &loader->document, error);
    bool ended = good && check_end(&parser, loader, error);
    if (good && !ended)
        yaml_document_delete(&loader->document);
    yaml_parser_delete(&parser);
    return ended;
}

bool connections_parse(const char *text, size_t length, const char *path, const char *folder,
                       struct watch *watch, struct connections **ret_connections,
                       struct error *error)
{
    struct loader loader = {.path = path, .folder = folder, .watch = watch};
    if (!parse_document(&loader, text, length, error))
        return false;

    loader.connections = memory_new(sizeof(*loader.connections));
    loader.connections->items = memory_array(MAX_CONNECTIONS, sizeof(struct named_connection));
    read_document(&loader);
    qsort(loader.connections->items, loader.connections->count, sizeof(struct named_connection),
          compare_names);
    yaml_document_delete(&loader.document);
    if (error_is_set(&loader.mistakes)) {
        connections_free(loader.connections);
        error_move(error, &loader.mistakes);
        return false;
    }
    *ret_connections = loader.connections;
    return true;
}

bool connections_load(const char *path, struct watch *watch, struct connections **ret_connections,
                      struct error *error)
{
    _cleanup_(text_done) struct text text = {0};
    if (watch != NULL)
        watch_add(watch, path);
    if (!file_read(path, LARGEST_FILE, &text, error))
        return false;
    _cleanup_(memory_free) char *copy = text_copy(path); /* dirname() writes to it */
    return connections_parse(text.bytes == NULL ? "" : text.bytes, text.length, path, dirname(copy),
                             watch, ret_connections, error);
}

const struct named_connection *connections_find(const struct connections *connections,
                                                const char *name)
{
    if (connections == NULL || connections->count == 0)
        return NULL;
    const struct named_connection sought = {.name = (char *)name};
    return bsearch(&sought, connections->items, connections->count, sizeof(sought), compare_names);
}

bool named_connection_equals(const struct named_connection *one,
                             const struct named_connection *other)
{
    if (one == NULL || other == NULL)
        return one == other;
    if (!text_equal(one->scaler, other->scaler) || one->entries_count != other->entries_count ||
        one->namespaces_count != other->namespaces_count)
        return false;
    for (size_t i = 0; i < one->entries_count; i++)
        if (!text_equal(one->entries[i].key, other->entries[i].key) ||
            !text_equal(one->entries[i].value, other->entries[i].value))
            return false;
    for (size_t i = 0; i < one->namespaces_count; i++)
        if (!text_equal(one->namespaces[i], other->namespaces[i]))
            return false;
    return true;
}

void connections_number(struct connections *connections, const struct connections *before,
                        uint64_t revision)
{
    for (size_t i = 0; connections != NULL && i < connections->count; i++) {
        struct named_connection *each = &connections->items[i];
        const struct named_connection *former = connections_find(before, each->name);
        each->revision = named_connection_equals(former, each) ? former->revision : revision;
    }
}

bool named_connection_allows(const struct named_connection *connection, const char *namespace)
{
    for (size_t i = 0; i < connection->namespaces_count; i++)
        if (fnmatch(connection->namespaces[i], namespace, 0) == 0)
            return true;
    return connection->namespaces_count == 0;
}
