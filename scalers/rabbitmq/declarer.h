/*
 * Measures queues by passive declares, pipelined on a few channels: each answer is matched by its channel and
 * its order there.
 *
 * Two things could make queues disturb each other. A missing queue closes its channel, and what was sent
 * behind it is lost: it is sent again. A hanging queue holds its channel up: what was sent behind it is sent
 * again on another channel, and whichever answers first counts. Either queue is quarantined: from then on
 * it is declared alone on a channel, until it answers in time.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_RABBITMQ_DECLARER_H
#define BACKLOG_RABBITMQ_DECLARER_H

#include "rabbitmq/amqp_connection.h"
#include "rabbitmq/channels.h"
#include "rabbitmq/requests.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    RABBITMQ_SHARED_CHANNELS = 24,
    RABBITMQ_QUARANTINE_CHANNELS = 8,
    RABBITMQ_ISOLATED_CHANNELS = 16,
    RABBITMQ_SLOTS =
        RABBITMQ_SHARED_CHANNELS + RABBITMQ_QUARANTINE_CHANNELS + RABBITMQ_ISOLATED_CHANNELS,
};

struct rabbitmq_declarer {
    struct rabbitmq_amqp_connection *connection;
    struct rabbitmq_channels channels;
    struct rabbitmq_channel *slots[RABBITMQ_SLOTS]; /* by group; NULL: no channel there */
    struct rabbitmq_channel *stalled; /* left their slots; an answer may still come; utlist */
    struct rabbitmq_requests requests;
    struct rabbitmq_quarantined *quarantine;
    int64_t pinged_ms; /* the broker was asked for a sign of life, and sent nothing since; 0: not */
};

/* The connection is borrowed. */
void rabbitmq_declarer_init(struct rabbitmq_declarer *declarer,
                            struct rabbitmq_amqp_connection *connection);
void rabbitmq_declarer_done(struct rabbitmq_declarer *declarer);

/* Takes a task, to be sent next; ends one before its answer. */
void rabbitmq_declarer_add(struct rabbitmq_declarer *declarer, struct task *task);
void rabbitmq_declarer_cancel(struct rabbitmq_declarer *declarer, struct task *task);

/* Gives up all tasks without ending them. */
void rabbitmq_declarer_abandon(struct rabbitmq_declarer *declarer);

/* Each of these returns false where the connection is lost. */

/* Sends as much as there is room for. */
bool rabbitmq_declarer_send(struct rabbitmq_declarer *declarer, struct error *error);

/* Handles all that has come. */
bool rabbitmq_declarer_receive(struct rabbitmq_declarer *declarer, struct error *error);

/* Ends what is late, moves what is held up, and says when to do so again. */
bool rabbitmq_declarer_check_time(struct rabbitmq_declarer *declarer, int64_t *ret_next_ms,
                                  struct error *error);

#endif
