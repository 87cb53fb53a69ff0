/*
 * How a task ends: what is known of its partitions is noted, for excludePersistentLag, and it
 * leaves its batch.
 *
 * Threads: the measuring thread.
 */
#ifndef BACKLOG_SCALERS_KAFKA_MEASURE_TASK_END_H
#define BACKLOG_SCALERS_KAFKA_MEASURE_TASK_END_H

#include "kafka/measure/batch.h"

/* Counts a task of whose partitions nothing is missing (kafka_count_is_complete()), subscribes
 * where that is wanted, and answers it. */
void kafka_task_end_answer(struct kafka_batch_task *batch_task, int64_t now_ms);

void kafka_task_end_fail(struct kafka_batch_task *batch_task, int64_t now_ms, const char *format,
                         ...) __attribute__((format(printf, 3, 4)));

/* Returns a task to its feed, which gives it out again at once, with all of its time; or when it is
 * its turn among those that are isolated. Nothing is noted, as it is measured all the same. */
void kafka_task_end_return(struct kafka_batch_task *batch_task, bool isolate);

/* Ends a task whose deadline has passed. It times out with the name of what it waited for. But one
 * that lacks only the group's members is answered. Topics whose leaders have not answered are
 * outdated: they may have others by now. */
void kafka_task_end_time_out(struct kafka_batch_task *batch_task, int64_t now_ms);

/* Times out a task that is in no batch yet: its group's earlier call is still under way. */
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
