/*
 * Measures queues by passive declares, pipelined on a few channels: each answer is matched by its
 * channel and its order there.
 *
 * Two things could make queues disturb each other. A missing queue closes its channel, and what was
 * sent behind it is lost: it is sent again. A hanging queue holds its channel up: what was sent
 * behind it is sent again on another channel, and the first answer counts. Either queue is
 * quarantined: from then on it is declared alone on a channel, until it answers in time.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_RABBITMQ_AMQP_DECLARER_H
#define BACKLOG_SCALERS_RABBITMQ_AMQP_DECLARER_H

#include "rabbitmq/amqp/connection.h"
#include "rabbitmq/amqp/requests.h"
#include "rabbitmq/amqp/slots.h"

#include <stdbool.h>
#include <stdint.h>

enum { RABBITMQ_STALL_MS = 250 }; /* a channel that answers nothing for so long hangs */

struct rabbitmq_declarer {
    struct rabbitmq_amqp_connection *connection;
    struct rabbitmq_slots slots;
    struct rabbitmq_requests requests;
    struct rabbitmq_quarantined *quarantine;
    int64_t pinged_ms; /* the broker was pinged, and has sent nothing since; 0: it was not */
};

/* The connection is borrowed. */
void rabbitmq_declarer_init(struct rabbitmq_declarer *declarer,
                            struct rabbitmq_amqp_connection *connection);
void rabbitmq_declarer_done(struct rabbitmq_declarer *declarer);

/* Takes a task, to be sent next. */
void rabbitmq_declarer_add(struct rabbitmq_declarer *declarer, struct task *task);

/* Gives up all tasks without ending them. */
void rabbitmq_declarer_abandon(struct rabbitmq_declarer *declarer);

/* Each of these returns false where the connection is lost. */

/* Sends as much as the channels have capacity for. */
bool rabbitmq_declarer_send(struct rabbitmq_declarer *declarer, struct error *error);

/* Reads once, and handles what was read. */
bool rabbitmq_declarer_receive(struct rabbitmq_declarer *declarer, struct error *error);

/* ---- for deadlines.c ---- */

/* Whether requests wait for a channel. */
bool rabbitmq_declarer_has_waiting(const struct rabbitmq_declarer *declarer);

/* The request that is so many behind the first of a channel; NULL where it has ended. */
struct rabbitmq_request *rabbitmq_declarer_find_sent(const struct rabbitmq_declarer *declarer,
                                                     const struct rabbitmq_channel *channel,
                                                     size_t index);

/* What was sent behind the first request of the channel is sent again, before all else: not that of
 * a stalled one, as it was when it stalled. */
void rabbitmq_declarer_send_behind_again(struct rabbitmq_declarer *declarer,
                                         const struct rabbitmq_channel *channel);

#endif
