#include "manifest/builtin.h"

#include "base/memory.h"
#include "base/text.h"
#include "config/credentials.h"
#include "config/kubernetes_name.h"
#include "scale/connections/named_connections.h"
#include "scale/connections/own_credentials.h"
#include "scale/metadata/general.h"
#include "scale/table/triggers.h"

#include <stdlib.h>
#include <string.h>

bool builtin_is_external(const char *type)
{
    return text_equal(type, "external") || text_equal(type, "external-push");
}

const struct option *builtin_parameter(const struct builtin *builtin, const char *name)
{
    return option_find(builtin->scaler->options, name, OPTION_FROM_FILE);
}

/* ---- names ---- */

/* KEDA's names of its channel to Backlog are those of some of its scalers' own keys. Tables say so
 * by OPTION_ALIAS_IN_FILE, which only these two functions read. */

char *builtin_name_there(const struct option *table, const char *key, const struct option **ret_row)
{
    const struct option *row = option_find(table, key, OPTION_FROM_TRIGGER);
    bool is_variable = option_is_variable(key);
    *ret_row = row;
    if (row != NULL)
        return text_copy(key);
    _cleanup_(memory_free) char *plain =
        text_copy_bytes(key, strlen(key) - (is_variable ? strlen(OPTION_VARIABLE_SUFFIX) : 0));
    *ret_row = row = option_find(table, plain, OPTION_FROM_FILE);
    if (row != NULL)
        return text_format("%s%s", row->key, is_variable ? OPTION_VARIABLE_SUFFIX : "");
    /* metricName: KEDA has stopped to read it, and Backlog takes it for that. */
    return option_find(general_table, key, OPTION_FROM_FILE) == NULL ? NULL : text_copy(key);
}

char *builtin_name_back(const struct option *table, const char *key)
{
    const struct option *row = option_find(table, key, OPTION_FROM_TRIGGER);
    if (row == NULL || !(row->flags & OPTION_ALIAS_IN_FILE))
        return text_copy(key);
    bool is_variable = !text_equal(key, row->key);
    return text_format("%s%s", row->alias, is_variable ? OPTION_VARIABLE_SUFFIX : "");
}

static unsigned places_of(const struct scaler *scaler, const struct option *row)
{
    if (scaler->not_in_keda != NULL && text_equal(row->key, scaler->not_in_keda))
        return OPTION_KEDA_NOWHERE;
    return row->keda == 0 ? OPTION_KEDA_METADATA : row->keda;
}

bool builtin_is_read(const struct scaler *scaler, const struct option *row, const char *key)
{
    bool is_variable = option_is_variable(key) && !option_is_variable(row->key);
    bool is_renamed = row->flags & OPTION_ALIAS_IN_FILE;
    return places_of(scaler, row) & (is_variable ? OPTION_KEDA_VARIABLE : OPTION_KEDA_METADATA) &&
           (!is_renamed || text_starts_with(key, row->alias));
}

bool builtin_is_authenticated(const struct scaler *scaler, const struct option *row)
{
    return places_of(scaler, row) & OPTION_KEDA_AUTHENTICATION;
}

void builtin_add_places(struct text *text, const struct scaler *scaler, const struct option *row)
{
    static const struct {
        enum option_keda place;
        const char *behind;
    } places[] = {{OPTION_KEDA_METADATA, " in the metadata"},
                  {OPTION_KEDA_VARIABLE, OPTION_VARIABLE_SUFFIX " in the metadata"},
                  {OPTION_KEDA_AUTHENTICATION, " in a TriggerAuthentication"}};
    const char *key = row->flags & OPTION_ALIAS_IN_FILE ? row->alias : row->key;
    const char *between = " reads only ";
    if (places_of(scaler, row) & OPTION_KEDA_NOWHERE)
        text_addf(text, " has no %s", key);
    for (size_t i = 0; i < ARRAY_LENGTH(places); i++)
        if (places_of(scaler, row) & places[i].place) {
            text_addf(text, "%s%s%s", between, key, places[i].behind);
            between = " and ";
        }
}

static bool is_one_of(const char *key, const char *const *keys, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (text_equal(key, keys[i]))
            return true;
    return false;
}

bool builtin_is_own_key(const char *key)
{
    static const char *const own[] = {"scaler", CREDENTIALS_KEY, CREDENTIALS_CLUSTER_KEY};
    return is_one_of(key, own, ARRAY_LENGTH(own)) || builtin_is_channel_key(key);
}

bool builtin_is_channel_key(const char *key)
{
    static const char *const channel[] = {"scalerAddress", "enableTLS", "unsafeSsl"};
    return is_one_of(key, channel, ARRAY_LENGTH(channel));
}

/* ---- the metadata ---- */

