#include "config/connections_yaml.h"

#include "base/memory.h"
#include "base/system/file.h"
#include "base/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum {
    LARGEST_SECRET = 64 << 10,
    LARGEST_MISTAKES = 4 << 10,
};

struct connections_reader {
    const struct connections_source *source;
    struct connections *connections;
    struct named_connection connection; /* that is read */
};

static void report(const struct connections_reader *reader, const char *name, size_t line,
                   const char *words)
{
    if (reader->source->on_mistake != NULL)
        reader->source->on_mistake(reader->source->context, name, line, words);
}

/* Of the connection that is read. */
static void mistake(struct connections_reader *reader, size_t line, const char *words)
{
    struct error *mistakes = &reader->connection.mistakes;
    if (strlen(error_text(mistakes)) >= LARGEST_MISTAKES)
        return;
    error_add(mistakes, "%s:%zu: %s", reader->source->path, line, words);
    report(reader, reader->connection.name, line, words);
}

static void mistake_about(struct connections_reader *reader, size_t line, const char *key,
                          const char *words)
{
    _cleanup_(memory_free) char *text = text_format("%.*s %s", (int)text_cut(key, 64), key, words);
    mistake(reader, line, text);
}

/* Of what becomes no connection. */
static void problem(const struct connections_reader *reader, const char *name, size_t line,
                    const char *words)
{
    const char *path = reader->source->path;
    _cleanup_(memory_free) char *text = text_format("%s:%zu: %s", path, line, words);
    if (connections_add_problem(reader->connections, name, path, false, text))
        report(reader, name, line, words);
}

/* A single value as it is written, NULL of anything else. */
static const char *scalar(const struct yaml_tree *item)
{
    bool is_single = item->kind == YAML_TREE_TEXT || item->kind == YAML_TREE_NULL;
    return is_single ? item->text : NULL;
}

