/*
 * A client over the NATS protocol: a request to $JS.API.CONSUMER.INFO for each task, all of them at
 * once. It has a connection and, where queries are to notify, a subscriber, which has another one.
 *
 * Read the folder in this order: connection.h (requests and replies; events.h, refusal.h and
 * interrupter.h help it), configs.h (whether 0 counts, and what to subscribe to), subscription.h
 * (one subject), connector.h and subscriber.h (all of them, on a connection of their own), this.
 *
 * A push, in order. send_task() finds that the task wants a subscription:
 * nats_subscriber_subscribe() opens one for each subject, and the request follows on the same
 * connection. Its reply comes to take_message(), which confirms the subscription
 * (nats_subscriber_confirm()) and answers the task. The first message on a subject comes to
 * subscription.c on a thread of nats.c, which notifies: measure/poller.c measures the query again.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_CLIENT_CLIENT_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_CLIENT_CLIENT_H

#include "base/error.h"
#include "measure/task.h"
#include "nats_jetstream/options.h"

#include <stdbool.h>
#include <stdint.h>

struct nats_client;

/* The options must outlive it. NULL with the error. */
struct nats_client *nats_client_connect(const struct nats_connection_options *options,
                                        int64_t deadline_ms, struct error *error);
void nats_client_disconnect(struct nats_client *client);

/* As the hook of struct scaler: returns when nothing is in flight, the feed is stopping, or the
 * connection is of no further use, with the error. */
bool nats_client_measure(struct nats_client *client, struct feed *feed, struct error *error);

#endif