static void read_key(struct builtin *builtin, size_t i)
{
    const struct yaml_tree *item = builtin->metadata->items[i];
    const char *key = builtin->metadata->keys[i];
    struct builtin_key *read = &builtin->keys[i];
    read->name = builtin_name_there(builtin->scaler->options, key, &read->row);
    if (text_equal(key, "<<") || item->kind == YAML_TREE_LIST || item->kind == YAML_TREE_MAP)
        error_add(&builtin->reasons, "line %zu: %s is no single value: write it out", item->line,
                  key);
    if (read->name == NULL) {
        read->action = BUILTIN_IGNORED;
        return;
    }
    bool is_variable =
        option_is_variable(key) && !option_is_variable(read->row == NULL ? "" : read->row->key);
    bool is_blank = item->text != NULL && text_is_blank(item->text);
    bool has_advice = read->row != NULL && read->row->type == OPTION_UNSUPPORTED;
    if (read->row != NULL && !has_advice && !is_blank &&
        !builtin_is_read(builtin->scaler, read->row, key))
        read->action = BUILTIN_IGNORED;
    else if (!text_equal(read->name, key))
        read->action = BUILTIN_RENAME;
    entries_add(&builtin->entries, read->name,
                is_variable          ? NULL
                : item->text == NULL ? ""
                                     : item->text,
                builtin->metadata->key_spans[i].line);
}

static void read_metadata(struct builtin *builtin, const struct yaml_tree *trigger)
{
    builtin->metadata = yaml_tree_find(trigger, "metadata");
    if (builtin->metadata == NULL || builtin->metadata->kind != YAML_TREE_MAP) {
        builtin->metadata = NULL;
        error_add(&builtin->reasons, "it has no metadata");
        return;
    }
    if (builtin->metadata->count > OPTION_MAX_KEYS) {
        error_add(&builtin->reasons, "its metadata has more than %d keys", OPTION_MAX_KEYS);
        builtin->metadata = NULL;
        return;
    }
    builtin->keys = memory_array(builtin->metadata->count, sizeof(*builtin->keys));
    for (size_t i = 0; i < builtin->metadata->count; i++)
        read_key(builtin, i);
}

/* ---- the TriggerAuthentication ---- */

/* The API server has no object of this name: it has blanks, or is empty. */
static void add_invalid_name(struct builtin *builtin, const char *name, const char *kind)
{
    error_add(&builtin->reasons, "\"%.*s\" is not the name of a %s", (int)text_cut(name, 64), name,
              kind);
}

static void check_authentication(struct builtin *builtin)
{
    const struct authentication *authentication = &builtin->authentication;
    const char *kind =
        authentication->is_cluster_wide ? "ClusterTriggerAuthentication" : "TriggerAuthentication";
    if (authentication->ref == NULL)
        return;
    if (authentication->name == NULL)
        error_add(&builtin->reasons, "authenticationRef has no name");
    else if (!kubernetes_name_is_valid(authentication->name))
        add_invalid_name(builtin, authentication->name, kind);
    else if (authentication->object == NULL)
        error_add(&builtin->missing, "%s %s is in none of the files: add the one that has it", kind,
                  authentication->name);
    else if (authentication->rival != NULL)
        error_add(&builtin->missing,
                  "%s %s is in %s, and another one in %s: set their namespaces, or name fewer "
                  "files",
                  kind, authentication->name, authentication->object->file->path,
                  authentication->rival->file->path);
    else if (authentication->unsupported != NULL)
        error_add(&builtin->reasons,
                  "%s %s uses %s, which Backlog does not have: use secretTargetRef, or KEYFromEnv "
                  "in the trigger's metadata",
                  kind, authentication->name, authentication->unsupported);
}

static const struct option *row_of(const struct option *table, const struct entry *entry)
{
    const struct option_entry plain = {entry->key, entry->value};
    return entry->value == NULL ? option_find(table, entry->key, OPTION_FROM_TRIGGER)
                                : own_credentials_given(table, &plain);
}

/* Is it one of them? */
static bool has_row(const struct option *const *rows, size_t count, const struct option *row)
{
    for (size_t i = 0; row != NULL && i < count; i++)
        if (rows[i] == row)
            return true;
    return false;
}

/* A key that the authentication gives twice, or the metadata, too, as `given` says. */
static void check_repeated(struct builtin *builtin, const struct entries *given)
{
    const struct authentication *authentication = &builtin->authentication;
    const struct option *rows[AUTHENTICATION_MAX_PARAMETERS] = {NULL};
    for (size_t i = 0; i < authentication->count; i++) {
        rows[i] = builtin_parameter(builtin, authentication->parameters[i].name);
        if (has_row(rows, i, rows[i]))
            error_add(&builtin->reasons, "%s has %s twice", authentication->name, rows[i]->key);
    }
    for (size_t i = 0; authentication->count > 0 && i < given->count; i++)
        if (has_row(rows, authentication->count,
                    row_of(builtin->scaler->options, &given->items[i])))
            error_add(&builtin->reasons, "%s is given in metadata and in %s: keep one of them",
                      given->items[i].key, authentication->name);
}

