/*
 * The credentials of triggers: keeps up to date what the Kubernetes API says of each (resolve.h),
 * by the objects that the informer reads.
 *
 * Threads: the informer's, on which it calls back. Its functions may be called from any, and never
 * wait.
 */
#ifndef BACKLOG_KUBERNETES_CREDENTIALS_TRIGGER_CREDENTIALS_H
#define BACKLOG_KUBERNETES_CREDENTIALS_TRIGGER_CREDENTIALS_H

#include "config/credentials.h"
#include "config/hpa_facts.h"
#include "kubernetes/informer/informer.h"

#include <stdbool.h>
#include <stddef.h>

struct trigger_credentials_settings {
    /* Borrowed; it is not started yet, and stopped before this is freed. */
    struct informer *informer;
    const char *cluster_namespace; /* of a ClusterTriggerAuthentication's Secrets; borrowed */
    bool reads_hpas;               /* of ScaledObjects: for their replicas */
    /* News of the trigger that `key` names; the credentials are taken. False: must be called again
     * later, with what is known then, be it what was taken last. */
    bool (*changed)(void *context, const char *key, size_t length, struct credentials *credentials,
                    const struct hpa_facts *hpa);
    void *context;
};

/* A trigger that needs them, as trigger_credentials_add() copies it. */
struct trigger_need {
    const char *key; /* who it is; any bytes */
    size_t key_length;
    const char *namespace;
    const char *name;
    const struct option_entry *entries;
    size_t count;
    const struct option *table; /* stays */
};

struct trigger_credentials_stats {
    /* By the state of their credentials; without those that their object had, and has no more:
     * KEDA calls for them no more, until they are removed. */
    size_t triggers[CREDENTIALS_REFUSED + 1];
};

struct trigger_credentials;

struct trigger_credentials *
trigger_credentials_new(const struct trigger_credentials_settings *settings);
void trigger_credentials_free(struct trigger_credentials *all); /* NULL is harmless */

void trigger_credentials_add(struct trigger_credentials *all, const struct trigger_need *need);
void trigger_credentials_remove(struct trigger_credentials *all, const char *key, size_t length);

/* Measuring fails, maybe as the source refuses the credentials: the objects that the trigger uses
 * are read again, unless they were within the last second. */
void trigger_credentials_refresh(struct trigger_credentials *all, const char *key, size_t length);

void trigger_credentials_stats(struct trigger_credentials *all,
                               struct trigger_credentials_stats *ret_stats);

#endif
