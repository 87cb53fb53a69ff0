/*
 * A subscription that notifies somebody of its first message, or when its connection is lost.
 *
 * A message that a stream stores is delivered to subscribers of its subject, too: who receives it
 * so takes it from nobody, and is no consumer of the stream.
 *
 * Threads: one opens and closes it. It notifies on the thread of nats.c that delivers messages.
 */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_CLIENT_SUBSCRIPTION_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_CLIENT_SUBSCRIPTION_H

#include "measure/task.h"

#include <nats/nats.h>
#include <stdbool.h>

struct nats_subscription;

/* NULL where the connection is lost. */
struct nats_subscription *nats_subscription_open(natsConnection *connection, const char *subject,
                                                 const struct notifier *notifier);
/* It has received a message, or its connection is lost. */
bool nats_subscription_has_ended(struct nats_subscription *subscription);
void nats_subscription_close(struct nats_subscription *subscription); /* notifies nobody after */

#endif
