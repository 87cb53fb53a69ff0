#include "manifest/migration/undo_check.h"

#include "base/memory.h"
#include "manifest/builtin.h"
#include "manifest/relations.h"

#include <stdlib.h>

/* Two keys that a migration gives one name: the old one is back, and the new one stayed. */
static bool has_name_twice(const struct builtin *builtin)
{
    for (size_t i = 0; i < builtin->metadata->count; i++)
        for (size_t before = 0; before < i; before++)
            if (builtin->keys[i].name != NULL &&
                text_equal(builtin->keys[i].name, builtin->keys[before].name))
                return true;
    return false;
}

/* A key that a migration adds. Somebody may have set another `hold`, which KEDA ignores. */
static bool has_added(const struct builtin *builtin, const struct manifest_object *object)
{
    static const char *const keys[] = {"scalerAddress", "scaler", "connectionName"};
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
        if (yaml_tree_find(builtin->metadata, keys[i]) != NULL)
            return true;
    if (yaml_tree_find(object->tree, "spec.fallback") != NULL &&
        text_equal(yaml_tree_text(builtin->metadata, "hold"), RELATIONS_HOLD_WITH_FALLBACK))
        return true;
    for (size_t i = 0; i < builtin->authentication.count; i++) {
        const struct authentication_parameter *parameter = &builtin->authentication.parameters[i];
        const struct option *row = builtin_parameter(builtin, parameter->name);
        if (parameter->source != PARAMETER_VARIABLE || row == NULL)
            continue;
        _cleanup_(memory_free) char *key = text_format("%sFromEnv", row->key);
        if (yaml_tree_find(builtin->metadata, key) != NULL)
            return true;
    }
    return false;
}

/* That of KEDA's trigger is back where it had one, and that of Backlog's is gone. */
static bool is_authentication_back(const struct yaml_tree *before, const struct yaml_tree *after)
{
    const struct yaml_tree *old = yaml_tree_find(before, "authenticationRef");
    const struct yaml_tree *new = yaml_tree_find(after, "authenticationRef");
    bool had_connection = yaml_tree_find(before, "metadata.connectionName") != NULL;
    const struct yaml_tree *tls = yaml_tree_find(before, "metadata.enableTLS");
    if (tls != NULL && yaml_tree_find(after, "metadata.enableTLS") != NULL)
        return false; /* of KEDA's connection to Backlog */
    return new == NULL ? !had_connection : !yaml_tree_is_same(old, new);
}

static bool is_whole(const struct scaler *const *scalers, const struct manifests *manifests,
                     const struct manifest_object *object, const struct yaml_tree *before,
                     const struct yaml_tree *after)
{
    struct builtin builtin;
    if (yaml_tree_is_same(before, after))
        return true;
    builtin_read(scalers, manifests, object->namespace, after, &builtin);
    bool is_whole = builtin.metadata != NULL && !yaml_tree_has_twice(after) &&
                    !yaml_tree_has_twice(builtin.metadata) && builtin.scaler != NULL &&
                    text_equal(yaml_tree_text(before, "metadata.scaler"), builtin.scaler->name) &&
                    !has_added(&builtin, object) && !has_name_twice(&builtin) &&
                    is_authentication_back(before, after);
    builtin_done(&builtin);
    return is_whole;
}

static bool check_object(const struct scaler *const *scalers, const struct manifests *after,
                         const struct manifest_object *old, const struct manifest_object *new,
                         struct error *error)
{
    const struct yaml_tree *before = manifest_triggers(old);
    const struct yaml_tree *triggers = manifest_triggers(new);
    size_t count = before == NULL ? 0 : before->count;
    if (count != (triggers == NULL ? 0 : triggers->count))
        return error_invalid(error,
                             "%s:%zu: %s would have other triggers: a comment of backlog migrate "
                             "was changed. Nothing is taken back: do it by hand",
                             old->file->path, old->tree->line, old->label);
    for (size_t i = 0; i < count; i++)
        if (!is_whole(scalers, after, new, before->items[i], triggers->items[i]))
            return error_invalid(error,
                                 "%s:%zu: only a part of this trigger would be taken back: a "
                                 "comment of backlog migrate was changed, or keys that Backlog "
                                 "needs were added since. Nothing is taken back: do it by hand",
                                 old->file->path, before->items[i]->line);
    return true;
}

/* The next of the file that has triggers; NULL behind the last. */
static const struct manifest_object *next(const struct manifests *manifests,
                                          const struct manifest_file *file, size_t *index)
{
    while (*index < manifests->object_count) {
        const struct manifest_object *object = &manifests->objects[(*index)++];
        if (object->file == file && manifest_scales(object))
            return object;
    }
    return NULL;
}

bool undo_check(const struct scaler *const *scalers, const struct manifests *manifests,
                const struct manifest_file *file, size_t line, const struct text *undone,
                struct error *error)
{
    _cleanup_(findings_done) struct findings findings = {0};
    _cleanup_(manifests_done) struct manifests after = {0};
    size_t old_at = 0, new_at = 0;
    if (file->forest.count == 0)
        return true;
    manifests_add_text(&after, file->path, undone->bytes == NULL ? "" : undone->bytes,
                       undone->length, &findings);
    for (bool is_end = false; !is_end;) {
        const struct manifest_object *old = next(manifests, file, &old_at);
        const struct manifest_object *new = next(&after, after.files[0], &new_at);
        is_end = old == NULL && new == NULL;
        if (findings.count > 0 || (old == NULL) != (new == NULL))
            return error_invalid(error,
                                 "%s:%zu: taken back, the file would be no YAML or have other "
                                 "objects: a comment of backlog migrate was changed. Nothing is "
                                 "taken back: do it by hand",
                                 file->path, line);
        if (!is_end && !check_object(scalers, &after, old, new, error))
            return false;
    }
    return true;
}
