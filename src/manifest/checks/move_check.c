#include "manifest/checks/move_check.h"

#include "base/memory.h"
#include "config/credentials.h"
#include "manifest/checks/trigger_check.h"
#include "scale/metadata/general.h"

static struct finding_place place_of(const struct move_check *check, size_t line)
{
    return (struct finding_place){check->file->path, line, check->label};
}

/* Why only KEDA ignores the key. The caller frees it. */
static char *why_ignored(const struct builtin *builtin, size_t i)
{
    const struct option_entry entry = {builtin->metadata->keys[i], ""};
    const struct option *row = builtin->keys[i].row;
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(text_done) struct text places = {0};
    if (row != NULL) {
        builtin_add_places(&places, builtin->scaler, row);
        return text_format("KEDA's scaler%s", places.bytes);
    }
    option_check_entry(builtin->scaler->options, general_table, &entry, OPTION_FROM_TRIGGER,
                       &error);
    return text_copy(error_is_set(&error) ? error_text(&error) : "it is a key of Backlog's own");
}

/* Backlog's own keys, and those that only KEDA ignores. */
static void check_keys(const struct move_check *check, const struct builtin *builtin,
                       struct findings *reasons)
{
    static const char *const own[] = {"scalerAddress", "scaler", "connectionName", CREDENTIALS_KEY,
                                      CREDENTIALS_CLUSTER_KEY};
    const struct yaml_tree *metadata = builtin->metadata;
    for (size_t i = 0; i < metadata->count; i++) {
        const struct yaml_span *span = &metadata->key_spans[i];
        const struct finding_place place = place_of(check, span->line);
        for (size_t k = 0; k < ARRAY_LENGTH(own); k++)
            if (text_equal(metadata->keys[i], own[k]))
                finding_add(reasons, &place, FINDING_ERROR,
                            "%s is in its metadata, which is Backlog's: remove it", own[k]);
        if (builtin->keys[i].action != BUILTIN_IGNORED ||
            manifest_is_templated(check->file, span->start, span->end))
            continue;
        _cleanup_(memory_free) char *why = why_ignored(builtin, i);
        finding_add(reasons, &place, FINDING_ERROR,
                    "KEDA ignores %s, and Backlog does not: remove it (%s)", metadata->keys[i],
                    why);
    }
}

/* Of its authentication. */
static void check_parameters(const struct move_check *check, const struct builtin *builtin,
                             struct findings *reasons)
{
    const struct finding_place place = place_of(check, check->trigger->line);
    const struct authentication *own = &builtin->authentication;
    for (size_t i = 0; i < own->count; i++) {
        const char *name = own->parameters[i].name;
        const struct option *row = builtin_parameter(builtin, name);
        _cleanup_(text_done) struct text places = {0};
        if (row == NULL || row->type == OPTION_UNSUPPORTED ||
            builtin_is_authenticated(builtin->scaler, row))
            continue;
        builtin_add_places(&places, builtin->scaler, row);
        finding_add(reasons, &place, FINDING_ERROR,
                    "%s has %s, which KEDA ignores, and Backlog does not: remove it there (KEDA's "
                    "scaler%s)",
                    own->name, name, places.bytes);
    }
}

/* What a template's action gives is not known, nor what it adds; so only what stands there is
 * checked. */
static void check_templated(const struct move_check *check, const struct builtin *builtin,
                            struct findings *reasons)
{
    const struct yaml_tree *metadata = builtin->metadata;
    for (size_t i = 0; i < metadata->count; i++) {
        const struct yaml_tree *item = metadata->items[i];
        const struct yaml_span *span = &metadata->key_spans[i];
        const struct finding_place place = place_of(check, span->line);
        _cleanup_(error_done) struct error error = {0};
        const struct option_entry entry = {metadata->keys[i], item->text};
        bool is_known = builtin->keys[i].action == BUILTIN_KEEP && item->text != NULL &&
                        !manifest_is_templated(check->file, span->start, item->end);
        if (is_known && !option_check_entry(builtin->scaler->options, general_table, &entry,
                                            OPTION_FROM_TRIGGER, &error))
            finding_add(reasons, &place, FINDING_ERROR, "%s", error_text(&error));
    }
}

/* May the authentication have parameters that are not known here? */
static bool has_unknown_parameters(const struct builtin *builtin)
{
    const struct manifest_object *object = builtin->authentication.object;
    return builtin->authentication.ref != NULL &&
           (error_is_set(&builtin->missing) ||
            (object != NULL && manifest_item_is_templated(object->file, object->tree)));
}

/* By the rules of the server, with all that is known here. */
static void check_as_server(const struct move_check *check, const struct builtin *builtin,
                            struct findings *reasons)
{
    const struct trigger_check as_server = {
        .scalers = check->scalers,
        .name = check->name,
        .namespace = check->namespace,
        .place = place_of(check, builtin->metadata->line),
        .prefix = "",
        .level = FINDING_ERROR,
        .has_authentication = has_unknown_parameters(builtin),
    };
    trigger_check(&as_server, &builtin->entries, reasons);
    if (yaml_tree_has_twice(builtin->metadata))
        finding_add(reasons, &as_server.place, FINDING_ERROR,
                    "a key of its metadata is given twice");
}

bool move_check(const struct move_check *check, const struct builtin *builtin,
                struct findings *reasons)
{
    const struct finding_place place = place_of(check, check->trigger->line);
    _cleanup_(error_done) struct error error = {0};
    size_t before = reasons->count;
    if (!builtin_can_move(builtin, &error))
        finding_add(reasons, &place, FINDING_ERROR, "%s", error_text(&error));
    if (builtin->scaler == NULL || builtin->metadata == NULL)
        return false; /* a reason above has said so */
    check_keys(check, builtin, reasons);
    check_parameters(check, builtin, reasons);
    if (reasons->count > before)
        return false;
    if (manifest_item_is_templated(check->file, check->trigger))
        check_templated(check, builtin, reasons);
    else
        check_as_server(check, builtin, reasons);
    return reasons->count == before;
}

/* The first key of the metadata that says where to connect, or how the peer is verified; NULL:
 * none. */
static const char *key_that_says_where(const struct builtin *builtin)
{
    for (size_t i = 0; i < builtin->metadata->count; i++) {
        const struct option *row = builtin->keys[i].row;
        if (row != NULL && option_says_where(row))
            return builtin->metadata->keys[i];
    }
    return NULL;
}

void move_check_host(const struct builtin *builtin, const struct finding_place *place,
                     struct findings *findings)
{
    const struct authentication *own = &builtin->authentication;
    const char *key = own->is_cluster_wide ? key_that_says_where(builtin) : NULL;
    if (key != NULL)
        finding_add(findings, place, FINDING_WARNING,
                    "%s is a ClusterTriggerAuthentication, and %s is not in it: the server must "
                    "list the host in kubernetes.clusterAuthentications",
                    own->name, key);
}
