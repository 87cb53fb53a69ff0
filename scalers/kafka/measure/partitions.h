/*
 * Which partitions a task counts, and the requests for their offsets.
 *
 * Threads: the measuring thread.
 */
#ifndef BACKLOG_SCALERS_KAFKA_MEASURE_PARTITIONS_H
#define BACKLOG_SCALERS_KAFKA_MEASURE_PARTITIONS_H

#include "kafka/measure/batch.h"

/* How many partitions the topics have that the tasks of a group name, as far as they are known:
 * some of them may not be requested. */
size_t kafka_partitions_count(const struct kafka_batch_group *group);

/* Why no trigger can have topics of so many partitions; the caller frees it. NULL: it can. */
char *kafka_partitions_reason_too_many(const struct kafka_client *client, size_t partitions);

/* Finds the partitions of a task that names topics, or a pattern. The topics are known, and the
 * task has its group. What is not requested yet is: last offsets with the next
 * kafka_offsets_send(), commits with the group's request. False: the task has failed, or was
 * returned, as its topics have no room yet. */
bool kafka_partitions_use_selection(struct kafka_batch_task *batch_task, int64_t now_ms);

/* The same for a task without a topic, which counts those that its group has committed. The commits
 * have come, and the metadata of all topics that they name. A topic of which a commit could not be
 * read counts, too. The task may fail, or be returned. */
void kafka_partitions_use_committed(struct kafka_batch_task *batch_task, int64_t now_ms);

/* Requests an offset, the last or the first, with the next kafka_offsets_send(). Where the
 * partition has no leader, it fails at once. */
void kafka_partitions_request_offset(struct kafka_batch_topic *topic, int32_t partition,
                                     bool is_earliest);

#endif
