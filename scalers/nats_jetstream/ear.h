/*
 * An ear: a subscription that hears one message, and wakes somebody then, or when its connection is lost.
 *
 * A message that a stream stores is delivered to subscribers of its subject, too: whoever hears it so
 * takes it from nobody, and is no consumer of the stream.
 *
 * Threads: one opens and closes it. It wakes on the thread of nats.c's that delivers messages.
 */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_EAR_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_EAR_H

#include "measure/scaler.h"

#include <nats/nats.h>
#include <stdbool.h>

struct nats_ear;

/* NULL where the connection is lost. */
struct nats_ear *nats_ear_open(natsConnection *connection, const char *subject,
                               const struct waker *waker);
bool nats_ear_has_ended(struct nats_ear *ear); /* it has heard a message, or its connection's end */
void nats_ear_close(struct nats_ear *ear);     /* it wakes nobody after */

#endif
