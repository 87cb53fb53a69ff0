/*
 * A batch that a test fills in itself, without a broker: one task of one group, on one topic of
 * three partitions, all of whose offsets are 0.
 *
 * Threads: the test's.
 */
#ifndef BACKLOG_TEST_SCALERS_KAFKA_ONE_TASK_H
#define BACKLOG_TEST_SCALERS_KAFKA_ONE_TASK_H

#include "kafka/measure/batch.h"
#include "measure/task_internal.h"

enum { ONE_TASK_PARTITIONS = 3, ONE_TASK_NO_COMMIT = -1 };

#define ONE_TASK_KNOWN(number) {.state = KAFKA_OFFSET_KNOWN, .value = (number)}

struct one_task {
    struct feed feed;          /* of the task; first */
    enum task_outcome outcome; /* of the task, once it has ended */
    struct error error;
    struct kafka_session session; /* it has what a test puts in */
    struct kafka_batch batch;
    struct kafka_ends ends[ONE_TASK_PARTITIONS];
    struct kafka_known_offset commits[ONE_TASK_PARTITIONS];
    struct kafka_batch_topic topic;
    struct kafka_batch_group group;
    struct kafka_group_topic group_topic;
    struct kafka_group_topic *topics[1];
    struct kafka_query query;
    struct option_range only; /* of partitionLimitation, where it is set */
    struct task task;
    struct kafka_batch_task batch_task;
};

/* For cmocka; the state is the struct. */
int one_task_set_up(void **state);
int one_task_tear_down(void **state);

/* The task counts this partition alone. */
void one_task_limit_to(struct one_task *fixture, int32_t partition);
void one_task_set(struct one_task *fixture, size_t partition, int64_t committed, int64_t latest);

#endif
