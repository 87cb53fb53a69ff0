/*
 * From offsets to a task's reading.
 *
 * Threads: the measuring thread.
 */
#ifndef BACKLOG_KAFKA_MEASURE_COUNT_H
#define BACKLOG_KAFKA_MEASURE_COUNT_H

#include "kafka/measure/batch.h"

/* Ends the task if enough is known by now; requests offsets that turn out to be needed. */
void kafka_count_try(struct kafka_batch_task *batch_task);

/* Its deadline has passed: ends it with what it was waiting for. */
void kafka_count_time_out(struct kafka_batch_task *batch_task);

#endif
