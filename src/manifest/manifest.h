/*
 * Manifests: the YAML files of a command line, and the objects in them that have to do with
 * scaling.
 *
 * To read in this order: what a trigger says (entries.h), what its authentication adds
 * (authentication.h, secrets.h), what Backlog would make of a trigger of KEDA's own types
 * (builtin.h), and what KEDA would send of either (sent_entries.h). On these stand the folders:
 * checks/check.h for `check`, measurement/measurement.h for its --measure and `compare`,
 * migration/migration.h for `migrate`, which makes a part of the checks, too.
 *
 * Threads: one at a time.
 * Owner:   struct manifests owns everything; objects borrow from it.
 */
#ifndef BACKLOG_MANIFEST_MANIFEST_H
#define BACKLOG_MANIFEST_MANIFEST_H

#include "base/error.h"
#include "base/text.h"
#include "config/yaml_tree.h"
#include "manifest/finding.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum manifest_kind {
    MANIFEST_OTHER,
    MANIFEST_SCALED_OBJECT,
    MANIFEST_SCALED_JOB,
    MANIFEST_AUTHENTICATION,         /* TriggerAuthentication */
    MANIFEST_CLUSTER_AUTHENTICATION, /* ClusterTriggerAuthentication */
    MANIFEST_CONFIG_MAP,
    MANIFEST_SECRET,
    MANIFEST_CONNECTIONS, /* a connections file, or values of the chart with connections */
};

struct manifest_file {
    char *path; /* as it was given; "-" for standard input */
    struct text text;
    bool is_template; /* with Helm's actions, which the forest does not have */
    struct yaml_forest forest;
};

struct manifest_object {
    enum manifest_kind kind;
    const struct manifest_file *file;
    const struct yaml_tree *tree;
    const char *name;      /* "" where it has none */
    const char *namespace; /* NULL where the manifest has none: that of whoever applies it */
    char *label;           /* "shop/orders", or "orders" */
};

struct manifests {
    bool reads_templates; /* set before anything is added: of Helm templates all but their actions
                             is read */
    /* KEDA's, where the Secrets and ConfigMaps of ClusterTriggerAuthentications are; NULL: not
     * known. Borrowed. */
    const char *cluster_namespace;
    struct manifest_file **files;
    size_t file_count, file_capacity;
    struct manifest_object *objects;
    size_t object_count, object_capacity;
};

/* A file, a folder (its *.yaml, *.yml and *.json, at any depth) or "-". What cannot be read is a
 * finding; a Helm template in a folder is passed over with a note. */
void manifests_add(struct manifests *manifests, const char *path, struct findings *findings);
/* The same of a text; both are copied. */
void manifests_add_text(struct manifests *manifests, const char *path, const char *text,
                        size_t length, struct findings *findings);
void manifests_done(struct manifests *manifests);

/* The object of this kind and name; one without a namespace is in all, and one of this namespace
 * comes first. NULL where there is none. `ret_rival`: another one that may be meant as well and
 * says something else, or NULL. */
const struct manifest_object *manifests_find(const struct manifests *manifests,
                                             enum manifest_kind kind, const char *namespace,
                                             const char *name,
                                             const struct manifest_object **ret_rival);

/* Is there anything of a template's action in these bytes of the file? */
bool manifest_is_templated(const struct manifest_file *file, size_t start, size_t end);

/* Where an item of a list begins that is a map: a template's actions may be in front of its first
 * key, behind the dash. */
size_t manifest_item_start(const struct manifest_file *file, const struct yaml_tree *item);
/* Is there anything of a template's action in the item, which may add keys to it? */
bool manifest_item_is_templated(const struct manifest_file *file, const struct yaml_tree *item);

/* An error whose text begins with the path and a line, as those of the parsers, as a finding. */
void manifest_add_error(struct findings *findings, const char *path, const struct error *error);

/* Where a line of an object is, for a finding about it. */
struct finding_place manifest_place(const struct manifest_object *object, size_t line);

/* The items of spec.triggers; NULL where there is no list. */
const struct yaml_tree *manifest_triggers(const struct manifest_object *object);

/* spec.maxReplicaCount, which KEDA takes for 100 where it is missing. Below 0: not known, as what
 * is written is no whole number from 0 on. */
int64_t manifest_max_replicas(const struct manifest_object *object);

/* Does it have triggers: is it a ScaledObject or a ScaledJob? */
bool manifest_scales(const struct manifest_object *object);

#endif