/* A list is joined by commas, as KEDA writes lists; NULL of what is neither. */
static char *value_text(const struct yaml_tree *item)
{
    if (item->kind != YAML_TREE_LIST)
        return text_copy(scalar(item));
    _cleanup_(text_done) struct text text = {0};
    for (size_t i = 0; i < item->count; i++) {
        const char *piece = scalar(item->items[i]);
        if (piece == NULL)
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
static char *secret_text(struct connections_reader *reader, size_t line, const char *key,
                         const char *path)
{
    const struct connections_source *source = reader->source;
    if (source->file_value != NULL)
        return text_copy(source->file_value);
    _cleanup_(memory_free) char *whole =
        path[0] == '/' ? text_copy(path) : text_format("%s/%s", source->folder, path);
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(text_done) struct text content = {0};
    if (source->watch != NULL)
        file_watch_add(source->watch, whole);
    if (read_secret(whole, &content, &error))
        return text_take(&content);
    error_prefix(&error, "%.*s", (int)text_cut(key, 64), key);
    mistake(reader, line, error_text(&error));
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
static void add_entry(struct connections_reader *reader, size_t line, char *key, char *value)
{
    struct named_connection *connection = &reader->connection;
    if (connection->entries == NULL)
        connection->entries = memory_array(CONNECTIONS_MAX_KEYS, sizeof(*connection->entries));
    bool is_repeated = has_entry(connection, key);
    if (!is_repeated && connection->entries_count < CONNECTIONS_MAX_KEYS) {
        connection->entries[connection->entries_count++] = (struct option_entry){key, value};
        return;
    }
    _cleanup_(memory_free) char *too_many =
        text_format("is one key too many: at most %d are permitted", CONNECTIONS_MAX_KEYS);
    mistake_about(reader, line, key, is_repeated ? "is given twice" : too_many);
    free(key);
    free(value);
}

static void read_namespaces(struct connections_reader *reader, size_t line,
                            const struct yaml_tree *list)
{
    struct named_connection *connection = &reader->connection;
    if (list->kind != YAML_TREE_LIST || connection->namespaces != NULL) {
        mistake(reader, line, "namespaces must be one list of names or patterns");
        return;
    }
    connection->namespaces = memory_array(list->count, sizeof(char *));
    for (size_t i = 0; i < list->count; i++) {
        const char *pattern = scalar(list->items[i]);
        if (pattern == NULL || pattern[0] == '\0')
            mistake(reader, line, "namespaces must be a list of names or patterns");
        else
            connection->namespaces[connection->namespaces_count++] = text_copy(pattern);
    }
    if (list->count == 0)
        mistake(reader, line,
                "namespaces is empty: nobody could use the connection; leave the key out for all");
}

/* `value` moves into the connection. */
static void read_scaler(struct connections_reader *reader, size_t line, char *value)
{
    if (reader->connection.scaler != NULL)
        mistake(reader, line, "scaler is given twice");
    free(reader->connection.scaler);
    reader->connection.scaler = value;
}

static void read_file(struct connections_reader *reader, size_t line, const char *key,
                      const char *path)
{
    char *secret = secret_text(reader, line, key, path);
    if (secret != NULL)
        add_entry(reader, line, text_copy_bytes(key, strlen(key) - strlen(suffix_file)), secret);
}

/* Mistakes are reported with the line of the key. */
static void read_key(struct connections_reader *reader, size_t line, const char *key,
                     const struct yaml_tree *item)
{
    _cleanup_(memory_free) char *value = value_text(item);
    if (value == NULL)
        mistake_about(reader, line, key, "must be a single value or a list of values");
    else if (text_equal(key, "scaler"))
        read_scaler(reader, line, TAKE(value));
    else if (text_ends_with(key, suffix_file))
        read_file(reader, line, key, value);
    else
        add_entry(reader, line, text_copy(key), TAKE(value));
}

static void read_keys(struct connections_reader *reader, const struct yaml_tree *map)
{
    for (size_t i = 0; i < map->count; i++) {
        const char *key = map->keys[i];
        const struct yaml_tree *item = map->items[i];
        size_t line = map->key_spans[i].line;
        if (item->kind == YAML_TREE_INVALID)
            mistake(reader, line, item->text);
        else if (text_equal(key, "namespaces"))
            read_namespaces(reader, line, item);
        else if (!reader->source->is_chart || !text_equal(key, "secret"))
            read_key(reader, line, key, item);
    }
}

static const struct named_connection *find_unsorted(const struct connections *connections,
                                                    const char *name)
{
    for (size_t i = 0; i < connections->count; i++)
        if (text_equal(connections->items[i].name, name))
            return &connections->items[i];
    return NULL;
}

/* Can a connection of this name be added? */
static bool is_new(const struct connections_reader *reader, const char *name, size_t line)
{
    const struct named_connection *former = find_unsorted(reader->connections, name);
    if (former == NULL && reader->connections->count < CONNECTIONS_MAX)
        return true;
    _cleanup_(memory_free) char *words =
        former != NULL ? connections_repeated_words(former)
                       : text_format("%.*s is one of more than %d connections",
                                     (int)text_cut(name, 64), name, CONNECTIONS_MAX);
    problem(reader, name, line, words);
    return false;
}

static void read_connection(struct connections_reader *reader, const char *name, size_t line,
                            const struct yaml_tree *map)
{
    if (name[0] == '\0') {
        problem(reader, NULL, line, "a connection's name must be a word");
        return;
    }
    if (!is_new(reader, name, line))
        return;
    reader->connection = (struct named_connection){
        .name = text_copy(name),
        .file = text_copy(reader->source->path),
        .line = line,
    };
    if (map->kind != YAML_TREE_MAP)
        mistake_about(reader, line, name, "must have keys");
    else {
        read_keys(reader, map);
        if (reader->connection.scaler == NULL)
            mistake_about(reader, line, name, "has no scaler: set one, such as scaler: kafka");
    }
    connections_add(reader->connections, &reader->connection);
}

/* What is below `connections`; NULL: nothing. */
static bool find_connections(const struct connections_source *source, const struct yaml_tree *root,
                             const struct yaml_tree **ret_map, struct error *error)
{
    const char *path = source->path;
    const struct yaml_tree *found = NULL;
    if (root->kind != YAML_TREE_MAP)
        return error_invalid(error, "%s:%zu: must begin with connections:", path, root->line);
    for (size_t i = 0; i < root->count; i++) {
        bool is_other = !text_equal(root->keys[i], "connections");
        if (is_other && source->is_chart)
            continue;
        if (is_other || found != NULL)
            return error_invalid(error, "%s:%zu: the only key at the top is connections:, once",
                                 path, root->key_spans[i].line);
        found = root->items[i];
    }
    bool is_nothing = found == NULL || text_equal(found->text, "");
    if (!is_nothing && found->kind != YAML_TREE_MAP)
        return error_invalid(error, "%s:%zu: connections must have named connections under it",
                             path, found->line);
    *ret_map = is_nothing ? NULL : found;
    return true;
}

/* Nothing that follows is a connection, or a problem that anybody reads. */
static bool is_full(const struct connections *connections)
{
    return connections->count == CONNECTIONS_MAX && connections->problems_count == CONNECTIONS_MAX;
}

bool connections_yaml_read_tree(const struct connections_source *source,
                                const struct yaml_tree *root, struct connections *connections,
                                struct error *error)
{
    struct connections_reader reader = {.source = source, .connections = connections};
    const struct yaml_tree *map = NULL;
    if (!find_connections(source, root, &map, error))
        return false;
    for (size_t i = 0; map != NULL && i < map->count && !is_full(connections); i++)
        read_connection(&reader, map->keys[i], map->key_spans[i].line, map->items[i]);
    return true;
}

/* As a file that is being written: all connections would be gone. */
static bool is_blank(const char *text, size_t length)
{
    size_t i = 0;
    while (i < length && isspace((unsigned char)text[i]))
        i++;
    return i == length;
}

/* What stands in a second document would be left out in silence. */
static bool check_end(const struct connections_source *source, const struct yaml_forest *forest,
                      struct error *error)
{
    return forest->count < 2 || error_invalid(error,
                                              "%s:%zu: a second document begins here: all "
                                              "connections belong in one",
                                              source->path, forest->trees[1]->line);
}

bool connections_yaml_read(const struct connections_source *source, const char *text, size_t length,
                           struct connections *connections, struct error *error)
{
    const struct yaml_rules rules = {.keeps_invalid = true};
    _cleanup_(yaml_forest_done) struct yaml_forest forest = {0};
    if (is_blank(text, length))
        return error_invalid(error, "%s: is empty: write `connections: {}` for no connections",
                             source->path);
    return yaml_forest_parse_by(&rules, text, length, source->path, &forest, error) &&
           check_end(source, &forest, error) &&
           (forest.count == 0 /* nothing but comments */ ||
            connections_yaml_read_tree(source, forest.trees[0], connections, error));
}

size_t connections_yaml_line(const struct yaml_tree *written, const char *key)
{
    size_t length = strlen(key);
    for (size_t i = 0; i < written->count; i++)
        if (text_starts_with(written->keys[i], key) &&
            (written->keys[i][length] == '\0' ||
             text_equal(written->keys[i] + length, suffix_file)))
            return written->key_spans[i].line;
    return written->line;
}
