#include "manifest/sent_entries.h"

#include "base/memory.h"
#include "base/text.h"
#include "config/credentials.h"
#include "manifest/builtin.h"
#include "manifest/secrets.h"
#include "scale/metadata/general.h"

#include <stdlib.h>
#include <string.h>

static bool may_use(const struct sent_entries_source *source, const char *variable)
{
    const struct option_list *variables = source->variables;
    for (size_t i = 0; variables != NULL && i < variables->count; i++)
        if (text_equal(variables->items[i], variable))
            return true;
    return source->is_typed;
}

/* It is printed as something to type. */
static bool is_name(const char *variable)
{
    static const char permitted[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    return *variable != '\0' && strchr("0123456789", *variable) == NULL &&
           variable[strspn(variable, permitted)] == '\0';
}

static bool resolve_variable(const struct sent_entries_source *source, struct entry *entry,
                             const char *variable, struct error *error)
{
    if (source->is_of_cluster)
        return error_invalid(error, "%s is in a variable of the worker, which is not known here",
                             entry->key);
    if (!is_name(variable))
        return error_invalid(error, "%s names no variable", entry->key);
    if (!may_use(source, variable))
        return error_invalid(error, "%s: give --env %s, with its value in the environment",
                             entry->key, variable);
    const char *value = getenv(variable);
    if (value == NULL)
        return error_invalid(error, "%s: set the variable %s to measure it", entry->key, variable);
    entry->value = text_copy(value);
    return true;
}

/* The variable of the worker that KEYFromEnv names, in the metadata or the TriggerAuthentication;
 * NULL: there is none. */
static const char *variable_of(const struct builtin *builtin, const char *key)
{
    const struct authentication *authentication = &builtin->authentication;
    for (size_t i = 0; builtin->metadata != NULL && i < builtin->metadata->count; i++)
        if (text_equal(builtin->keys[i].name, key) &&
            option_is_variable(builtin->metadata->keys[i]))
            return builtin->metadata->items[i]->text;
    for (size_t i = 0; i < authentication->count; i++) {
        const struct authentication_parameter *parameter = &authentication->parameters[i];
        const struct option *row = builtin_parameter(builtin, parameter->name);
        size_t length = row == NULL ? 0 : strlen(row->key);
        if (parameter->source == PARAMETER_VARIABLE && row != NULL &&
            strncmp(key, row->key, length) == 0 && text_equal(key + length, OPTION_VARIABLE_SUFFIX))
            return parameter->object;
    }
    return NULL;
}

static bool refuse_secret(const struct sent_entries_source *source, const struct builtin *builtin,
                          const char *key, struct error *error)
{
    const char *place =
        builtin->authentication.is_cluster_wide ? source->manifests->cluster_namespace : NULL;
    if (source->with_secrets)
        return error_invalid(error,
                             "%s is in a Secret of %s%s%s, which is in none of the files: add it",
                             key, builtin->authentication.name,
                             place == NULL ? "" : " in namespace ", place == NULL ? "" : place);
    return error_invalid(error,
                         "%s is in a Secret of %s, and nothing of a Secret is sent to a server: "
                         "give the server a connection (`backlog migrate --connection NAME`), and "
                         "set connectionName",
                         key, builtin->authentication.name);
}

static bool read_builtin(const struct sent_entries_source *source, const struct builtin *builtin,
                         struct entries *entries, struct error *error)
{
    const struct error *reasons =
        error_is_set(&builtin->reasons) ? &builtin->reasons : &builtin->missing;
    if (error_is_set(reasons)) {
        error_copy(error, reasons);
        return false;
    }
    for (size_t i = 0; i < builtin->entries.count; i++) {
        const struct entry *entry = &builtin->entries.items[i];
        entries_add(entries, entry->key, entry->value, entry->line);
        if (entry->value != NULL)
            continue;
        const char *variable = variable_of(builtin, entry->key);
        if (variable == NULL)
            return refuse_secret(source, builtin, entry->key, error);
        if (!resolve_variable(source, &entries->items[entries->count - 1], variable, error))
            return false;
    }
    return true;
}

/* What a server with --kubernetes takes out of the trigger's own authentication. */
static bool add_credentials(const struct sent_entries_source *source, const struct scaler *scaler,
                            const char *namespace, const struct yaml_tree *trigger,
                            struct entries *entries, struct error *error)
{
    struct builtin own;
    builtin_read_credentials(scaler, source->manifests, namespace, trigger, entries, &own);
    secrets_fill_in(source->manifests, namespace, &own, &own.reasons);
    entries_remove(entries, CREDENTIALS_KEY);
    entries_remove(entries, CREDENTIALS_CLUSTER_KEY);
    for (size_t i = 0; i < own.entries.count; i++)
        entries_remove(entries, own.entries.items[i].key); /* a blank one */
    bool good = builtin_can_move(&own, error) && read_builtin(source, &own, entries, error);
    builtin_done(&own);
    return good;
}

static bool read_external(const struct sent_entries_source *source,
                          const struct manifest_object *object, const struct yaml_tree *trigger,
                          struct entries *entries, struct error *error)
{
    const struct yaml_tree *metadata = yaml_tree_find(trigger, "metadata");
    const struct scaler *scaler = scaler_find(source->scalers, yaml_tree_text(metadata, "scaler"));
    if (metadata == NULL || metadata->kind != YAML_TREE_MAP)
        return error_invalid(error, "metadata is missing");
    entries_read(metadata, scaler == NULL ? general_table : scaler->options, entries);
    for (size_t i = 0; i < entries->count; i++) {
        const char *variable = metadata->items[i]->text;
        if (entries->items[i].value == NULL &&
            !resolve_variable(source, &entries->items[i], variable == NULL ? "" : variable, error))
            return false;
    }
    const struct entry *named = entries_find_given(entries, "scaler");
    scaler = named == NULL ? NULL : scaler_find(source->scalers, named->value);
    bool has_own = source->has_kubernetes && scaler != NULL &&
                   entries_find_given(entries, "connectionName") == NULL;
    return !has_own || add_credentials(source, scaler, object->namespace, trigger, entries, error);
}

bool sent_entries_read(const struct sent_entries_source *source,
                       const struct manifest_object *object, size_t index,
                       struct entries *ret_entries, struct error *error)
{
    const struct yaml_tree *trigger = manifest_triggers(object)->items[index];
    if (builtin_is_external(yaml_tree_text(trigger, "type")))
        return read_external(source, object, trigger, ret_entries, error);
    struct builtin builtin;
    builtin_read(source->scalers, source->manifests, object->namespace, trigger, &builtin);
    if (source->with_secrets)
        secrets_fill_in(source->manifests, object->namespace, &builtin, &builtin.reasons);
    bool good = read_builtin(source, &builtin, ret_entries, error);
    builtin_done(&builtin);
    return good;
}
