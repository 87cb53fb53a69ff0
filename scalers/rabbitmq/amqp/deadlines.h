/*
 * Deadlines of what a declarer has sent: requests, and openings of channels that requests wait for.
 * A request that is late times out, and a queue that holds its channel up is moved out of the way
 * of those behind it. Where nothing at all comes, the broker is pinged first: it may be slow as a
 * whole, or gone.
 *
 * Threads: one at a time.
 */
#ifndef BACKLOG_SCALERS_RABBITMQ_AMQP_DEADLINES_H
#define BACKLOG_SCALERS_RABBITMQ_AMQP_DEADLINES_H

#include "rabbitmq/amqp/declarer.h"

/* Ends what is late, moves what is held up, and returns when to do so again. False where the
 * connection is lost. */
bool rabbitmq_deadlines_check(struct rabbitmq_declarer *declarer, int64_t *ret_next_ms,
                              struct error *error);

#endif
