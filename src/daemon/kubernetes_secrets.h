/*
 * --kubernetes-secrets: reads the Secret backlog-connections of each namespace whose triggers need
 * it, and hands it to them.
 *
 * Threads: the main thread begins and ends it; kubernetes_secrets_set_wanted() from any.
 */
#ifndef BACKLOG_DAEMON_KUBERNETES_SECRETS_H
#define BACKLOG_DAEMON_KUBERNETES_SECRETS_H

#include "base/text.h"
#include "daemon/hand_over.h"
#include "kubernetes/informer/informer.h"
#include "scale/connections/namespace_secrets.h"

#include <stdbool.h>

struct kubernetes_secrets;

/* A client of the informer, which is not started yet, and stopped before this is freed. */
struct kubernetes_secrets *kubernetes_secrets_new(struct informer *informer);

/* Where news go. Before the informer is started. */
void kubernetes_secrets_hand_to(struct kubernetes_secrets *secrets, const struct hand_over *to);

/* For the triggers (scale/connections/namespace_secrets.h); `context` is the secrets. */
void kubernetes_secrets_set_wanted(void *context, const char *namespace, bool is_wanted);

/* What is known of them, under the turn lock. */
void kubernetes_secrets_write_metrics(const struct namespace_secrets *secrets, struct text *page);
void kubernetes_secrets_write_lines(const struct namespace_secrets *secrets, struct text *page);

void kubernetes_secrets_free(struct kubernetes_secrets *secrets); /* NULL is harmless */

#endif
