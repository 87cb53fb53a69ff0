#include "commands/reference_json.h"

#include "base/text.h"
#include "config/option.h"
#include "daemon/serve_flags.h"
#include "measure/scaler.h"
#include "scale/metadata/general.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>

static const char *const type_names[] = {
    [OPTION_STRING] = "string", [OPTION_BOOL] = "boolean",      [OPTION_INT] = "integer",
    [OPTION_FLOAT] = "number",  [OPTION_DURATION] = "duration", [OPTION_CHOICE] = "choice",
    [OPTION_LIST] = "list",     [OPTION_RANGES] = "ranges",
};

static const char *const scope_names[OPTION_SCOPES] = {
    [OPTION_CONNECTION] = "connection",
    [OPTION_QUERY] = "query",
    [OPTION_TARGET] = "target",
};

static void set_text(json_t *object, const char *key, const char *text)
{
    if (text != NULL)
        json_object_set_new(object, key, json_string(text));
}

static void set_true(json_t *object, const char *key, bool is_true)
{
    if (is_true)
        json_object_set_new(object, key, json_true());
}

/* Durations are in milliseconds. */
static void set_limits(json_t *object, const struct option *row)
{
    if (row->limits.min == 0 && row->limits.max == 0)
        return;
    json_object_set_new(object, "minimum", json_integer((json_int_t)row->limits.min));
    if (isfinite(row->limits.max))
        json_object_set_new(object, "maximum", json_integer((json_int_t)row->limits.max));
}

static void set_choices(json_t *object, const struct option *row)
{
    if (row->type != OPTION_CHOICE)
        return;
    json_t *choices = json_array();
    for (size_t i = 0; row->choices[i] != NULL; i++)
        json_array_append_new(choices, json_string(row->choices[i]));
    json_object_set_new(object, "choices", choices);
}

/* What is false or absent is left out. */
static json_t *option_json(const struct option *row)
{
    json_t *object = json_object();
    set_text(object, "key", row->key);
    set_text(object, "type", type_names[row->type]);
    set_text(object, "alias", row->alias);
    set_true(object, "aliasInFileOnly", row->flags & OPTION_ALIAS_IN_FILE);
    set_true(object, "required", row->flags & OPTION_REQUIRED);
    set_true(object, "secret", row->flags & OPTION_SECRET);
    set_true(object, "url", row->flags & OPTION_URL);
    set_true(object, "bareMilliseconds", row->flags & OPTION_BARE_MS);
    set_text(object, "default", row->default_value);
    set_choices(object, row);
    set_limits(object, row);
    set_text(object, "doc", row->doc);
    return object;
}

static json_t *table_json(const struct option *rows, enum option_scope scope)
{
    json_t *keys = json_array();
    for (const struct option *row = rows; row->key != NULL; row++)
        if (row->scope == scope && row->type != OPTION_UNSUPPORTED)
            json_array_append_new(keys, option_json(row));
    return keys;
}

static json_t *unsupported_json(const struct option *rows)
{
    json_t *object = json_object();
    for (const struct option *row = rows; row->key != NULL; row++)
        if (row->type == OPTION_UNSUPPORTED)
            set_text(object, row->key, row->doc);
    return object;
}

static json_t *scaler_json(const struct scaler *scaler)
{
    json_t *object = json_object();
    set_text(object, "summary", scaler->summary);
    for (int scope = 0; scope < OPTION_SCOPES; scope++)
        json_object_set_new(object, scope_names[scope],
                            table_json(scaler->options, (enum option_scope)scope));
    json_object_set_new(object, "unsupported", unsupported_json(scaler->options));
    return object;
}

static json_t *scalers_json(const struct scaler *only)
{
    json_t *object = json_object();
    for (size_t i = 0; scaler_list[i] != NULL; i++)
        if (scaler_list[i]->absent == NULL && (only == NULL || only == scaler_list[i]))
            json_object_set_new(object, scaler_list[i]->name, scaler_json(scaler_list[i]));
    return object;
}

char *reference_json(const struct scaler *only)
{
    json_t *document = json_object();
    if (only == NULL)
        json_object_set_new(document, "flags", table_json(serve_flags, OPTION_CONNECTION));
    json_object_set_new(document, "scalers", scalers_json(only));
    json_object_set_new(document, "trigger", table_json(general_table, OPTION_TARGET));
    char *json = json_dumps(document, JSON_INDENT(2) | JSON_SORT_KEYS);
    json_decref(document);
    char *text = text_format("%s\n", json);
    free(json);
    return text;
}
