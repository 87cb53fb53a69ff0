/*
 * The steps of a batch from request to reading, 1 to 5 of measure.h.
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
