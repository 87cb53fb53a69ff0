/*
 * The cluster, through the user's own kubectl: its rights, its kubeconfig, its context. Nothing is
 * changed.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_COMMANDS_KUBECTL_H
#define BACKLOG_COMMANDS_KUBECTL_H

#include "base/error.h"
#include "manifest/manifest.h"

#include <stdbool.h>

/* What `kubectl get WORDS` prints; its messages go to standard error. `context` may be NULL;
 * `words` end with NULL. */
bool kubectl_get(const char *context, const char *const *words, struct text *ret_output,
                 struct error *error);

/* The objects of KEDA, in all namespaces. */
bool kubectl_read(const char *context, struct manifests *manifests, struct findings *findings,
                  struct error *error);

/* The Secrets and ConfigMaps that TriggerAuthentications among them name, as far as the user may
 * read them; what cannot be read is a finding. Those of ClusterTriggerAuthentications are in
 * `keda_namespace`. */
void kubectl_read_secrets(const char *context, const char *keda_namespace,
                          struct manifests *manifests, struct findings *findings);

#endif
