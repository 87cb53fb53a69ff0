#include "model/scaled_object.h"

#include "base/memory.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

/* The first mistake ends the reading of an object. */
struct object_parser {
    const char *path;
    struct error *error;
};

static bool wrong(const struct object_parser *parser, const struct yaml_tree *tree, const char *key,
                  const char *allowed)
{
    return error_invalid(parser->error, "%s:%zu: %s must be %s", parser->path, tree->line, key,
                         allowed);
}

/* Sets `ret_value` where the key is there. */
static bool read_number(const struct object_parser *parser, const struct yaml_tree *tree,
                        const char *key, int64_t max, int64_t *ret_value)
{
    const struct yaml_tree *item = yaml_tree_find(tree, key);
    if (item == NULL)
        return true;
    char *end = NULL;
    errno = 0;
    long long value = item->kind == YAML_TREE_TEXT ? strtoll(item->text, &end, 10) : -1;
    if (value < 0 || value > max || errno != 0 || end == item->text || *end != '\0') {
        _cleanup_(memory_free) char *allowed =
            text_format("a whole number from 0 to %" PRId64, max);
        return wrong(parser, item, key, allowed);
    }
    *ret_value = value;
    return true;
}

static bool read_seconds(const struct object_parser *parser, const struct yaml_tree *tree,
                         const char *key, int64_t *ret_ms)
{
    int64_t seconds = *ret_ms / 1000;
    if (!read_number(parser, tree, key, INT32_MAX, &seconds))
        return false;
    *ret_ms = seconds * 1000;
    return true;
}

/* The index of the text at the key in `names`; unchanged where the key is missing. */
static bool read_choice(const struct object_parser *parser, const struct yaml_tree *tree,
                        const char *key, const char *const *names, size_t count, int *ret_choice)
{
    const struct yaml_tree *item = yaml_tree_find(tree, key);
    if (item == NULL)
        return true;
    _cleanup_(text_done) struct text allowed = {0};
    for (size_t i = 0; i < count; i++) {
        if (item->kind == YAML_TREE_TEXT && text_equal(item->text, names[i])) {
            *ret_choice = (int)i;
            return true;
        }
        text_addf(&allowed, "%s%s", i == 0 ? "one of " : ", ", names[i]);
    }
    return wrong(parser, item, key, allowed.bytes);
}

/* ---- behavior ---- */

static bool read_tolerance(const struct object_parser *parser, const struct yaml_tree *tree,
                           double *ret_tolerance)
{
    const struct yaml_tree *item = yaml_tree_find(tree, "tolerance");
    if (item == NULL)
        return true;
    char *end = NULL;
    double value = item->kind == YAML_TREE_TEXT ? strtod(item->text, &end) : -1;
    if (end != NULL && text_equal(end, "m")) { /* a Quantity: 50m is 0.05 */
        value /= 1000;
        end++;
    }
    if (!(value >= 0 && value < 1000) || end == item->text || *end != '\0')
        return wrong(parser, item, "tolerance", "a number such as 0.05");
    *ret_tolerance = value;
    return true;
}

static bool read_policy(const struct object_parser *parser, const struct yaml_tree *tree,
                        struct hpa_policy *ret_policy)
{
    static const char *const types[] = {[HPA_PODS] = "Pods", [HPA_PERCENT] = "Percent"};
    int type = -1;
    *ret_policy = (struct hpa_policy){0};
    if (!read_choice(parser, tree, "type", types, ARRAY_LENGTH(types), &type) ||
        !read_number(parser, tree, "value", INT32_MAX, &ret_policy->value) ||
        !read_seconds(parser, tree, "periodSeconds", &ret_policy->period_ms))
        return false;
    if (type < 0 || ret_policy->value == 0 || ret_policy->period_ms == 0)
        return wrong(parser, tree, "a policy", "type, value and periodSeconds");
    ret_policy->type = (enum hpa_policy_type)type;
    return true;
}

