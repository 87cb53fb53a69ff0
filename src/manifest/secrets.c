#include "manifest/secrets.h"

#include "base/base64.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* A key may have dots. */
static const struct yaml_tree *find_key(const struct yaml_tree *map, const char *key)
{
    for (size_t i = 0; map != NULL && map->kind == YAML_TREE_MAP && i < map->count; i++)
        if (text_equal(map->keys[i], key))
            return map->items[i];
    return NULL;
}

/* Those of a ClusterTriggerAuthentication are in KEDA's namespace. Where that is not known, only a
 * Secret without one can be meant: no team's password goes to a source that all use. */
static const char *cluster_place(const struct manifests *manifests)
{
    return manifests->cluster_namespace == NULL ? "" : manifests->cluster_namespace;
}

enum secret_state secret_find(const struct manifests *manifests, const char *namespace,
                              const struct authentication *authentication,
                              const struct authentication_parameter *parameter, char **ret_value,
                              struct error *error)
{
    const struct manifest_object *rival;
    const struct manifest_object *secret =
        manifests_find(manifests, MANIFEST_SECRET,
                       authentication->is_cluster_wide ? cluster_place(manifests) : namespace,
                       parameter->object, &rival);
    if (secret == NULL || rival != NULL)
        return SECRET_ELSEWHERE;
    bool may_be_another = /* of a team, in a file without namespaces */
        authentication->is_cluster_wide && secret->namespace == NULL;
    const struct yaml_tree *plain =
        find_key(yaml_tree_find(secret->tree, "stringData"), parameter->key);
    const struct yaml_tree *encoded =
        find_key(yaml_tree_find(secret->tree, "data"), parameter->key);
    size_t length = 0;
    if (plain != NULL && plain->kind == YAML_TREE_TEXT)
        *ret_value = text_copy(plain->text);
    else if (encoded == NULL || encoded->text == NULL) {
        if (may_be_another)
            return SECRET_ELSEWHERE;
        error_invalid(error, "Secret %s has no key %s, which %s of %s is to be", secret->label,
                      parameter->key, parameter->name, authentication->name);
        return SECRET_WRONG;
    } else if ((*ret_value = base64_decode(encoded->text, &length)) == NULL ||
               strlen(*ret_value) != length) {
        free(*ret_value);
        *ret_value = NULL;
        error_invalid(error, "Secret %s: the value of %s is no text in base64", secret->label,
                      parameter->key);
        return SECRET_WRONG;
    }
    return SECRET_FOUND;
}

static struct entry *find_unknown(struct entries *entries, const char *key)
{
    for (size_t i = 0; i < entries->count; i++)
        if (entries->items[i].value == NULL && text_equal(entries->items[i].key, key))
            return &entries->items[i];
    return NULL;
}

void secrets_fill_in(const struct manifests *manifests, const char *namespace,
                     struct builtin *builtin, struct error *mistakes)
{
    const struct authentication *authentication = &builtin->authentication;
    for (size_t i = 0; i < authentication->count; i++) {
        const struct authentication_parameter *parameter = &authentication->parameters[i];
        const struct option *row = builtin_parameter(builtin, parameter->name);
        struct entry *entry = row == NULL ? NULL : find_unknown(&builtin->entries, row->key);
        _cleanup_(error_done) struct error error = {0};
        char *value = NULL;
        if (entry == NULL || parameter->source != PARAMETER_SECRET)
            continue;
        switch (secret_find(manifests, namespace, authentication, parameter, &value, &error)) {
        case SECRET_FOUND:
            free(entry->key);
            entry->key = text_format("%s" OPTION_VARIABLE_SUFFIX, row->key);
            entry->value = value;
            break;
        case SECRET_WRONG:
            error_add(mistakes, "%s", error_text(&error));
            break;
        case SECRET_ELSEWHERE:
            break;
        }
    }
}
