/*
 * Where triggers are in a file: in ScaledObjects and ScaledJobs, and in Kustomize patches of them.
 * A patch is a strategic merge or a JSON patch (RFC 6902), a file of its own or a block (|) in a
 * kustomization.
 *
 * Threads: one at a time.
 * Owner:   the list owns the trees of blocks; all else is borrowed from the manifests.
 */
#ifndef BACKLOG_MANIFEST_MIGRATION_TRIGGER_PLACES_H
#define BACKLOG_MANIFEST_MIGRATION_TRIGGER_PLACES_H

#include "manifest/manifest.h"

struct trigger_place {
    const struct yaml_tree *trigger; /* its bytes are those of the file */
    const struct yaml_tree *spec;    /* that it is in; a JSON patch as a whole */
    const char *namespace;           /* NULL: not known */
    const char *name, *label;        /* of the object; "" where it is not known */
    bool is_job;                     /* of a ScaledJob */
};

/* An operation of a JSON patch on a part of a trigger, which is somewhere else. */
struct trigger_part {
    const char *path;              /* in the trigger: "type", "metadata", "metadata/value", ... */
    const struct yaml_tree *value; /* NULL: it is removed */
    size_t line;
    bool is_job; /* the patch is for a ScaledJob */
};

struct trigger_places {
    struct trigger_place *items;
    size_t count, capacity;
    struct trigger_part *parts;
    size_t parts_count, parts_capacity;
    struct yaml_forest *forests;     /* of blocks, */
    const struct yaml_tree **blocks; /* ... which are these texts of a kustomization */
    size_t forest_count, forest_capacity, block_capacity;
};

/* In the order of the file. What is a trigger, and cannot be read, is a note. */
void trigger_places_find(const struct manifests *manifests, const struct manifest_file *file,
                         struct trigger_places *ret_places, struct findings *findings);
void trigger_places_done(struct trigger_places *places);

#endif
