/*
 * What is known of a task's partitions: whether anything is missing, and, where nothing is, the
 * reading that it makes. Nothing is requested here, and nothing of the batch changes.
 *
 * Threads: the measuring thread.
 */
#ifndef BACKLOG_SCALERS_KAFKA_MEASURE_COUNT_H
#define BACKLOG_SCALERS_KAFKA_MEASURE_COUNT_H

#include "kafka/measure/batch.h"

enum kafka_missing_kind {
    KAFKA_MISSING_NOTHING,
    KAFKA_MISSING_ANSWER,   /* of a request that is under way */
    KAFKA_MISSING_LATEST,   /* the commit is beyond the one that is known, which may be older: it is
                               to be requested again */
    KAFKA_MISSING_EARLIEST, /* messages are counted from there: it is to be requested */
    KAFKA_MISSING_FAILED,   /* an offset that failed, and will not come */
};

/* What it takes to count a partition. */
struct kafka_missing {
    enum kafka_missing_kind kind;
    const char *what;                       /* of KAFKA_MISSING_FAILED: "the commit" */
    const struct kafka_known_offset *cause; /* of KAFKA_MISSING_FAILED: the offset with the error */
};

/* What is missing of a partition, once the group's commits have come. */
struct kafka_missing kafka_count_missing(const struct kafka_batch_task *batch_task,
                                         const struct kafka_group_topic *group_topic,
                                         int32_t partition);

/* Whether nothing is missing of any partition. */
bool kafka_count_is_complete(const struct kafka_batch_task *batch_task);

/* Counts the members of the group that have a partition which the task counts: the others have
 * nothing to do. `assigned` is that of kafka_members_assigned(). NAN: it is not known. The header
 * has it for tests. */
double kafka_count_consumers(const struct kafka_batch_task *batch_task,
                             const rd_kafka_topic_partition_list_t *assigned);

/* Makes the reading of a task that is complete, and whose persistence is noted
 * (kafka_task_end_answer()). */
struct reading kafka_count_reading(const struct kafka_batch_task *batch_task, int64_t now_ms);

#endif
