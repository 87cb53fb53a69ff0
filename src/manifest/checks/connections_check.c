#include "manifest/checks/connections_check.h"

#include "base/memory.h"
#include "manifest/entries.h"
#include "scale/connections/named.h"

#include <stdlib.h>
#include <string.h>

static const char suffix_file[] = "File";
static const char not_here[] = "(in a file that is not read)";

struct connections_checker {
    const struct scaler *const *scalers;
    const struct manifest_object *object;
    struct connections *connections;
    struct findings *findings;
};

bool connection_is_known(const struct named_connection *connection)
{
    for (size_t i = 0; i < connection->entries_count; i++)
        if (text_equal(connection->entries[i].value, not_here))
            return false;
    return true;
}

static struct finding_place place_of(const struct connections_checker *checker, const char *name,
                                     size_t line)
{
    return (struct finding_place){
        .path = checker->object->file->path, .line = line, .object = name};
}

/* As the server: each key once, and not too many. */
static void add_entry(const struct connections_checker *checker, const char *connection,
                      struct entries *entries, const char *key, const char *value, size_t line)
{
    const struct finding_place place = place_of(checker, connection, line);
    if (entries_find(entries, key) == NULL && entries->count < CONNECTIONS_MAX_KEYS)
        entries_add(entries, key, value, line);
    else
        finding_add(checker->findings, &place, FINDING_ERROR,
                    "connection %s: %s is given twice, or there are more than %d keys", connection,
                    key, CONNECTIONS_MAX_KEYS);
}

/* As KEDA writes a list: with commas. NULL of a map. The caller frees it. */
static char *value_of(const struct yaml_tree *item)
{
    if (item->kind == YAML_TREE_TEXT || item->kind == YAML_TREE_NULL)
        return text_copy(item->text == NULL ? "" : item->text);
    if (item->kind == YAML_TREE_MAP)
        return NULL;
    struct text joined = {0};
    for (size_t i = 0; i < item->count; i++)
        text_addf(&joined, "%s%s", i == 0 ? "" : ",",
                  item->items[i]->text == NULL ? "" : item->items[i]->text);
    return text_take(&joined);
}

static void read_namespaces(const struct connections_checker *checker, const struct yaml_tree *list,
                            struct named_connection *connection)
{
    const struct finding_place place = place_of(checker, connection->name, list->line);
    if (list->kind != YAML_TREE_LIST || list->count == 0) {
        finding_add(checker->findings, &place, FINDING_ERROR,
                    "namespaces must be a list of names or patterns: leave it out for all");
        return;
    }
    if (connection->namespaces != NULL) {
        finding_add(checker->findings, &place, FINDING_ERROR,
                    "namespaces is given twice: write one list");
        return;
    }
    connection->namespaces = memory_array(list->count, sizeof(char *));
    for (size_t i = 0; i < list->count; i++)
        connection->namespaces[connection->namespaces_count++] =
            text_copy(list->items[i]->text == NULL ? "" : list->items[i]->text);
}

static void read_key(const struct connections_checker *checker, const struct yaml_tree *map,
                     size_t i, struct named_connection *connection, struct entries *entries)
{
    const char *key = map->keys[i];
    const struct yaml_tree *item = map->items[i];
    size_t line = map->key_spans[i].line;
    if (text_equal(key, "namespaces")) {
        read_namespaces(checker, item, connection);
        return;
    }
    if (text_equal(key, "secret") || text_equal(key, "scaler"))
        return; /* the chart's; read before */
    _cleanup_(memory_free) char *value = value_of(item);
    const struct finding_place place = place_of(checker, connection->name, line);
    if (value == NULL) {
        finding_add(checker->findings, &place, FINDING_ERROR,
                    "%s must be a single value or a list of values", key);
        return;
    }
    if (!text_ends_with(key, suffix_file)) {
        add_entry(checker, connection->name, entries, key, value, line);
        return;
    }
    /* It is not read, as errors repeat values: who writes the manifests must not choose which files
     * of this machine are in the log of a build. */
    _cleanup_(memory_free) char *plain = text_copy_bytes(key, strlen(key) - strlen(suffix_file));
    add_entry(checker, connection->name, entries, plain, NULL, line);
}

