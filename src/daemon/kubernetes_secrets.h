/*
 * --kubernetes-secrets: reads the Secret backlog-connections of each namespace whose triggers need it, and hands
 * it to them.
 *
 * Threads: the main thread begins and ends it; kubernetes_secrets_follow() from any.
 */
#ifndef BACKLOG_DAEMON_KUBERNETES_SECRETS_H
#define BACKLOG_DAEMON_KUBERNETES_SECRETS_H

#include "base/error.h"
#include "base/text.h"
#include "scale/connections/namespace_secrets.h"
#include "serve/services/external_scaler.h"
#include "serve/services/loop_call.h"

#include <stdbool.h>

struct kubernetes_secrets;

/* Fails outside of a pod. */
bool kubernetes_secrets_new(struct kubernetes_secrets **ret_secrets, struct error *error);

/* Before the first call comes. */
void kubernetes_secrets_start(struct kubernetes_secrets *secrets, struct loop_calls *loop_calls,
                              struct external_scaler *scaler);

/* For the triggers (scale/connections/namespace_secrets.h); `context` is the secrets. */
void kubernetes_secrets_follow(void *context, const char *namespace, bool is_wanted);

/* What is known of them, under the turn lock. */
void kubernetes_secrets_write_metrics(const struct namespace_secrets *secrets, struct text *page);
void kubernetes_secrets_write_lines(const struct namespace_secrets *secrets, struct text *page);

/* Nothing is handed over any more. NULL is harmless to both. */
void kubernetes_secrets_stop(struct kubernetes_secrets *secrets);
void kubernetes_secrets_free(struct kubernetes_secrets *secrets);

#endif
