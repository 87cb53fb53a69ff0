/*
 * What the tasks of a batch need from the brokers.
 *
 * Threads: the measuring thread.
 */
#ifndef BACKLOG_KAFKA_MEASURE_NEEDS_H
#define BACKLOG_KAFKA_MEASURE_NEEDS_H

#include "kafka/measure/batch.h"

/* Once the topics are known: finds which partitions each task needs, fails the tasks whose topics cannot be
 * read, and sends the requests; those for offsets with the next kafka_offsets_send(). */
void kafka_needs_send(struct kafka_batch *batch);

/* All topics of the group are known now: those are the task's that have a commit. */
void kafka_needs_committed(struct kafka_batch_task *batch_task);

/* Requests an offset, with the next kafka_offsets_send(). Where the partition has no leader, it fails at once. */
void kafka_needs_offset(struct kafka_batch_topic *topic, int32_t partition, bool is_earliest);

#endif
