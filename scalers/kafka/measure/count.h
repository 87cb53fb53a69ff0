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
    KAFKA_MISSING_LATEST,   /* to be requested again: the one that is known may be older than the
                               commit, which is beyond it */
    KAFKA_MISSING_EARLIEST, /* to be requested: its messages are counted from there */
    KAFKA_MISSING_FAILED,   /* and will not come */
};

/* What it takes to count a partition. */
struct kafka_missing {
    enum kafka_missing_kind kind;
    const char *what;                 /* of KAFKA_MISSING_FAILED: "the commit" */
    const struct kafka_offset *cause; /* ... with its error */
};

/* The group's commits have come. */
struct kafka_missing kafka_count_missing(const struct kafka_batch_task *batch_task,
                                         const struct kafka_group_topic *group_topic,
                                         int32_t partition);

/* Whether nothing is missing of any partition. */
bool kafka_count_is_complete(const struct kafka_batch_task *batch_task);

/* For kafka_count_reading(), and for tests.
 *
 * Members of the group with a partition that the task counts: the others have nothing to do.
 * `assigned` is that of kafka_members_assigned(). NAN: not known. */
double kafka_count_consumers(const struct kafka_batch_task *batch_task,
                             const rd_kafka_topic_partition_list_t *assigned);

/* Of a task that is complete, and whose persistence is noted (kafka_end_answer()). */
struct reading kafka_count_reading(const struct kafka_batch_task *batch_task, int64_t now_ms);

#endif
