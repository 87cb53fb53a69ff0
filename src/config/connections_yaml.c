#include "config/connections_yaml.h"

#include "base/memory.h"
#include "base/system/file.h"
#include "base/text.h"
#include "config/yaml_tree.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum {
    LARGEST_SECRET = 64 << 10,
    LARGEST_REPEATED = 1 << 20,    /* aliases make much of a short file */
    LARGEST_CONNECTION = 64 << 10, /* of a team's Secret: keys and values as they are written */
    LARGEST_MISTAKES = 4 << 10,
};

struct connections_loader {
    yaml_document_t document;
    const struct connections_source *source;
    struct connections *connections;
    struct named_connection connection; /* that is read */
    size_t connection_bytes;            /* ... of its keys and values so far */
};

static void mistake(struct connections_loader *loader, const yaml_node_t *node, const char *words)
{
    struct error *mistakes = &loader->connection.mistakes;
    if (strlen(error_text(mistakes)) < LARGEST_MISTAKES)
        error_add(mistakes, "%s:%zu: %s", loader->source->path, node->start_mark.line + 1, words);
}

static void mistake_about(struct connections_loader *loader, const yaml_node_t *node,
                          const char *key, const char *words)
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

static yaml_node_t *node_at(struct connections_loader *loader, int index)
{
    return yaml_document_get_node(&loader->document, index);
}

/* Only with aliases is there more in the keys and values than in the text: one small Secret of a
 * team must not take all the memory. What is refused counts, too, so that the rest is refused at
 * once. */
static bool has_room(struct connections_loader *loader, size_t bytes)
{
    struct connections *all = loader->connections;
    all->value_bytes += bytes;
    return all->value_bytes <= all->text_bytes + LARGEST_REPEATED;
}

/* A scalar, or a sequence of scalars joined by commas, as KEDA writes lists; NULL of anything else.
 */
static char *value_text(struct connections_loader *loader, const yaml_node_t *node)
{
    if (node->type != YAML_SEQUENCE_NODE)
        return scalar(node) == NULL || !has_room(loader, strlen(scalar(node)))
                   ? NULL
                   : text_copy(scalar(node));

    _cleanup_(text_done) struct text text = {0};
    const yaml_node_item_t *item = node->data.sequence.items.start;
    for (; item < node->data.sequence.items.top; item++) {
        const char *piece = scalar(node_at(loader, *item));
        if (piece == NULL || !has_room(loader, strlen(piece) + 1))
            return NULL;
        text_addf(&text, "%s%s", text.length == 0 ? "" : ",", piece);
    }
    return text_take(&text);
}

static const char suffix_file[] = "File";

/* Fails where it is empty, too: a password that is being written would be none. */
static bool read_secret(const char *path, struct text *content, struct error *error)
{
    if (!file_read(path, LARGEST_SECRET, content, error))
        return false;
    if (content->bytes == NULL || text_is_blank(content->bytes))
        return error_invalid(error, "%s is empty", path);
    return strlen(content->bytes) == content->length ||
           error_invalid(error, "%s has a NUL byte", path);
}

/* The value of `<key>File`, `key` being the whole word; NULL with a mistake. */
static char *secret_text(struct connections_loader *loader, const yaml_node_t *node,
                         const char *key, const char *path)
{
    const struct connections_source *source = loader->source;
    if (source->folder == NULL) {
        mistake_about(loader, node, key, "is not allowed here: write the value itself");
        return NULL;
    }
    _cleanup_(memory_free) char *whole =
        path[0] == '/' ? text_copy(path) : text_format("%s/%s", source->folder, path);
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(text_done) struct text content = {0};
    if (source->watch != NULL)
        file_watch_add(source->watch, whole);
    if (read_secret(whole, &content, &error))
        return text_take(&content);
    error_prefix(&error, "%.*s", (int)text_cut(key, 64), key);
    mistake(loader, node, error_text(&error));
    return NULL;
}

static bool has_entry(const struct named_connection *connection, const char *key)
{
    for (size_t i = 0; i < connection->entries_count; i++)
        if (text_equal(connection->entries[i].key, key))
            return true;
    return false;
}

/* `key` and `value` move into the connection. */
static void add_entry(struct connections_loader *loader, const yaml_node_t *node, char *key,
                      char *value)
{
    struct named_connection *connection = &loader->connection;
    if (connection->entries == NULL)
        connection->entries = memory_array(CONNECTIONS_MAX_KEYS, sizeof(*connection->entries));
    bool is_repeated = has_entry(connection, key);
    if (!is_repeated && connection->entries_count < CONNECTIONS_MAX_KEYS) {
        connection->entries[connection->entries_count++] = (struct option_entry){key, value};
        return;
    }
    _cleanup_(memory_free) char *too_many =
        text_format("is one key too many: at most %d are permitted", CONNECTIONS_MAX_KEYS);
    mistake_about(loader, node, key, is_repeated ? "is given twice" : too_many);
    free(key);
    free(value);
}

