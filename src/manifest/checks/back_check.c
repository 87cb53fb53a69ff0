#include "manifest/checks/back_check.h"

#include "base/memory.h"
#include "manifest/authentication.h"
#include "manifest/builtin.h"
#include "scale/metadata/general.h"

static const struct yaml_tree *metadata_of(const struct back_check *check)
{
    return yaml_tree_find(check->trigger, "metadata");
}

/* Does the metadata give the row a value where KEDA's scaler reads it? */
static bool is_given(const struct back_check *check, const struct option *row)
{
    const struct yaml_tree *metadata = metadata_of(check);
    const struct option *table = check->scaler->options;
    for (size_t i = 0; i < metadata->count; i++) {
        const char *key = metadata->keys[i], *text = metadata->items[i]->text;
        _cleanup_(memory_free) char *name = builtin_name_back(table, key);
        if (option_find(table, key, OPTION_FROM_TRIGGER) == row &&
            builtin_is_read(check->scaler, row, name) && text != NULL && !text_is_blank(text))
            return true;
    }
    return false;
}

/* Does the authentication, or may it where it is not known? */
static bool may_be_authenticated(const struct back_check *check, const struct option *row)
{
    struct authentication own;
    authentication_read_of_source(check->manifests, check->namespace, check->trigger, &own);
    if (!builtin_is_authenticated(check->scaler, row) || own.ref == NULL)
        return false;
    for (size_t i = 0; i < own.count; i++)
        if (option_find(check->scaler->options, own.parameters[i].name, OPTION_FROM_FILE) == row)
            return true;
    return own.object == NULL;
}

/* The first key that gives the trigger a policy; NULL: none does. */
static const char *policy_of(const struct yaml_tree *metadata)
{
    for (size_t i = 0; i < metadata->count; i++)
        if (metadata->items[i]->text != NULL &&
            general_gives_policy(metadata->keys[i], metadata->items[i]->text))
            return metadata->keys[i];
    return NULL;
}

static bool check_threshold(const struct back_check *check, struct error *error)
{
    _cleanup_(text_done) struct text thresholds = {0};
    const char *policy = policy_of(metadata_of(check));
    for (const struct option *row = check->scaler->options; row->key != NULL; row++) {
        if (!(row->flags & OPTION_THRESHOLD))
            continue;
        if (is_given(check, row))
            return true;
        text_addf(&thresholds, "%s%s", thresholds.length == 0 ? "" : " or ", row->key);
    }
    return policy == NULL || error_invalid(error,
                                           "KEDA's scaler ignores %s, and has no threshold here: "
                                           "write %s first",
                                           policy, thresholds.bytes);
}

bool back_check(const struct back_check *check, struct error *error)
{
    if (manifest_item_is_templated(check->file, check->trigger))
        return true;
    for (const struct option *row = check->scaler->options; row->key != NULL; row++)
        if (row->keda & OPTION_KEDA_REQUIRED && !is_given(check, row) &&
            !may_be_authenticated(check, row))
            return error_invalid(
                error, "KEDA's scaler needs %s: write it first, in place of Backlog's own keys",
                row->key);
    return check_threshold(check, error);
}

/* Of a key of the scaler. */
static void check_key(const struct back_check *check, const struct option *row, size_t i,
                      struct findings *findings)
{
    const struct yaml_tree *metadata = metadata_of(check);
    const char *key = metadata->keys[i], *text = metadata->items[i]->text;
    const struct finding_place place = {check->file->path, metadata->key_spans[i].line,
                                        check->label};
    _cleanup_(memory_free) char *name = builtin_name_back(check->scaler->options, key);
    _cleanup_(text_done) struct text places = {0};
    builtin_add_places(&places, check->scaler, row);
    if (!builtin_is_read(check->scaler, row, name))
        finding_add(findings, &place, FINDING_WARNING, "KEDA's scaler ignores %s: it%s", key,
                    places.bytes);
    else if (row->keda & OPTION_KEDA_NAME && text != NULL && *text == '^')
        finding_add(findings, &place, FINDING_WARNING,
                    "KEDA's scaler takes the pattern in %s for a name: write one name", key);
}

void back_check_keys(const struct back_check *check, struct findings *findings)
{
    const struct yaml_tree *metadata = metadata_of(check);
    const struct finding_place place = {check->file->path, check->trigger->line, check->label};
    _cleanup_(text_done) struct text keys = {0};
    for (size_t i = 0; i < metadata->count; i++) {
        const char *key = metadata->keys[i];
        const struct option *row = option_find(check->scaler->options, key, OPTION_FROM_TRIGGER);
        if (row != NULL)
            check_key(check, row, i, findings);
        else if (!builtin_is_own_key(key) &&
                 option_find(general_table, key, OPTION_FROM_TRIGGER) != NULL)
            text_addf(&keys, "%s%s", keys.length == 0 ? "" : ", ", key);
    }
    if (keys.length > 0)
        finding_add(findings, &place, FINDING_NOTE, "KEDA's scaler ignores %s", keys.bytes);
}
