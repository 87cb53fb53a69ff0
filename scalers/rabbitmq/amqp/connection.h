/*
 * A connection over AMQP: login, frames in both directions, and nothing about queues.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_RABBITMQ_AMQP_CONNECTION_H
#define BACKLOG_RABBITMQ_AMQP_CONNECTION_H

#include "base/error.h"
#include "rabbitmq/amqp/library.h"
#include "rabbitmq/options.h"
#include "rabbitmq/url.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    /* librabbitmq sends one when nothing else was sent for so long, and finds a broker lost that
     * sent nothing for twice as long; both only while frames are received
     * (rabbitmq_amqp_connection_receive()). */
    RABBITMQ_HEARTBEAT_SECONDS = 60,
};

struct rabbitmq_amqp_connection {
    amqp_connection_state_t state;
    bool open;     /* logged in, and not closed by the broker */
    char *address; /* host:port, for errors */
    int max_channels;
    int64_t received_ms; /* the last frame */
};

/* Whatever it returned, end it with rabbitmq_amqp_connection_close(). */
bool rabbitmq_amqp_connection_open(struct rabbitmq_amqp_connection *connection,
                                   const struct rabbitmq_connection *options,
                                   const struct rabbitmq_url *url, int64_t deadline_ms,
                                   struct error *error);

/* Closes it without waiting for the reply. */
void rabbitmq_amqp_connection_close(struct rabbitmq_amqp_connection *connection);

/* Whether something can be sent without waiting: sending has no deadline in librabbitmq, and blocks
 * once the kernel's buffer is full because a stopped broker reads nothing. */
bool rabbitmq_amqp_connection_can_send(const struct rabbitmq_amqp_connection *connection);

/* Returns false where the connection is lost. */
bool rabbitmq_amqp_connection_send(struct rabbitmq_amqp_connection *connection,
                                   amqp_channel_t channel, amqp_method_number_t method,
                                   void *fields, struct error *error);

/* What is sent from here on may wait in the kernel for more, to share packets, until it is flushed.
 */
void rabbitmq_amqp_connection_cork(const struct rabbitmq_amqp_connection *connection);
void rabbitmq_amqp_connection_flush(const struct rabbitmq_amqp_connection *connection);

enum rabbitmq_received { RABBITMQ_FRAME, RABBITMQ_NOTHING, RABBITMQ_LOST };

/*
 * The next frame that is there, without waiting; sends and checks heartbeats. When a socket is
 * readable, call it until there is nothing: librabbitmq keeps frames back. A frame lives until
 * amqp_maybe_release_buffers_on_channel().
 */
enum rabbitmq_received rabbitmq_amqp_connection_receive(struct rabbitmq_amqp_connection *connection,
                                                        amqp_frame_t *ret_frame,
                                                        struct error *error);

#endif