static bool read_policies(const struct object_parser *parser, const struct yaml_tree *list,
                          struct hpa_rules *rules)
{
    if (list == NULL)
        return true;
    if (list->kind != YAML_TREE_LIST || list->count == 0 || list->count > HPA_MAX_POLICIES)
        return wrong(parser, list, "policies", "a list of 1 to 16 policies");
    rules->policy_count = list->count;
    for (size_t i = 0; i < list->count; i++)
        if (!read_policy(parser, list->items[i], &rules->policies[i]))
            return false;
    return true;
}

static bool read_rules(const struct object_parser *parser, const struct yaml_tree *tree,
                       struct hpa_rules *rules)
{
    static const char *const selects[] = {
        [HPA_SELECT_MAX] = "Max", [HPA_SELECT_MIN] = "Min", [HPA_SELECT_DISABLED] = "Disabled"};
    int select = (int)rules->select;
    if (!read_choice(parser, tree, "selectPolicy", selects, ARRAY_LENGTH(selects), &select) ||
        !read_seconds(parser, tree, "stabilizationWindowSeconds", &rules->window_ms) ||
        !read_tolerance(parser, tree, &rules->tolerance) ||
        !read_policies(parser, yaml_tree_find(tree, "policies"), rules))
        return false;
    rules->select = (enum hpa_select)select;
    return true;
}

static bool read_behavior(const struct object_parser *parser, const struct yaml_tree *tree,
                          struct hpa_settings *hpa)
{
    hpa->has_behavior = tree != NULL;
    return read_rules(parser, yaml_tree_find(tree, "scaleUp"), &hpa->up) &&
           read_rules(parser, yaml_tree_find(tree, "scaleDown"), &hpa->down);
}

/* ---- the rest of the spec ---- */

static bool read_fallback(const struct object_parser *parser, const struct yaml_tree *tree,
                          struct model_settings *settings)
{
    static const char *const behaviors[] = {"static", "currentReplicas", "currentReplicasIfHigher",
                                            "currentReplicasIfLower"};
    int behavior = 0;
    if (tree == NULL)
        return true;
    if (!read_choice(parser, tree, "behavior", behaviors, ARRAY_LENGTH(behaviors), &behavior) ||
        !read_number(parser, tree, "failureThreshold", INT32_MAX,
                     &settings->fallback.failure_threshold) ||
        !read_number(parser, tree, "replicas", INT32_MAX, &settings->fallback.replicas))
        return false;
    settings->fallback.behavior = (enum model_fallback)(MODEL_FALLBACK_STATIC + behavior);
    return true;
}

static bool read_spec(const struct object_parser *parser, const struct yaml_tree *spec,
                      struct model_settings *settings)
{
    const struct yaml_tree *modifiers = yaml_tree_find(spec, "advanced.scalingModifiers");
    if (modifiers != NULL && modifiers->count > 0)
        return error_invalid(parser->error,
                             "%s:%zu: scalingModifiers are not part of the model: take them out, "
                             "or rehearse each trigger alone",
                             parser->path, modifiers->line);
    return read_seconds(parser, spec, "pollingInterval", &settings->polling_ms) &&
           read_seconds(parser, spec, "cooldownPeriod", &settings->cooldown_ms) &&
           read_seconds(parser, spec, "initialCooldownPeriod", &settings->initial_cooldown_ms) &&
           read_number(parser, spec, "idleReplicaCount", INT32_MAX, &settings->idle_replicas) &&
           read_number(parser, spec, "minReplicaCount", INT32_MAX, &settings->min_replicas) &&
           read_number(parser, spec, "maxReplicaCount", INT32_MAX, &settings->hpa.max_replicas) &&
           read_fallback(parser, yaml_tree_find(spec, "fallback"), settings) &&
           read_behavior(parser,
                         yaml_tree_find(spec, "advanced.horizontalPodAutoscalerConfig.behavior"),
                         &settings->hpa);
}

