/*
 * Resolving: from a call that says it is of a trigger, and from what is known of the API's objects,
 * to the trigger's credentials. A caller can claim any namespace and name, so a call counts only
 * where the object of that name has a trigger with this metadata; and a value is read only where
 * that trigger's own authentication names it.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_KUBERNETES_CREDENTIALS_RESOLVE_H
#define BACKLOG_KUBERNETES_CREDENTIALS_RESOLVE_H

#include "config/credentials.h"
#include "config/hpa_facts.h"
#include "kubernetes/api/api_object.h"
#include "kubernetes/informer/informer.h"

#include <stdbool.h>

/* A call, and what its scaler's keys are. All borrowed. */
struct resolve_call {
    const char *namespace;
    const char *name;
    /* Its metadata, as of api_object_sort(); no key is there twice. */
    const struct option_entry *entries;
    size_t count;
    const struct option *table;    /* of its scaler; NULL: no credentials are needed */
    const char *cluster_namespace; /* of the Secrets of a ClusterTriggerAuthentication */
    bool reads_hpa;                /* the replicas of its HPA are needed */
};

/* What is known of an object; borrowed until the next resolve_trigger(). `namespace` is NULL for
 * what has none. */
typedef struct informer_view resolve_find(void *context, enum api_object_kind kind,
                                          const char *namespace, const char *name);

struct resolved {
    struct credentials *credentials; /* the caller frees them */
    struct hpa_facts hpa;            /* unknown unless the credentials are verified */
    /* There is such an object, but none of its triggers has the call's metadata. */
    bool is_mismatch;
    bool has_trigger; /* one of its triggers has it */
};

struct resolved resolve_trigger(const struct resolve_call *call, resolve_find *find, void *context);

#endif
