/*
 * The subscriber: a connection of its own with a subscription to the subjects of each query that is
 * to notify, so that nothing that goes wrong with it (a right that is missing, a limit on
 * subscriptions) disturbs the measuring.
 *
 * The request of a task that is subscribed to is sent on this connection, too, behind the
 * subscription: the server handles both in this order, so every message after the reading notifies.
 * In a cluster this holds for messages that are published to the same server. The other servers
 * learn of the subscription by a route of their own (from 2.10 on not by that of the API, which is
 * of the system account): what is published to them in these milliseconds is found by the next
 * measurement, at --interval.
 *
 * Subscriptions are not shared, and nats.c ends the process where it gets no memory: what is beyond
 * a budget is refused, and polled.
 *
 * Threads: that of the client. Owner: the client.
 */
#ifndef BACKLOG_SCALERS_NATS_JETSTREAM_CLIENT_SUBSCRIBER_H
#define BACKLOG_SCALERS_NATS_JETSTREAM_CLIENT_SUBSCRIBER_H

#include "base/error.h"
#include "measure/task.h"
#include "nats_jetstream/client/configs.h"
#include "nats_jetstream/client/connection.h"
#include "nats_jetstream/client/connector.h"
#include "nats_jetstream/options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nats_subscriber {
    const struct nats_connection_options *options;
    struct nats_configs *configs; /* for the subjects */
    struct nats_connector connector;
    struct nats_client_connection *connection; /* NULL: there is none */
    struct nats_waiting_query *queries;        /* by the notifier's id */
    struct nats_subject *subjects;             /* of these, and those that are denied */
    size_t bytes;                              /* that these take, about */
    int64_t swept_ms;                          /* when those that had ended were freed last */
    struct error refusal;                      /* why there is no connection */
    int64_t retry_ms;                          /* it is not connected before it */
    int64_t silent_ms;                         /* and not used before it: it did not reply */
};

/* Takes the connection once there is one. Before nats_subscriber_subscribe(). */
void nats_subscriber_take(struct nats_subscriber *subscriber);

/* It does not reply: for a while nothing is sent on it. What is subscribed stays so. */
void nats_subscriber_rest(struct nats_subscriber *subscriber, int64_t now_ms);

/* Subscribes to the task's subjects, where it wants that and that is possible now. True: send its
 * request on the subscriber's connection, and report its reply with nats_subscriber_confirm(). */
bool nats_subscriber_subscribe(struct nats_subscriber *subscriber, struct task *task);
void nats_subscriber_confirm(const struct nats_subscriber *subscriber, struct task *task);

void nats_subscriber_unsubscribe(struct nats_subscriber *subscriber, uint64_t notifier_id);

/* The user may not subscribe to something. */
void nats_subscriber_deny(struct nats_subscriber *subscriber, const struct nats_refusal *refusal);

/* The connection is lost, and all subscriptions with it. Its requests must be taken first. */
void nats_subscriber_lose(struct nats_subscriber *subscriber);

/* Somebody may be notified: somebody must wait for its connection. */
bool nats_subscriber_is_needed(const struct nats_subscriber *subscriber);

void nats_subscriber_done(struct nats_subscriber *subscriber); /* notifies nobody */

#endif
