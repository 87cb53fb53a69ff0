/*
 * A connection over AMQP: login, frames in both directions, and nothing about queues.
 *
 * librabbitmq encodes and decodes the frames; the socket is ours. The library's own functions skip
 * heartbeats in a loop without an end, send without a deadline, and keep frames that are not due.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_RABBITMQ_AMQP_CONNECTION_H
#define BACKLOG_SCALERS_RABBITMQ_AMQP_CONNECTION_H

#include "base/error.h"
#include "base/text.h"
#include "rabbitmq/amqp/socket.h"
#include "rabbitmq/options.h"
#include "rabbitmq/url.h"

#include <rabbitmq-c/amqp.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    /* What we ask for: one is sent when nothing else was sent for half of it, and a broker that
     * sent nothing for twice as long is lost. */
    RABBITMQ_HEARTBEAT_SECONDS = 60,
};

struct rabbitmq_amqp_connection {
    amqp_connection_state_t state; /* of the decoder */
    struct rabbitmq_socket socket;
    bool is_open;               /* logged in, and not closed by the broker */
    bool has_too_many_channels; /* which is why the broker closed it */
    char *address;              /* host:port, for errors */
    int max_channels;
    int heartbeat_ms;    /* 0: none */
    int64_t received_ms; /* the last frame but heartbeats */

    struct text output; /* unsent */
    int64_t sent_ms;
    char input[TLS_RECORD_BYTES];
    size_t input_length, decoded;
    int64_t bytes_ms;            /* the last bytes */
    unsigned heartbeats;         /* were received */
    int64_t heartbeats_since_ms; /* ... since then */
};

/* Connects; rabbitmq_amqp_connection_log_in() is next. Whatever it returned, end it with
 * rabbitmq_amqp_connection_close(). */
bool rabbitmq_amqp_connection_open(struct rabbitmq_amqp_connection *connection,
                                   const struct rabbitmq_connection_options *options,
                                   const struct rabbitmq_url *url, int64_t deadline_ms,
                                   struct error *error);

/* Closes it without waiting for the reply. */
void rabbitmq_amqp_connection_close(struct rabbitmq_amqp_connection *connection);

/* Whether the broker reads: what is sent otherwise only waits. */
bool rabbitmq_amqp_connection_can_send(const struct rabbitmq_amqp_connection *connection);

/* The round trip to whoever is at the other end of the socket, at least: the broker, or a proxy
 * before it. The kernel measures it, and no busy broker or process adds to it; 0: not known. */
int64_t rabbitmq_amqp_connection_round_trip_ms(const struct rabbitmq_amqp_connection *connection);

/* Each of these returns false where the connection is lost. */

/* Sends with the next flush. */
bool rabbitmq_amqp_connection_send(struct rabbitmq_amqp_connection *connection,
                                   amqp_channel_t channel, amqp_method_number_t method,
                                   void *fields, struct error *error);

/* Sends what is unsent, as far as the kernel takes it, and a heartbeat where one is due.
 * `ret_next_ms`: when to call it again at the latest. */
bool rabbitmq_amqp_connection_flush(struct rabbitmq_amqp_connection *connection,
                                    int64_t *ret_next_ms, struct error *error);

/* What to poll the socket for. */
short rabbitmq_amqp_connection_events(const struct rabbitmq_amqp_connection *connection);

/* Reads what is there, at most 16 KiB, so that nobody is kept here by a flood. */
bool rabbitmq_amqp_connection_read(struct rabbitmq_amqp_connection *connection,
                                   struct error *error);

enum rabbitmq_received {
    RABBITMQ_RECEIVED_FRAME,
    RABBITMQ_RECEIVED_NOTHING,
    RABBITMQ_RECEIVED_LOST
};

/* The next method of what was read, of any channel. */
enum rabbitmq_received rabbitmq_amqp_connection_decode(struct rabbitmq_amqp_connection *connection,
                                                       amqp_frame_t *ret_frame,
                                                       struct error *error);

/*
 * The next frame of what was read: to be called until there is nothing. It is a method of a
 * channel; anything else loses the connection. The frame lives until
 * amqp_maybe_release_buffers_on_channel().
 */
enum rabbitmq_received rabbitmq_amqp_connection_receive(struct rabbitmq_amqp_connection *connection,
                                                        amqp_frame_t *ret_frame,
                                                        struct error *error);

/* False, with the error: the broker sent a frame that nothing waits for. */
bool rabbitmq_amqp_connection_fail_unexpected(const struct rabbitmq_amqp_connection *connection,
                                              struct error *error);

#endif
