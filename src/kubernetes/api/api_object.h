/*
 * Objects of the Kubernetes API that credentials, and what is known of the HPA, follow from: where
 * each is read, and what of its JSON counts. The decoders take whatever a server sends: what is not
 * of the expected shape is an error, and no text of an error repeats a value.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_KUBERNETES_API_API_OBJECT_H
#define BACKLOG_KUBERNETES_API_API_OBJECT_H

#include "base/error.h"
#include "config/option.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum api_object_kind {
    OBJECT_SCALED_OBJECT,
    OBJECT_SCALED_JOB,
    OBJECT_TRIGGER_AUTHENTICATION,
    OBJECT_CLUSTER_TRIGGER_AUTHENTICATION, /* has no namespace */
    OBJECT_SECRET,
    OBJECT_CONFIG_MAP,
    OBJECT_HPA,
    OBJECT_KINDS,
};

/* One trigger of a ScaledObject or ScaledJob, of KEDA's type external or external-push; with more
 * metadata than any call can have it is none. */
struct api_object_trigger {
    struct option_entry *metadata; /* by key; the name of a variable is left out */
    size_t metadata_count;
    uint64_t fingerprint; /* api_object_fingerprint() of the metadata */
    char *authentication; /* name in its authenticationRef, or NULL */
    bool is_cluster_wide; /* ... which is a ClusterTriggerAuthentication */
};

/* One parameter of an authentication: the key of a Secret or ConfigMap that has its value. */
struct api_object_parameter {
    char *name;
    /* Where else its value is, which Backlog does not read ("env"); static. NULL: it is in: */
    const char *unsupported;
    enum api_object_kind kind; /* OBJECT_SECRET or OBJECT_CONFIG_MAP */
    char *object;              /* its name */
    char *key;
};

/* What it has depends on its kind; all strings are owned. */
struct api_object {
    struct api_object_trigger *triggers;
    size_t triggers_count;
    int64_t down_window_ms; /* of a ScaledObject: its scaleDown.stabilizationWindowSeconds, or -1 */
    char *hpa;              /* ... the HPA that KEDA has made of it; NULL: none yet */
    bool has_formula;       /* ... scalingModifiers make another value of a trigger's */
    int64_t replicas;       /* that an HPA has or wants, the larger one */
    int64_t current_replicas; /* ... that it has */
    struct api_object_parameter *parameters;
    size_t parameters_count;
    char *unsupported;         /* of an authentication as a whole ("podIdentity"), or NULL */
    struct option_entry *data; /* of a Secret, decoded, and of a ConfigMap; by key */
    size_t data_count;
    char *revision; /* another one: it may have changed */
    size_t bytes;   /* of memory, everything above included */
};

/* "ScaledObject" */
const char *api_object_kind_name(enum api_object_kind kind);

/* Of the group keda.sh: it has a generation, and the server may list it in all namespaces. */
bool api_object_is_of_keda(enum api_object_kind kind);

/* Both are valid (config/kubernetes_name.h). The caller frees the path. */
char *api_object_path(enum api_object_kind kind, const char *namespace, const char *name);

/* Of all of the kind in the namespace, NULL: in all. The caller frees it. */
char *api_object_collection_path(enum api_object_kind kind, const char *namespace);

/* What is another after a change that counts: the generation where there is one, which the status
 * does not change, else the resourceVersion. The caller frees it. */
char *api_object_revision(enum api_object_kind kind, const json_t *metadata);

/* "Secret shop/rabbitmq"; the caller frees it. */
char *api_object_label(enum api_object_kind kind, const char *namespace, const char *name);

/* NULL with the error: it is not JSON, is larger than allowed, or is another object. The caller
 * frees it. */
struct api_object *api_object_parse(enum api_object_kind kind, const char *namespace,
                                    const char *name, const char *text, size_t length,
                                    struct error *error);
void api_object_free(struct api_object *object); /* NULL is none */

/* Is a reply with status 404 about this object, and not about its kind, which the cluster may not
 * have? */
bool api_object_is_absent(const char *name, const char *text, size_t length);

/* Of all keys and values that are sent as they are written, in any order: metadata that differs in
 * them has another one. `fooFromEnv: VARIABLE` is none of them (option_is_variable()): KEDA sends
 * it with the variable's value, or not at all where that is empty. */
uint64_t api_object_fingerprint(const struct option_entry *entries, size_t count);

/* As an object has its entries. */
void api_object_sort(struct option_entry *entries, size_t count);

/* Of entries that are sorted; NULL where there is none. */
const char *api_object_value(const struct option_entry *entries, size_t count, const char *key);

#endif
