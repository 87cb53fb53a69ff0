/*
 * --kubernetes: reads the authentications of triggers, and hands their parameters to the triggers.
 *
 * Threads: the main thread begins and ends it; the functions for the triggers run under the turn
 * lock.
 */
#ifndef BACKLOG_DAEMON_KUBERNETES_CREDENTIALS_H
#define BACKLOG_DAEMON_KUBERNETES_CREDENTIALS_H

#include "base/text.h"
#include "daemon/hand_over.h"
#include "kubernetes/informer.h"
#include "scale/connections/own_credentials.h"

#include <stdbool.h>

struct kubernetes_credentials;

/* A client of the informer, which is not started yet, and stopped before this is freed.
 * `cluster_namespace` is borrowed. */
struct kubernetes_credentials *kubernetes_credentials_new(struct informer *informer,
                                                          const char *cluster_namespace,
                                                          bool reads_hpas);

/* Where news go. Before the informer is started. */
void kubernetes_credentials_hand_to(struct kubernetes_credentials *credentials,
                                    const struct hand_over *to);

/* For the triggers: the hooks alone. NULL: none. */
struct own_credentials_settings kubernetes_credentials_hooks(struct kubernetes_credentials *it);

/* What is known; NULL: nothing is written. */
void kubernetes_credentials_write_metrics(const struct kubernetes_credentials *credentials,
                                          struct text *page);

void kubernetes_credentials_free(struct kubernetes_credentials *credentials); /* NULL is harmless */

#endif