static bool check_spec(const struct object_parser *parser, const struct yaml_tree *spec,
                       const struct model_settings *settings)
{
    if (settings->polling_ms == 0)
        return wrong(parser, spec, "pollingInterval", "at least 1");
    if (settings->hpa.max_replicas == 0)
        return wrong(parser, spec, "maxReplicaCount", "at least 1");
    if (settings->min_replicas > settings->hpa.max_replicas)
        return wrong(parser, spec, "minReplicaCount", "at most maxReplicaCount");
    /* As in KEDA's CheckReplicaCountBoundsAreValid(), where a minReplicaCount of 0 counts as 1. */
    const struct yaml_tree *idle = yaml_tree_find(spec, "idleReplicaCount");
    bool has_min = yaml_tree_find(spec, "minReplicaCount") != NULL;
    if (idle != NULL && settings->idle_replicas >= (has_min ? MAX(settings->min_replicas, 1) : 0))
        return wrong(parser, idle, "idleReplicaCount", "less than minReplicaCount, and needs one");
    return true;
}

/* ---- triggers ---- */

static bool read_metadata(const struct object_parser *parser, const struct yaml_tree *map,
                          struct scaled_object_trigger *trigger)
{
    if (map == NULL)
        return true;
    if (map->kind != YAML_TREE_MAP)
        return wrong(parser, map, "metadata", "keys and values");
    trigger->entries = memory_array(map->count, sizeof(*trigger->entries));
    for (size_t i = 0; i < map->count; i++) {
        const struct yaml_tree *value = map->items[i];
        if (value->kind == YAML_TREE_LIST || value->kind == YAML_TREE_MAP)
            return wrong(parser, value, map->keys[i], "a single value");
        trigger->entries[trigger->entry_count++] =
            (struct option_entry){text_copy(map->keys[i]), text_copy(value->text)};
    }
    return true;
}

bool scaled_object_has_source(const char *type)
{
    return !text_equal(type, "cpu") && !text_equal(type, "memory");
}

static bool read_trigger(const struct object_parser *parser, const struct yaml_tree *tree,
                         struct scaled_object *object)
{
    static const char *const types[] = {
        [HPA_AVERAGE_VALUE] = "AverageValue", [HPA_VALUE] = "Value"};
    const char *type = yaml_tree_text(tree, "type");
    const char *name = yaml_tree_text(tree, "name");
    int target_type = HPA_AVERAGE_VALUE;
    if (type == NULL)
        return wrong(parser, tree, "a trigger's type", "its scaler, such as external-push");
    if (!scaled_object_has_source(type)) {
        object->left_out++;
        return true;
    }
    if (!read_choice(parser, tree, "metricType", types, ARRAY_LENGTH(types), &target_type))
        return false;
    struct scaled_object_trigger *trigger = &object->triggers[object->trigger_count];
    object->settings.types[object->trigger_count++] = (enum hpa_target_type)target_type;
    trigger->type = text_copy(type);
    trigger->name = text_copy(name == NULL ? "" : name);
    trigger->target_type = (enum hpa_target_type)target_type;
    return read_metadata(parser, yaml_tree_find(tree, "metadata"), trigger);
}

static bool read_triggers(const struct object_parser *parser, const struct yaml_tree *spec,
                          struct scaled_object *object)
{
    const struct yaml_tree *list = yaml_tree_find(spec, "triggers");
    if (list == NULL || list->kind != YAML_TREE_LIST || list->count > MODEL_MAX_TRIGGERS)
        return wrong(parser, list == NULL ? spec : list, "triggers", "a list of 1 to 32 triggers");
    object->triggers = memory_array(list->count, sizeof(*object->triggers));
    for (size_t i = 0; i < list->count; i++)
        if (!read_trigger(parser, list->items[i], object))
            return false;
    object->settings.trigger_count = object->trigger_count;
    return object->trigger_count > 0 ||
           wrong(parser, list, "triggers", "more than cpu and memory: the model has no pods");
}

/* ---- objects ---- */

