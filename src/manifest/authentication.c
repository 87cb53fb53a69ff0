#include "manifest/authentication.h"

#include "base/memory.h"

static const char *config_map_value(const struct manifests *manifests, const char *namespace,
                                    const char *name, const char *key, const char **ret_unsupported)
{
    const struct manifest_object *rival;
    const struct manifest_object *map =
        manifests_find(manifests, MANIFEST_CONFIG_MAP, namespace, name, &rival);
    if (rival != NULL)
        *ret_unsupported = "a ConfigMap that is in several files with other values";
    const struct yaml_tree *data = map == NULL ? NULL : yaml_tree_find(map->tree, "data");
    for (size_t i = 0; data != NULL && data->kind == YAML_TREE_MAP && i < data->count; i++)
        if (text_equal(data->keys[i], key) && data->items[i]->kind == YAML_TREE_TEXT)
            return data->items[i]->text; /* a key may have dots */
    return NULL;
}

static void read_parameters(const struct manifests *manifests, const char *namespace,
                            const char *list_name, int source, struct authentication *read)
{
    const struct yaml_tree *spec = yaml_tree_find(read->object->tree, "spec");
    const struct yaml_tree *list = yaml_tree_find(spec, list_name);
    for (size_t i = 0; list != NULL && list->kind == YAML_TREE_LIST && i < list->count; i++) {
        const struct yaml_tree *item = list->items[i];
        struct authentication_parameter parameter = {
            .source = source,
            .name = yaml_tree_text(item, "parameter"),
            .object = yaml_tree_text(item, "name"),
            .key = yaml_tree_text(item, "key"),
            .line = item->line,
        };
        bool is_whole = parameter.name != NULL && parameter.object != NULL &&
                        (source == PARAMETER_VARIABLE || parameter.key != NULL);
        if (!is_whole || read->count == AUTHENTICATION_MAX_PARAMETERS) {
            read->unsupported = "an item without parameter, name and key";
            continue;
        }
        if (source == PARAMETER_CONFIG_MAP)
            parameter.value = config_map_value(manifests, namespace, parameter.object,
                                               parameter.key, &read->unsupported);
        if (source == PARAMETER_VARIABLE && yaml_tree_find(item, "containerName") != NULL)
            read->unsupported = "containerName";
        read->parameters[read->count++] = parameter;
    }
}

static void read_unsupported(struct authentication *read)
{
    static const char *const others[] = {
        "azureKeyVault",    "gcpSecretManager",         "hashiCorpVault",
        "awsSecretManager", "boundServiceAccountToken", "filePath"};
    const struct yaml_tree *spec = yaml_tree_find(read->object->tree, "spec");
    const char *provider = yaml_tree_text(spec, "podIdentity.provider");
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        if (yaml_tree_find(spec, others[i]) != NULL)
            read->unsupported = others[i];
    if (provider != NULL && !text_equal(provider, "none"))
        read->unsupported = "podIdentity";
}

void authentication_read(const struct manifests *manifests, const char *namespace,
                         const struct yaml_tree *trigger, struct authentication *ret)
{
    *ret = (struct authentication){.ref = yaml_tree_find(trigger, "authenticationRef")};
    ret->name = yaml_tree_text(ret->ref, "name");
    if (ret->name == NULL)
        return;
    ret->is_cluster_wide =
        text_equal(yaml_tree_text(ret->ref, "kind"), "ClusterTriggerAuthentication");
    enum manifest_kind kind =
        ret->is_cluster_wide ? MANIFEST_CLUSTER_AUTHENTICATION : MANIFEST_AUTHENTICATION;
    ret->object = manifests_find(manifests, kind, namespace, ret->name, &ret->rival);
    if (ret->object == NULL)
        return;
    read_parameters(manifests, namespace, "secretTargetRef", PARAMETER_SECRET, ret);
    read_parameters(manifests, namespace, "configMapTargetRef", PARAMETER_CONFIG_MAP, ret);
    read_parameters(manifests, namespace, "env", PARAMETER_VARIABLE, ret);
    read_unsupported(ret);
}
