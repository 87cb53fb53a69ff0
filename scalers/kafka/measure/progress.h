/*
 * A batch from request to reading, in the order of time:
 *
 *     1  its topics are known (metadata, where some were not): each task's partitions are found,
 *        and their last offsets requested
 *     2  each group's commits are requested, and its members where a task wants consumers
 *     3  a group's commits have come. Where they name topics that nobody else did: after those
 *        are known
 *     4  offsets come; one may be needed again (older than its commit), or the first one of a
 *        partition, too
 *     5  nothing that a task needs is missing: it is answered
 *
 * A task fails at once where one of its parts does, and times out with the name of what it was
 * waiting for.
 *
 * Threads: the measuring thread.
 */
#ifndef BACKLOG_SCALERS_KAFKA_MEASURE_PROGRESS_H
#define BACKLOG_SCALERS_KAFKA_MEASURE_PROGRESS_H

#include "kafka/measure/batch.h"

/* Requests for offsets are sent with the next kafka_offsets_send(), here and in all that follow. */
void kafka_progress_begin(struct kafka_batch *batch);

/* Metadata has come. */
void kafka_progress_metadata(struct kafka_batch *batch);

/* It failed, though something else was answered: as long as somebody waits, it is requested again.
 */
void kafka_progress_metadata_failed(struct kafka_batch *batch);

/* The answer to the group's request; takes the event over. */
void kafka_progress_commits(struct kafka_batch_group *group, rd_kafka_event_t *event);

void kafka_progress_offsets(const struct kafka_offset_answer *answer);
void kafka_progress_members(struct kafka_batch *batch);

/* Times out the tasks whose deadlines have passed. */
void kafka_progress_time(struct kafka_batch *batch, int64_t now_ms);

#endif