static void read_namespaces(struct connections_loader *loader, const yaml_node_t *key,
                            const yaml_node_t *node)
{
    struct named_connection *connection = &loader->connection;
    if (loader->source->folder == NULL) {
        mistake(loader, key,
                "namespaces is not allowed here: only the namespace of the Secret may use it");
        return;
    }
    if (node->type != YAML_SEQUENCE_NODE || connection->namespaces != NULL) {
        mistake(loader, key, "namespaces must be one list of names or patterns");
        return;
    }
    const yaml_node_item_t *item = node->data.sequence.items.start;
    size_t count = (size_t)(node->data.sequence.items.top - item);
    connection->namespaces = memory_array(count, sizeof(char *));
    for (size_t i = 0; i < count; i++) {
        const char *pattern = scalar(node_at(loader, item[i]));
        if (pattern == NULL || pattern[0] == '\0')
            mistake(loader, key, "namespaces must be a list of names or patterns");
        else
            connection->namespaces[connection->namespaces_count++] = text_copy(pattern);
    }
    if (count == 0)
        mistake(loader, key,
                "namespaces is empty: nobody could use the connection; leave the key out for all");
}

/* Mistakes are reported with the line of the key. */
static void read_key(struct connections_loader *loader, const yaml_node_t *key_node,
                     const yaml_node_t *node)
{
    const char *key = scalar(key_node);
    if (text_equal(key, "namespaces")) {
        read_namespaces(loader, key_node, node);
        return;
    }
    char *value = has_room(loader, strlen(key)) ? value_text(loader, node) : NULL;
    loader->connection_bytes += strlen(key) + (value == NULL ? 0 : strlen(value));
    if (value == NULL && !has_room(loader, 0))
        mistake_about(loader, key_node, key, "is too much: aliases repeat more than 1 MiB");
    else if (value != NULL && loader->source->folder == NULL &&
             loader->connection_bytes > LARGEST_CONNECTION) {
        mistake_about(loader, key_node, key,
                      "is too much: the keys and values of a connection have at most 64 KiB here");
        free(value);
    } else if (value == NULL)
        mistake_about(loader, key_node, key, "must be a single value or a list of values");
    else if (text_equal(key, "scaler")) {
        if (loader->connection.scaler != NULL)
            mistake(loader, key_node, "scaler is given twice");
        free(loader->connection.scaler);
        loader->connection.scaler = value;
    } else if (text_ends_with(key, suffix_file)) {
        _cleanup_(memory_free) char *path = value;
        char *secret = secret_text(loader, key_node, key, path);
        if (secret != NULL)
            add_entry(loader, key_node, text_copy_bytes(key, strlen(key) - strlen(suffix_file)),
                      secret);
    } else
        add_entry(loader, key_node, text_copy(key), value);
}

static const struct named_connection *find_unsorted(const struct connections *connections,
                                                    const char *name)
{
    for (size_t i = 0; i < connections->count; i++)
        if (text_equal(connections->items[i].name, name))
            return &connections->items[i];
    return NULL;
}

/* Is there room for another connection of this name? */
static bool is_new(struct connections_loader *loader, const char *name, const yaml_node_t *node)
{
    const struct named_connection *former = find_unsorted(loader->connections, name);
    const char *path = loader->source->path;
    size_t line = node->start_mark.line + 1;
    if (former != NULL) {
        connections_add_repeated(loader->connections, former, path, line);
        return false;
    }
    if (loader->connections->count < CONNECTIONS_MAX)
        return true;
    _cleanup_(memory_free) char *text =
        text_format("%s:%zu: %.*s is one of more than %d connections", path, line,
                    (int)text_cut(name, 64), name, CONNECTIONS_MAX);
    connections_add_problem(loader->connections, name, path, false, text);
    return false;
}

static void read_keys(struct connections_loader *loader, const yaml_node_t *node)
{
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = node_at(loader, pair->key);
        if (scalar(key) == NULL)
            mistake(loader, key, "a key must be a word");
        else
            read_key(loader, key, node_at(loader, pair->value));
    }
}

