/*
 * Finds the partitions that a task counts, and requests their offsets.
 *
 * Threads: the measuring thread.
 */
#ifndef BACKLOG_SCALERS_KAFKA_MEASURE_PARTITIONS_H
#define BACKLOG_SCALERS_KAFKA_MEASURE_PARTITIONS_H

#include "kafka/measure/batch.h"

/* Counts the partitions of the topics that the group's tasks name: at least as many as will be
 * requested. It takes a step (kafka_batch_next_step()). */
size_t kafka_partitions_count(struct kafka_batch_group *group);

/* Why a trigger cannot have so many partitions. The caller frees the text. NULL: it can. */
char *kafka_partitions_reason_too_many(const struct kafka_client *client, size_t partitions);

/* Finds the partitions of a task with `topic`, once it has its group. Collects requests for their
 * latest offsets, and marks their commits as KAFKA_OFFSET_REQUESTED. False: the task has failed, or
 * was returned, as its topics have no room yet. */
bool kafka_partitions_use_selection(struct kafka_batch_task *batch_task, int64_t now_ms);

/* Finds the partitions of a task without `topic`, once its group is KAFKA_GROUP_ANSWERED: those of
 * all topics with a commit, or with an error in its place. Collects requests for their latest
 * offsets. The task may fail, or be returned. */
void kafka_partitions_use_committed(struct kafka_batch_task *batch_task, int64_t now_ms);

/* Collects a request for the latest or earliest offset. It fails at once if the partition has no
 * leader. A latest offset that is known may be requested again: its value counts for other tasks
 * until the answer, and where that is an error or there is no leader to answer. */
void kafka_partitions_request_offset(struct kafka_batch_topic *topic, int32_t partition,
                                     bool is_earliest);

#endif
