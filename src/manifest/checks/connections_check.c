#include "manifest/checks/connections_check.h"

#include "base/memory.h"
#include "config/connections_yaml.h"
#include "manifest/entries.h"
#include "scale/connections/named_connections.h"

#include <stdlib.h>
#include <string.h>

/* No file is read, as errors repeat values: who writes the manifests must not choose which files of
 * this machine are in the log of a build. */
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
    return named_connection_is_usable(connection);
}

static struct finding_place place_of(const struct connections_checker *checker, const char *name,
                                     size_t line)
{
    return (struct finding_place){
        .path = checker->object->file->path, .line = line, .object = name};
}

static void add_mistake(void *context, const char *name, size_t line, const char *words)
{
    const struct connections_checker *checker = context;
    const struct finding_place place = place_of(checker, name, line);
    if (name == NULL)
        finding_add(checker->findings, &place, FINDING_ERROR, "%s", words);
    else
        finding_add(checker->findings, &place, FINDING_ERROR, "connection %s: %s", name, words);
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

/* What is missing, and the rules across keys. */
static char *judge_whole(const void *context, struct option_entry *plain, size_t count)
{
    const struct scaler *scaler = context;
    _cleanup_(error_done) struct error error = {0};
    struct option_values *values[OPTION_SCOPES];
    option_parse(scaler->options, scaler->sizes,
                 &(struct option_input){plain, count, OPTION_FROM_FILE}, values, &error);
    if (scaler->check_connection != NULL)
        scaler->check_connection(values[OPTION_CONNECTION]->data, &error);
    for (int scope = 0; scope < OPTION_SCOPES; scope++)
        option_values_free(values[scope]);
    return text_copy(error_text(&error));
}

/* With the lines of what is written; the caller ends them. */
static void read_entries(const struct named_connection *connection, const struct yaml_tree *written,
                         struct entries *ret_entries)
{
    for (size_t i = 0; i < connection->entries_count; i++) {
        const struct option_entry *entry = &connection->entries[i];
        bool is_here = !text_equal(entry->value, not_here);
        entries_add(ret_entries, entry->key, is_here ? entry->value : NULL,
                    connections_yaml_line(written, entry->key));
    }
}

/* What its scaler says to what could be read of it. */
static void check_connection(const struct connections_checker *checker,
                             const struct named_connection *connection,
                             const struct yaml_tree *written)
{
    _cleanup_(entries_done) struct entries entries = {0};
    if (connection->scaler == NULL) /* the reader has said so */
        return;
    const struct scaler *scaler = scaler_find(checker->scalers, connection->scaler);
    if (scaler == NULL) {
        _cleanup_(error_done) struct error error = {0};
        const struct finding_place place = place_of(checker, connection->name, connection->line);
        scaler_add_unknown(checker->scalers, connection->scaler, &error);
        finding_add(checker->findings, &place, FINDING_ERROR, "connection %s: %s", connection->name,
                    error_text(&error));
        return;
    }
    read_entries(connection, written, &entries);
    _cleanup_(memory_free) struct option_entry *plain = entries_plain(&entries, scaler->options);
    if (!check_entries(checker, scaler, connection->name, &entries, plain) ||
        error_is_set(&connection->mistakes))
        return;
    const struct finding_place place = place_of(checker, connection->name, connection->line);
    _cleanup_(memory_free) char *whole =
        entries_mistakes(&entries, scaler->options, judge_whole, scaler);
    if (whole[0] != '\0')
        finding_add(checker->findings, &place, FINDING_ERROR, "connection %s: %s", connection->name,
                    whole);
}

/* A connections file and the chart's values may both have `connections` alone. Only the values have
 * a Secret's key as a <key>File, or a path below which the chart mounts Secrets. */
static bool names_a_secret(const struct yaml_tree *connection)
{
    static const char mounted[] = "/etc/backlog/secrets/";
    bool has_secret = false;
    bool has_file = false;
    for (size_t i = 0; connection->kind == YAML_TREE_MAP && i < connection->count; i++) {
        const char *text = connection->items[i]->text;
        has_secret |= text_equal(connection->keys[i], "secret");
        has_file |= text != NULL && text_ends_with(connection->keys[i], "File") &&
                    (text[0] != '/' || text_starts_with(text, mounted));
    }
    return has_secret && has_file;
}

static bool is_of_chart(const struct yaml_tree *root, const struct yaml_tree *connections)
{
    bool is_chart = false;
    for (size_t i = 0; i < root->count; i++)
        is_chart |= !text_equal(root->keys[i], "connections");
    for (size_t i = 0; i < connections->count; i++)
        is_chart |= names_a_secret(connections->items[i]);
    return is_chart;
}

static void check_document(struct connections_checker *checker)
{
    _cleanup_(error_done) struct error error = {0};
    const struct manifest_object *object = checker->object;
    const struct yaml_tree *map = yaml_tree_find(object->tree, "connections");
    const struct connections_source source = {
        .path = object->file->path,
        .folder = ".",
        .file_value = not_here,
        .is_chart = is_of_chart(object->tree, map),
        .on_mistake = add_mistake,
        .context = checker,
    };
    size_t first = checker->connections->count;
    if (!connections_yaml_read_tree(&source, object->tree, checker->connections, &error)) {
        manifest_add_error(checker->findings, object->file->path, &error);
        return;
    }
    /* They are in the order in which they are written; of those of one name the first was read. */
    for (size_t i = 0; first < checker->connections->count && i < map->count; i++) {
        const struct named_connection *connection = &checker->connections->items[first];
        if (!text_equal(connection->name, map->keys[i]))
            continue;
        check_connection(checker, connection, map->items[i]);
        first++;
    }
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
        struct connections_checker checker = {scalers, object, connections, findings};
        check_document(&checker);
    }
    if (connections != NULL)
        connections_sort(connections);
    return connections;
}
