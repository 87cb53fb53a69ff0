/*
 * Ends tasks whose time is over, with an error that names what they waited for.
 *
 * Threads: the measuring thread.
 */
#ifndef BACKLOG_SCALERS_KAFKA_MEASURE_TIMEOUT_H
#define BACKLOG_SCALERS_KAFKA_MEASURE_TIMEOUT_H

#include "kafka/measure/batch.h"

/* The deadline of a task has passed that is not complete (kafka_count_is_complete()). Topics whose
 * leaders are silent are outdated: they may have others by now. */
void kafka_timeout_task(struct kafka_batch_task *batch_task);

/* The library gave up on the group's coordinator, a moment before the deadline. */
void kafka_timeout_coordinator(struct kafka_batch_task *batch_task);

/* The library gave up on the broker that leads this partition. */
void kafka_timeout_leader(struct kafka_batch_task *batch_task, const struct kafka_place *at);

#endif