/* The mistakes that have a line of their own; whether there was none. */
static bool check_entries(const struct connections_checker *checker, const struct scaler *scaler,
                          const char *name, const struct entries *entries,
                          const struct option_entry *plain)
{
    bool good = true;
    for (size_t i = 0; i < entries->count; i++) {
        _cleanup_(error_done) struct error error = {0};
        const struct finding_place place = place_of(checker, name, entries->items[i].line);
        const struct option *row = option_find(scaler->options, plain[i].key, OPTION_FROM_FILE);
        if (row != NULL && row->scope != OPTION_CONNECTION)
            error_add(&error, "%s belongs in the trigger", plain[i].key);
        else if (option_check_entry(scaler->options, NULL, &plain[i], OPTION_FROM_FILE, &error))
            continue;
        finding_add(checker->findings, &place, FINDING_ERROR, "connection %s: %s", name,
                    error_text(&error));
        good = false;
    }
    return good;
}

/* What is missing, and the rules across keys where their values are known. */
static void check_whole(const struct connections_checker *checker, const struct scaler *scaler,
                        const struct named_connection *connection, const struct option_entry *plain,
                        size_t line)
{
    _cleanup_(error_done) struct error error = {0};
    struct option_values *values[OPTION_SCOPES];
    option_parse(scaler->options, scaler->sizes,
                 &(struct option_input){plain, connection->entries_count, OPTION_FROM_FILE}, values,
                 &error);
    if (connection_is_known(connection) && scaler->check_connection != NULL)
        scaler->check_connection(values[OPTION_CONNECTION]->data, &error);
    for (int scope = 0; scope < OPTION_SCOPES; scope++)
        option_values_free(values[scope]);
    const struct finding_place place = place_of(checker, connection->name, line);
    if (error_is_set(&error))
        finding_add(checker->findings, &place, FINDING_ERROR, "connection %s: %s", connection->name,
                    error_text(&error));
}

static void keep_entries(struct named_connection *connection, const struct entries *entries)
{
    connection->entries = memory_array(entries->count, sizeof(*connection->entries));
    for (size_t i = 0; i < entries->count; i++)
        connection->entries[connection->entries_count++] = (struct option_entry){
            text_copy(entries->items[i].key),
            text_copy(entries->items[i].value == NULL ? not_here : entries->items[i].value)};
}

static void read_connection(const struct connections_checker *checker, const char *name,
                            size_t line, const struct yaml_tree *map)
{
    const struct finding_place place = place_of(checker, name, line);
    struct connections *connections = checker->connections;
    if (map->kind != YAML_TREE_MAP) {
        finding_add(checker->findings, &place, FINDING_ERROR, "connection %s must have keys", name);
        return;
    }
    if (connections->count == CONNECTIONS_MAX) {
        finding_add(checker->findings, &place, FINDING_ERROR,
                    "connection %s is one of more than %d connections", name, CONNECTIONS_MAX);
        return;
    }
    for (size_t i = 0; i < connections->count; i++)
        if (text_equal(connections->items[i].name, name)) {
            finding_add(checker->findings, &place, FINDING_ERROR, "connection %s is there twice",
                        name);
            return;
        }
    _cleanup_(entries_done) struct entries entries = {0};
    const char *kind = yaml_tree_text(map, "scaler");
    const struct scaler *scaler = scaler_find(checker->scalers, kind);
    struct named_connection connection = {.name = text_copy(name),
                                          .scaler = text_copy(kind == NULL ? "" : kind)};
    for (size_t i = 0; i < map->count; i++)
        read_key(checker, map, i, &connection, &entries);
    if (scaler == NULL) {
        _cleanup_(error_done) struct error error = {0};
        scaler_add_unknown(checker->scalers, kind, &error);
        finding_add(checker->findings, &place, FINDING_ERROR, "connection %s: %s", name,
                    error_text(&error));
    }
    keep_entries(&connection, &entries);
    if (scaler != NULL) {
        _cleanup_(memory_free) struct option_entry *plain =
            entries_plain(&entries, scaler->options);
        if (check_entries(checker, scaler, name, &entries, plain))
            check_whole(checker, scaler, &connection, plain, line);
    }
    connections_add(connections, &connection);
}

struct connections *connections_check(const struct scaler *const *scalers,
                                      const struct manifests *manifests, struct findings *findings)
{
    struct connections *connections = NULL;
    for (size_t i = 0; i < manifests->object_count; i++) {
        const struct manifest_object *object = &manifests->objects[i];
        if (object->kind != MANIFEST_CONNECTIONS)
            continue;
        if (connections == NULL)
            connections = connections_new();
        const struct connections_checker checker = {scalers, object, connections, findings};
        const struct yaml_tree *map = yaml_tree_find(object->tree, "connections");
        for (size_t name = 0; name < map->count; name++)
            read_connection(&checker, map->keys[name], map->key_spans[name].line, map->items[name]);
    }
    if (connections != NULL)
        connections_sort(connections);
    return connections;
}