static void add_parameter(struct builtin *builtin, const struct authentication_parameter *parameter)
{
    const struct option *row = builtin_parameter(builtin, parameter->name);
    if (row == NULL)
        return; /* KEDA passes it over, too */
    _cleanup_(error_done) struct error error = {0};
    if (!credentials_check_row(builtin->authentication.name, row, &error))
        error_add(&builtin->reasons, "%s", error_text(&error));
    if (row->type == OPTION_UNSUPPORTED)
        return;
    if (parameter->source != PARAMETER_VARIABLE && !kubernetes_name_is_valid(parameter->object))
        add_invalid_name(builtin, parameter->object,
                         parameter->source == PARAMETER_SECRET ? "Secret" : "ConfigMap");
    else if (parameter->source == PARAMETER_CONFIG_MAP && parameter->value == NULL)
        error_add(&builtin->missing, "ConfigMap %s with %s is in none of the files: add it",
                  parameter->object, parameter->key);
    if (parameter->source != PARAMETER_VARIABLE) {
        entries_remove(&builtin->entries, row->key); /* a blank one */
        entries_add(&builtin->entries, row->key, parameter->value, parameter->line);
        return;
    }
    _cleanup_(memory_free) char *key = text_format("%s" OPTION_VARIABLE_SUFFIX, row->key);
    entries_add(&builtin->entries, key, NULL, parameter->line);
}

/* ---- the whole ---- */

static void add_absent(const struct scaler *const *scalers, struct builtin *builtin)
{
    for (; *scalers != NULL; scalers++)
        if (text_equal((*scalers)->name, builtin->type) && (*scalers)->absent != NULL) {
            builtin->is_meant = true;
            error_add(&builtin->reasons, "it %s", (*scalers)->absent);
        }
    if (!builtin->is_meant)
        error_add(&builtin->reasons, "Backlog has no such scaler");
}

void builtin_read(const struct scaler *const *scalers, const struct manifests *manifests,
                  const char *namespace, const struct yaml_tree *trigger, struct builtin *ret)
{
    const char *type = yaml_tree_text(trigger, "type");
    *ret = (struct builtin){.type = type == NULL ? "" : type};
    ret->scaler = scaler_find(scalers, ret->type);
    if (ret->scaler == NULL) {
        add_absent(scalers, ret);
        return;
    }
    ret->is_meant = true;
    authentication_read(manifests, namespace, trigger, &ret->authentication);
    check_authentication(ret);
    entries_add(&ret->entries, "scaler", ret->type, trigger->line);
    read_metadata(ret, trigger);
    check_repeated(ret, &ret->entries);
    for (size_t i = 0; i < ret->authentication.count; i++)
        add_parameter(ret, &ret->authentication.parameters[i]);
}

void builtin_read_credentials(const struct scaler *scaler, const struct manifests *manifests,
                              const char *namespace, const struct yaml_tree *trigger,
                              const struct entries *given, struct builtin *ret)
{
    *ret = (struct builtin){.type = scaler->name, .scaler = scaler, .is_meant = true};
    authentication_read_of_source(manifests, namespace, trigger, &ret->authentication);
    check_authentication(ret);
    check_repeated(ret, given);
    for (size_t i = 0; i < ret->authentication.count; i++)
        add_parameter(ret, &ret->authentication.parameters[i]);
}

bool builtin_can_move(const struct builtin *builtin, struct error *reasons)
{
    const struct authentication *authentication = &builtin->authentication;
    if (error_is_set(&builtin->reasons))
        error_add(reasons, "%s", error_text(&builtin->reasons));
    for (size_t i = 0; builtin->scaler != NULL && i < authentication->count; i++) {
        const struct authentication_parameter *parameter = &authentication->parameters[i];
        const struct option *row = builtin_parameter(builtin, parameter->name);
        if (row != NULL && parameter->source == PARAMETER_VARIABLE)
            error_add(reasons,
                      "%s has %s by env: remove it there, and set %sFromEnv: %s in the trigger's "
                      "metadata",
                      authentication->name, parameter->name, row->key, parameter->object);
    }
    return !error_is_set(reasons);
}

void builtin_done(struct builtin *builtin)
{
    for (size_t i = 0; builtin->keys != NULL && i < builtin->metadata->count; i++)
        free(builtin->keys[i].name);
    free(builtin->keys);
    entries_done(&builtin->entries);
    error_done(&builtin->reasons);
    error_done(&builtin->missing);
}
