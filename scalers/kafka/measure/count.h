/*
 * Says what a task lacks, or counts its reading if nothing is missing. It requests nothing, and
 * changes nothing of the batch.
 *
 * Threads: the measuring thread.
 */
#ifndef BACKLOG_SCALERS_KAFKA_MEASURE_COUNT_H
#define BACKLOG_SCALERS_KAFKA_MEASURE_COUNT_H

#include "kafka/measure/batch.h"

enum kafka_missing_kind {
    KAFKA_MISSING_NOTHING,
    KAFKA_MISSING_ANSWER,   /* a request is under way */
    KAFKA_MISSING_LATEST,   /* the commit is beyond the latest offset, which was requested earlier:
                               the latest offset is to be requested again */
    KAFKA_MISSING_EARLIEST, /* the earliest offset is to be requested: the lag begins there, or may
                               begin there (log_start.h) */
    KAFKA_MISSING_FAILED,   /* an offset has failed */
};

struct kafka_missing {
    enum kafka_missing_kind kind;
    const char *what;                       /* if it has failed, its name: "the commit" */
    const struct kafka_known_offset *cause; /* if it has failed, the offset with the error */
};

/* What a task lacks of a partition. The commits of its group have come. */
struct kafka_missing kafka_count_missing(const struct kafka_batch_task *batch_task,
                                         const struct kafka_group_topic *group_topic,
                                         int32_t partition);

/* Whether the task lacks nothing of any partition. */
bool kafka_count_is_complete(const struct kafka_batch_task *batch_task);

/* Whether messages that were not removed wait behind a valid commit. */
bool kafka_count_has_lag(const struct kafka_group_topic *group_topic, int32_t partition);

/* Counts the members with at least one partition that the task counts: other members have nothing
 * to do. `assigned` is from kafka_members_assigned(). NAN: not known. The header has it for tests.
 */
double kafka_count_consumers(const struct kafka_batch_task *batch_task,
                             const rd_kafka_topic_partition_list_t *assigned);

/* The lags of the topics that a task counts, those with the most first, for people; NULL: it counts
 * a single one, which its trigger names. The caller frees it. */
char *kafka_count_topics_text(const struct kafka_batch_task *batch_task, int64_t now_ms);

/* Counts the reading of a task that is complete (kafka_count_is_complete()), after its persistence
 * and the log starts were noted (kafka_task_end_answer()). */
struct reading kafka_count_reading(const struct kafka_batch_task *batch_task, int64_t now_ms);

#endif
