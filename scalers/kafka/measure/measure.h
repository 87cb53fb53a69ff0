/*
 * Measuring, from a task to its reading:
 *
 *     tasks come, and gather for 10 ms while others are young: those that  measure.c, batch.c
 *     go together are a batch
 *  1  where topics are not known, their metadata is requested; then each  progress.c, space.c,
 *     group takes space for its partitions, or goes back to the server    partitions.c;
 *     (the one that space is reserved for waits); each task's partitions  ../requests/topics.c,
 *     are found, and their last offsets requested                         patterns.c, metadata.c,
 *                                                                         offsets.c
 *  2  each group's commits are requested, and its members where a task    progress.c;
 *     wants consumers (for its policy)                                    ../requests/commits.c,
 *                                                                         members.c
 *  3  commits come. Where they name topics that no task named, 1 comes    progress.c,
 *     first for these                                                     partitions.c
 *  4  offsets come                                                        progress.c
 *  5  what is missing is found out, which is pure, and requested: a last  progress.c,
 *     offset again where it may be older than the commit, or a first      count.c, lag.c
 *     offset. Where nothing is, the reading is counted, and the task      task_end.c
 *     answered
 *
 * A task fails at once where a part of it does, and times out with the name of what it waited for
 * (task_end.c). Where a leader had moved it comes again instead.
 * A batch ends with its last task, and answers to its requests that come later are dropped. The
 * batches are those of one call of kafka_measure(). What outlives it (handles, topics, histories)
 * is the session's (session.h).
 *
 * Threads: the measuring thread.
 */
#ifndef BACKLOG_SCALERS_KAFKA_MEASURE_MEASURE_H
#define BACKLOG_SCALERS_KAFKA_MEASURE_MEASURE_H

#include "measure/scaler.h"

/* The hook of struct scaler; `client` is a struct kafka_session. */
bool kafka_measure(void *client, struct feed *feed, struct error *error);

#endif
