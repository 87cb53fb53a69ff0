/*
 * --kubernetes: reads the authentications of triggers, and hands their parameters to the triggers.
 *
 * Threads: the main thread begins and ends it; the functions for the triggers run under the turn
 * lock.
 */
#ifndef BACKLOG_DAEMON_CREDENTIALS_FEED_H
#define BACKLOG_DAEMON_CREDENTIALS_FEED_H

#include "base/text.h"
#include "daemon/hand_over.h"
#include "kubernetes/informer/informer.h"
#include "scale/connections/own_credentials.h"

#include <stdbool.h>

struct credentials_feed;

/* A client of the informer, which is not started yet, and stopped before this is freed.
 * `cluster_namespace` is borrowed. */
struct credentials_feed *credentials_feed_new(struct informer *informer,
                                              const char *cluster_namespace, bool reads_hpas);

/* Where news go. Before the informer is started. */
void credentials_feed_hand_to(struct credentials_feed *credentials, const struct hand_over *to);

/* For the triggers: the hooks alone. NULL: none. */
struct own_credentials_settings credentials_feed_hooks(struct credentials_feed *it);

/* What is known; NULL: nothing is written. */
void credentials_feed_write_metrics(const struct credentials_feed *credentials, struct text *page);

void credentials_feed_free(struct credentials_feed *credentials); /* NULL is harmless */

#endif
