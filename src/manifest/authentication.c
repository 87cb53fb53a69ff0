#include "manifest/authentication.h"

#include "base/memory.h"
#include "config/credentials.h"

/* `place`: its namespace; NULL: any, as it is no secret. */
static const char *config_map_value(const struct manifests *manifests, const char *place,
                                    const char *name, const char *key, const char **ret_unsupported)
{
    const struct manifest_object *rival;
    const struct manifest_object *map =
        manifests_find(manifests, MANIFEST_CONFIG_MAP, place, name, &rival);
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
    const char *place = read->is_cluster_wide ? manifests->cluster_namespace : namespace;
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
            read->unsupported =
                is_whole ? "more than 64 parameters" : "an item without parameter, name and key";
            continue;
        }
        if (source == PARAMETER_CONFIG_MAP)
            parameter.value = config_map_value(manifests, place, parameter.object, parameter.key,
                                               &read->unsupported);
        if (source == PARAMETER_VARIABLE && yaml_tree_find(item, "containerName") != NULL)
            read->unsupported = "containerName";
        read->parameters[read->count++] = parameter;
    }
}

static void read_unsupported(struct authentication *read)
{
    const struct yaml_tree *spec = yaml_tree_find(read->object->tree, "spec");
    for (size_t i = 0; spec != NULL && spec->kind == YAML_TREE_MAP && i < spec->count; i++) {
        const struct yaml_tree *value = spec->items[i];
        bool is_empty = value->kind == YAML_TREE_NULL ||
                        (value->kind == YAML_TREE_LIST && value->count == 0) ||
                        (value->kind == YAML_TREE_TEXT && value->text[0] == '\0');
        if (!is_empty && spec->keys[i][0] != '\0' && !credentials_knows_section(spec->keys[i]))
            read->unsupported = spec->keys[i];
    }
    if (credentials_has_identity(yaml_tree_text(spec, "podIdentity.provider")))
        read->unsupported = "podIdentity";
}

static void read_object(const struct manifests *manifests, const char *namespace,
                        struct authentication *read)
{
    enum manifest_kind kind =
        read->is_cluster_wide ? MANIFEST_CLUSTER_AUTHENTICATION : MANIFEST_AUTHENTICATION;
    read->object = manifests_find(manifests, kind, namespace, read->name, &read->rival);
    if (read->object == NULL)
        return;
    read_parameters(manifests, namespace, "secretTargetRef", PARAMETER_SECRET, read);
    read_parameters(manifests, namespace, "configMapTargetRef", PARAMETER_CONFIG_MAP, read);
    read_parameters(manifests, namespace, "env", PARAMETER_VARIABLE, read);
    read_unsupported(read);
}

void authentication_read(const struct manifests *manifests, const char *namespace,
                         const struct yaml_tree *trigger, struct authentication *ret)
{
    *ret = (struct authentication){.ref = yaml_tree_find(trigger, "authenticationRef")};
    ret->name = yaml_tree_text(ret->ref, "name");
    if (text_equal(ret->name, "")) { /* KEDA takes it for none */
        *ret = (struct authentication){0};
        return;
    }
    ret->is_cluster_wide =
        text_equal(yaml_tree_text(ret->ref, "kind"), "ClusterTriggerAuthentication");
    if (ret->name != NULL)
        read_object(manifests, namespace, ret);
}

bool channel_has_tls(const struct yaml_tree *metadata)
{
    static const char *const without[] = {"", "0", "f", "F", "FALSE", "false", "False"};
    const char *text = yaml_tree_text(metadata, "enableTLS");
    for (size_t i = 0; i < ARRAY_LENGTH(without); i++)
        if (text == NULL || text_equal(text, without[i]))
            return false;
    return true;
}

void authentication_read_of_source(const struct manifests *manifests, const char *namespace,
                                   const struct yaml_tree *trigger, struct authentication *ret)
{
    const struct yaml_tree *metadata = yaml_tree_find(trigger, "metadata");
    const struct yaml_tree *own = yaml_tree_find(metadata, CREDENTIALS_KEY);
    const struct yaml_tree *cluster = yaml_tree_find(metadata, CREDENTIALS_CLUSTER_KEY);
    *ret = (struct authentication){0};
    if (own != NULL || cluster != NULL) {
        ret->is_cluster_wide = own == NULL;
        ret->ref = own == NULL ? cluster : own;
        ret->name = ret->ref->text;
        if (ret->name != NULL)
            read_object(manifests, namespace, ret);
    } else if (!channel_has_tls(metadata)) /* else it is of KEDA's channel */
        authentication_read(manifests, namespace, trigger, ret);
}
