/*
 * ScaledObjects as people write them for KEDA, read from YAML: what the model needs of them.
 *
 * Unknown keys are none of our business: KEDA's API server checks them. What the model cannot do
 * (scalingModifiers) is an error, because its result would be another.
 *
 * Threads: any; nothing changes after reading.
 */
#ifndef BACKLOG_MODEL_SCALED_OBJECT_H
#define BACKLOG_MODEL_SCALED_OBJECT_H

#include "base/error.h"
#include "config/option.h"
#include "config/yaml_tree.h"
#include "model/model.h"

#include <stdbool.h>
#include <stddef.h>

struct scaled_object_trigger {
    char *type; /* external, external-push, or one of KEDA's own such as kafka */
    char *name; /* "" where it has none */
    enum hpa_target_type target_type;
    struct option_entry *entries; /* metadata, as written */
    size_t entry_count;
};

struct scaled_object {
    char *name;
    char *namespace;                        /* "default" where it has none */
    struct model_settings settings;         /* one type for each trigger */
    struct scaled_object_trigger *triggers; /* without cpu and memory */
    size_t trigger_count;
    size_t left_out; /* triggers of type cpu or memory: the model has no pods to measure */
};

struct scaled_objects {
    struct scaled_object *items;
    size_t count;
};

/* All documents of kind ScaledObject, also within a List; others are passed over. At least one, or
 * an error. The caller ends them with scaled_objects_done(). To read what was parsed is for tests,
 * too. */
bool scaled_objects_load(const char *path, struct scaled_objects *ret_objects, struct error *error);
bool scaled_objects_read(const struct yaml_forest *forest, const char *path,
                         struct scaled_objects *ret_objects, struct error *error);
void scaled_objects_done(struct scaled_objects *objects);

/* One document of kind ScaledObject; `path` is for the error. The caller ends it with
 * scaled_object_done(). */
bool scaled_object_read(const struct yaml_tree *tree, const char *path,
                        struct scaled_object *ret_object, struct error *error);
void scaled_object_done(struct scaled_object *object);

/* Has a trigger of this type a source? Those of type cpu and memory measure pods. */
bool scaled_object_has_source(const char *type);

/* The value of a metadata key; NULL where there is none. */
const char *scaled_object_metadata(const struct scaled_object_trigger *trigger, const char *key);

#endif
