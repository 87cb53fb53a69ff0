/*
 * A client over AMQP: one connection, on which queues are measured by passive declares, which
 * report the messages that are ready (AMQP cannot report the unacknowledged ones) and the
 * consumers.
 *
 * Read the folder in this order: connection.h (frames on a socket; connection_login.h and socket.h
 * help it), channels.h (the broker's channels), slots.h (which group of requests uses them),
 * requests.h (what waits), declarer.h (sending and matching), quarantine.h and deadlines.h (queues
 * that hang), this.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_RABBITMQ_AMQP_AMQP_H
#define BACKLOG_SCALERS_RABBITMQ_AMQP_AMQP_H

#include "base/error.h"
#include "measure/task.h"
#include "rabbitmq/options.h"
#include "rabbitmq/url.h"

#include <stdbool.h>
#include <stdint.h>

struct rabbitmq_amqp;

/* The options must outlive the client. */
bool rabbitmq_amqp_connect(const struct rabbitmq_connection_options *options,
                           const struct rabbitmq_url *url, int64_t deadline_ms,
                           struct rabbitmq_amqp **ret_client, struct error *error);
void rabbitmq_amqp_disconnect(struct rabbitmq_amqp *client);

/* The scaler's measure: it returns when the feed is stopping or the connection is lost, and sees to
 * the heartbeats meanwhile. */
bool rabbitmq_amqp_measure(struct rabbitmq_amqp *client, struct feed *feed, struct error *error);

#endif
