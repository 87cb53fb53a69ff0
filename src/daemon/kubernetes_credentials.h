/*
 * --kubernetes: reads the authentications of triggers, and hands their parameters to the triggers.
 *
 * Threads: the main thread begins and ends it; the functions for the triggers run under the turn lock.
 */
#ifndef BACKLOG_DAEMON_KUBERNETES_CREDENTIALS_H
#define BACKLOG_DAEMON_KUBERNETES_CREDENTIALS_H

#include "base/error.h"
#include "base/text.h"
#include "scale/connections/own_credentials.h"
#include "serve/services/external_scaler.h"
#include "serve/services/loop_call.h"

#include <stdbool.h>

struct kubernetes_credentials;

/* Fails outside of a pod. `cluster_namespace` is borrowed. */
bool kubernetes_credentials_new(const char *cluster_namespace, bool reads_hpas,
                                struct kubernetes_credentials **ret_credentials,
                                struct error *error);

/* Before the first call comes. */
void kubernetes_credentials_start(struct kubernetes_credentials *credentials,
                                  struct loop_calls *loop_calls, struct external_scaler *scaler);

/* For the triggers: the hooks alone. NULL: none. */
struct own_credentials_settings kubernetes_credentials_hooks(struct kubernetes_credentials *it);

/* What is known; NULL: nothing is written. */
void kubernetes_credentials_write_metrics(const struct kubernetes_credentials *credentials,
                                          struct text *page);
void kubernetes_credentials_write_lines(const struct kubernetes_credentials *credentials,
                                        struct text *page);

/* Nothing is handed over any more. NULL is harmless to both. */
void kubernetes_credentials_stop(struct kubernetes_credentials *credentials);
void kubernetes_credentials_free(struct kubernetes_credentials *credentials);

#endif
