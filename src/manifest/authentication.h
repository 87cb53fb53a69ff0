/*
 * TriggerAuthentications: which parameters they give to a trigger, and where the values are.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_MANIFEST_AUTHENTICATION_H
#define BACKLOG_MANIFEST_AUTHENTICATION_H

#include "manifest/manifest.h"

enum { AUTHENTICATION_MAX_PARAMETERS = 64 };

/* One parameter; everything is borrowed from the manifests. */
struct authentication_parameter {
    enum {
        PARAMETER_SECRET,     /* secretTargetRef: `key` of the Secret `object` */
        PARAMETER_CONFIG_MAP, /* configMapTargetRef: the same of a ConfigMap */
        PARAMETER_VARIABLE,   /* env: the variable `object` of the worker's container */
    } source;
    const char *name;
    const char *object;
    const char *key;
    const char *value; /* of a ConfigMap that is in one of the files; else NULL */
    size_t line;
};

struct authentication {
    const struct yaml_tree *ref;          /* authenticationRef of the trigger; NULL: none, or its
                                             name is empty */
    const char *name;                     /* that it names */
    bool is_cluster_wide;                 /* a ClusterTriggerAuthentication */
    const struct manifest_object *object; /* NULL: in none of the files */
    const struct manifest_object *rival;  /* another one that may be meant as well; or NULL */
    struct authentication_parameter parameters[AUTHENTICATION_MAX_PARAMETERS];
    size_t count;
    const char *unsupported; /* a way to get values that Backlog does not have, such as podIdentity;
                                or NULL */
};

/* Whether KEDA calls Backlog with TLS for a trigger with this metadata, as KEDA reads enableTLS.
 * What a template writes may be TLS. */
bool channel_has_tls(const struct yaml_tree *metadata);

/* Of a trigger of an object in `namespace` (NULL: not known). */
void authentication_read(const struct manifests *manifests, const char *namespace,
                         const struct yaml_tree *trigger, struct authentication *ret);

/* The same of a trigger for Backlog: that of its source, which a server with --kubernetes reads. */
void authentication_read_of_source(const struct manifests *manifests, const char *namespace,
                                   const struct yaml_tree *trigger, struct authentication *ret);

#endif