void scaled_object_done(struct scaled_object *object)
{
    for (size_t i = 0; i < object->trigger_count; i++) {
        struct scaled_object_trigger *trigger = &object->triggers[i];
        option_entries_free(trigger->entries, trigger->entry_count);
        free(trigger->type);
        free(trigger->name);
    }
    free(object->triggers);
    free(object->name);
    free(object->namespace);
    *object = (struct scaled_object){0};
}

void scaled_objects_done(struct scaled_objects *objects)
{
    for (size_t i = 0; i < objects->count; i++)
        scaled_object_done(&objects->items[i]);
    free(objects->items);
    *objects = (struct scaled_objects){0};
}

/* Fills in what the caller ends, whether it is good or not. */
static bool fill_object(const struct object_parser *parser, const struct yaml_tree *tree,
                        struct scaled_object *object)
{
    const struct yaml_tree *spec = yaml_tree_find(tree, "spec");
    const char *name = yaml_tree_text(tree, "metadata.name");
    const char *namespace = yaml_tree_text(tree, "metadata.namespace");
    *object = (struct scaled_object){0};
    if (spec == NULL || name == NULL)
        return wrong(parser, tree, "a ScaledObject", "metadata.name and spec");
    *object = (struct scaled_object){
        .name = text_copy(name),
        .namespace = text_copy(namespace == NULL ? "default" : namespace),
        .settings = model_default_settings(),
    };
    return read_spec(parser, spec, &object->settings) &&
           check_spec(parser, spec, &object->settings) && read_triggers(parser, spec, object);
}

static bool read_object(const struct object_parser *parser, const struct yaml_tree *tree,
                        struct scaled_objects *objects, size_t *capacity)
{
    objects->items =
        memory_grow(objects->items, capacity, objects->count + 1, sizeof(*objects->items));
    return fill_object(parser, tree, &objects->items[objects->count++]);
}

bool scaled_object_read(const struct yaml_tree *tree, const char *path,
                        struct scaled_object *ret_object, struct error *error)
{
    const struct object_parser parser = {path, error};
    if (fill_object(&parser, tree, ret_object))
        return true;
    scaled_object_done(ret_object);
    return false;
}

static bool read_document(const struct object_parser *parser, const struct yaml_tree *tree,
                          struct scaled_objects *objects, size_t *capacity)
{
    const char *kind = yaml_tree_text(tree, "kind");
    if (text_equal(kind, "ScaledObject"))
        return read_object(parser, tree, objects, capacity);
    const struct yaml_tree *items = text_equal(kind, "List") ? yaml_tree_find(tree, "items") : NULL;
    for (size_t i = 0; items != NULL && i < items->count; i++)
        if (text_equal(yaml_tree_text(items->items[i], "kind"), "ScaledObject") &&
            !read_object(parser, items->items[i], objects, capacity))
            return false;
    return true;
}

bool scaled_objects_read(const struct yaml_forest *forest, const char *path,
                         struct scaled_objects *ret_objects, struct error *error)
{
    const struct object_parser parser = {path, error};
    struct scaled_objects objects = {0};
    size_t capacity = 0;
    bool good = true;
    for (size_t i = 0; good && i < forest->count; i++)
        good = read_document(&parser, forest->trees[i], &objects, &capacity);
    if (good && objects.count == 0)
        good = error_invalid(error, "%s: no ScaledObject in it", path);
    if (good)
        *ret_objects = objects;
    else
        scaled_objects_done(&objects);
    return good;
}

bool scaled_objects_load(const char *path, struct scaled_objects *ret_objects, struct error *error)
{
    struct yaml_forest forest;
    if (!yaml_forest_load(path, &forest, error))
        return false;
    bool good = scaled_objects_read(&forest, path, ret_objects, error);
    yaml_forest_done(&forest);
    return good;
}

const char *scaled_object_metadata(const struct scaled_object_trigger *trigger, const char *key)
{
    for (size_t i = 0; i < trigger->entry_count; i++)
        if (text_equal(trigger->entries[i].key, key))
            return trigger->entries[i].value;
    return NULL;
}