static void read_connection(struct connections_loader *loader, const yaml_node_t *key,
                            const yaml_node_t *node)
{
    const char *name = scalar(key);
    if (!is_new(loader, name, key))
        return;
    loader->connection_bytes = 0;
    loader->connection = (struct named_connection){
        .name = text_copy(name),
        .file = text_copy(loader->source->path),
        .line = key->start_mark.line + 1,
    };
    if (node->type != YAML_MAPPING_NODE)
        mistake_about(loader, key, name, "must have keys");
    else {
        read_keys(loader, node);
        if (loader->connection.scaler == NULL)
            mistake_about(loader, key, name, "has no scaler: set one, such as scaler: kafka");
    }
    connections_add(loader->connections, &loader->connection);
}

static bool read_connections(struct connections_loader *loader, const yaml_node_t *node,
                             struct error *error)
{
    const char *path = loader->source->path;
    if (node->type == YAML_SCALAR_NODE && node->data.scalar.length == 0)
        return true; /* "connections:" and nothing more */
    if (node->type != YAML_MAPPING_NODE)
        return error_invalid(error, "%s:%zu: connections must have named connections under it",
                             path, node->start_mark.line + 1);
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = node_at(loader, pair->key);
        if (scalar(key) != NULL && !has_room(loader, strlen(scalar(key))))
            return error_invalid(error, "%s:%zu: too large: aliases repeat more than 1 MiB", path,
                                 key->start_mark.line + 1);
        if (scalar(key) != NULL && scalar(key)[0] != '\0') {
            read_connection(loader, key, node_at(loader, pair->value));
            continue;
        }
        _cleanup_(memory_free) char *text = text_format(
            "%s:%zu: a connection's name must be a word", path, key->start_mark.line + 1);
        connections_add_problem(loader->connections, NULL, path, false, text);
    }
    return true;
}

static bool read_document(struct connections_loader *loader, struct error *error)
{
    const char *path = loader->source->path;
    const yaml_node_t *root = yaml_document_get_root_node(&loader->document);
    if (root == NULL)
        return true; /* nothing but comments */
    if (root->type != YAML_MAPPING_NODE)
        return error_invalid(error, "%s:%zu: must begin with connections:", path,
                             root->start_mark.line + 1);
    const yaml_node_pair_t *first = root->data.mapping.pairs.start;
    const yaml_node_pair_t *top = root->data.mapping.pairs.top;
    for (const yaml_node_pair_t *pair = first; pair < top; pair++) {
        const yaml_node_t *key = node_at(loader, pair->key);
        if (!text_equal(scalar(key), "connections") || pair > first)
            return error_invalid(error, "%s:%zu: the only key at the top is connections:, once",
                                 path, key->start_mark.line + 1);
    }
    return first == top || read_connections(loader, node_at(loader, first->value), error);
}

static bool load_document(yaml_parser_t *parser, const char *path, yaml_document_t *ret_document,
                          struct error *error)
{
    if (yaml_parser_load(parser, ret_document))
        return true;
    return error_invalid(error, "%s:%zu: not YAML: %s", path, parser->problem_mark.line + 1,
                         parser->problem == NULL ? "unreadable" : parser->problem);
}

/* What stands in a second document would be left out in silence. */
static bool check_end(yaml_parser_t *parser, const char *path, struct error *error)
{
    yaml_document_t rest;
    if (!load_document(parser, path, &rest, error))
        return false;
    bool more = yaml_document_get_root_node(&rest) != NULL;
    size_t line = rest.start_mark.line + 1;
    yaml_document_delete(&rest);
    return !more || error_invalid(error,
                                  "%s:%zu: a second document begins here: all connections "
                                  "belong in one",
                                  path, line);
}

/* As a file that is being written: all connections would be gone. */
static bool is_blank(const char *text, size_t length)
{
    size_t i = 0;
    while (i < length && isspace((unsigned char)text[i]))
        i++;
    return i == length;
}

bool connections_yaml_read(const struct connections_source *source, const char *text, size_t length,
                           struct connections *connections, struct error *error)
{
    struct connections_loader loader = {.source = source, .connections = connections};
    yaml_parser_t parser;
    if (is_blank(text, length))
        return error_invalid(error, "%s: is empty: write `connections: {}` for no connections",
                             source->path);
    /* A team's Secret must not hold up those of all others. */
    if (!yaml_check(text, length, source->path, error))
        return false;
    connections->text_bytes += length;
    yaml_parser_initialize(&parser);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
    bool good = false;
    if (load_document(&parser, source->path, &loader.document, error)) {
        good = check_end(&parser, source->path, error) && read_document(&loader, error);
        yaml_document_delete(&loader.document);
    }
    yaml_parser_delete(&parser);
    return good;
}
