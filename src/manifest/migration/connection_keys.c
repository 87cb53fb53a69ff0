#include "manifest/migration/connection_keys.h"

#include "base/memory.h"
#include "manifest/builtin.h"
#include "manifest/yaml_text.h"

#include <stdlib.h>
#include <string.h>

static bool is_of_connection(const struct option *row)
{
    return row != NULL && row->scope == OPTION_CONNECTION;
}

static void add_line(struct text *text, const char *value)
{
    yaml_add_text(text, value == NULL ? "" : value);
    text_add(text, "\n");
}

/* The first one of its parameters. */
static const char *secret_of(const struct authentication *authentication)
{
    for (size_t i = 0; i < authentication->count; i++)
        if (authentication->parameters[i].source == PARAMETER_SECRET)
            return authentication->parameters[i].object;
    return NULL;
}

static void add_parameters(const struct builtin *builtin, const char *secret, struct text *text)
{
    for (size_t i = 0; i < builtin->authentication.count; i++) {
        const struct authentication_parameter *parameter = &builtin->authentication.parameters[i];
        const struct option *row = builtin_parameter(builtin, parameter->name);
        if (!is_of_connection(row))
            continue;
        bool is_secret = parameter->source == PARAMETER_SECRET;
        text_addf(text, "    %s%s: ", row->key, is_secret ? "File" : "");
        if (!is_secret)
            add_line(text, parameter->value);
        else if (text_equal(parameter->object, secret))
            add_line(text, parameter->key);
        else {
            yaml_add_text(text, parameter->key);
            text_add(text, " # of Secret ");
            yaml_add_text(text, parameter->object);
            text_add(text, ": put it into ");
            add_line(text, secret);
        }
    }
}

/* Without what is about one namespace. The trigger's keys that go are added to `removed`. */
static void add_keys(const struct builtin *builtin, struct text *text, struct text *removed)
{
    const char *secret = secret_of(&builtin->authentication);
    text_addf(text, "    scaler: %s\n", builtin->scaler->name);
    if (secret != NULL) {
        text_add(text, "    secret: ");
        yaml_add_text(text, secret);
        text_add(text, " # in the namespace of Backlog: create it there\n");
    }
    for (size_t i = 0; i < builtin->metadata->count; i++) {
        const struct yaml_tree *item = builtin->metadata->items[i];
        if (!is_of_connection(builtin->keys[i].row))
            continue;
        text_addf(text, "    %s: ", builtin->keys[i].row->key);
        add_line(text, item->text);
        text_addf(removed, ", %s", builtin->metadata->keys[i]);
    }
    add_parameters(builtin, secret, text);
}

static bool check_variables(const struct builtin *builtin, struct error *error)
{
    for (size_t i = 0; i < builtin->metadata->count; i++) {
        const char *key = builtin->metadata->keys[i];
        const struct option *row = builtin->keys[i].row;
        if (is_of_connection(row) && option_is_variable(key) && !option_is_variable(row->key))
            return error_invalid(error,
                                 "%s is a variable of the worker: a connection has the value, or "
                                 "a key of a Secret (%sFile)",
                                 key, row->key);
    }
    return true;
}

static bool read_keys(const struct builtin *builtin, struct text *text, struct text *removed,
                      struct error *error)
{
    if (!builtin_can_move(builtin, error))
        return false;
    if (error_is_set(&builtin->missing)) {
        error_copy(error, &builtin->missing);
        return false;
    }
    if (!check_variables(builtin, error))
        return false;
    add_keys(builtin, text, removed);
    return true;
}

/* The connection of all triggers so far. */
struct connection_keys_found {
    struct text keys, removed;
    const char **namespaces; /* each once; borrowed */
    size_t count, capacity;
    bool is_for_all;
};

static void found_done(struct connection_keys_found *found)
{
    text_done(&found->keys);
    text_done(&found->removed);
    free(found->namespaces);
}

static void add_namespace(struct connection_keys_found *found, const char *namespace)
{
    for (size_t i = 0; i < found->count; i++)
        if (text_equal(found->namespaces[i], namespace))
            return;
    found->namespaces = memory_grow(found->namespaces, &found->capacity, found->count + 1,
                                    sizeof(*found->namespaces));
    found->namespaces[found->count++] = namespace;
}

static bool add_trigger(const struct scaler *const *scalers, const struct manifests *manifests,
                        const struct manifest_object *object, const struct yaml_tree *trigger,
                        struct connection_keys_found *found, struct error *error)
{
    _cleanup_(text_done) struct text keys = {0};
    _cleanup_(text_done) struct text removed = {0};
    struct builtin builtin;
    builtin_read(scalers, manifests, object->namespace, trigger, &builtin);
    bool is_read = read_keys(&builtin, &keys, &removed, error);
    builtin_done(&builtin);
    if (is_read && found->keys.length > 0 && !text_equal(found->keys.bytes, keys.bytes))
        is_read = error_invalid(error, "it needs another connection than the trigger before: name "
                                       "files of one connection");
    if (!is_read)
        return error_prefix(error, "%s:%zu: %s", object->file->path, trigger->line, object->label);
    if (found->keys.length == 0) {
        text_add(&found->keys, keys.bytes);
        text_add(&found->removed, removed.bytes == NULL ? "" : removed.bytes);
    }
    found->is_for_all |= object->namespace == NULL;
    if (object->namespace != NULL)
        add_namespace(found, object->namespace);
    return true;
}

static bool add_object(const struct scaler *const *scalers, const struct manifests *manifests,
                       const struct manifest_object *object, struct connection_keys_found *found,
                       struct error *error)
{
    const struct yaml_tree *list = manifest_scales(object) ? manifest_triggers(object) : NULL;
    for (size_t i = 0; list != NULL && i < list->count; i++) {
        const char *type = yaml_tree_text(list->items[i], "type");
        bool is_meant = type != NULL && !builtin_is_external(type) &&
                        yaml_tree_find(list->items[i], "authenticationRef") != NULL;
        if (is_meant && !add_trigger(scalers, manifests, object, list->items[i], found, error))
            return false;
    }
    return true;
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* A list of some of them would keep the trigger that names none out of its connection. */
static void write_namespaces(struct connection_keys_found *found, struct text *text)
{
    if (found->is_for_all) {
        text_add(text,
                 "    # a trigger names no namespace: without `namespaces` every team may use "
                 "the connection\n");
        return;
    }
    qsort(found->namespaces, found->count, sizeof(*found->namespaces), compare_names);
    for (size_t i = 0; i < found->count; i++) {
        text_add(text, i == 0 ? "    namespaces: [" : ", ");
        yaml_add_text(text, found->namespaces[i]);
    }
    text_add(text, "]\n");
}

bool connection_keys_write(const struct scaler *const *scalers, const struct manifests *manifests,
                           const char *name, struct text *ret_text, struct error *error)
{
    _cleanup_(found_done) struct connection_keys_found found = {0};
    for (size_t i = 0; i < manifests->object_count; i++)
        if (!add_object(scalers, manifests, &manifests->objects[i], &found, error))
            return false;
    if (found.keys.length == 0)
        return error_invalid(error, "no trigger of KEDA's own types has an authenticationRef here");
    text_addf(ret_text, "# Of the trigger: connectionName: %s, without authenticationRef%s.\n",
              name, found.removed.bytes == NULL ? "" : found.removed.bytes);
    text_addf(ret_text, "connections:\n  %s:\n%s", name, found.keys.bytes);
    write_namespaces(&found, ret_text);
    return true;
}
