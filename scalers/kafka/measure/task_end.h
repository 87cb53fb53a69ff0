/*
 * How a task ends: it is answered, fails, times out or is returned, and leaves its batch. For
 * excludePersistentLag it first notes what is known of its partitions.
 *
 * Threads: the measuring thread.
 */
#ifndef BACKLOG_SCALERS_KAFKA_MEASURE_TASK_END_H
#define BACKLOG_SCALERS_KAFKA_MEASURE_TASK_END_H

#include "kafka/measure/batch.h"

/* Answers a task that is complete (kafka_count_is_complete()), and subscribes to its partitions
 * where that is wanted. It fails where there is no memory for what excludePersistentLag notes. */
void kafka_task_end_answer(struct kafka_batch_task *batch_task, int64_t now_ms);

void kafka_task_end_fail(struct kafka_batch_task *batch_task, int64_t now_ms, const char *format,
                         ...) __attribute__((format(printf, 3, 4)));

/* Returns a task to its feed, which gives it out again with all of its time: at once, or, to be
 * isolated, in its turn. Nothing is noted of its partitions, as it is still to be measured. */
void kafka_task_end_return(struct kafka_batch_task *batch_task, bool isolate);

/* Ends a task whose deadline has passed. The task times out, and the error names what it waited
 * for. A task that lacks only the group's members is answered. Topics whose leaders have not
 * answered are outdated, as these may not lead them any more. */
void kafka_task_end_time_out(struct kafka_batch_task *batch_task, int64_t now_ms);

/* Times out a task that is in no batch yet, as an earlier call of its group is still under way. */
void kafka_task_end_time_out_waiting(const struct kafka_session *session, struct task *task);

/* Times the task out, as the library gave up on the group's coordinator, a moment before the
 * deadline. */
void kafka_task_end_time_out_coordinator(struct kafka_batch_task *batch_task, int64_t now_ms);

/* Times the task out, as the library gave up on the broker that this offset of the partition was
 * requested from. */
void kafka_task_end_time_out_leader(struct kafka_batch_task *batch_task,
                                    const struct kafka_place *at,
                                    const struct kafka_known_offset *offset, int64_t now_ms);

#endif
