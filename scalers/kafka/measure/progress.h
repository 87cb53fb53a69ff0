/*
 * The steps of a batch from request to reading, 1 to 5 of measure.h.
 *
 * Threads: the measuring thread.
 */
#ifndef BACKLOG_SCALERS_KAFKA_MEASURE_PROGRESS_H
#define BACKLOG_SCALERS_KAFKA_MEASURE_PROGRESS_H

#include "kafka/measure/batch.h"

/* Begins a batch: requests the metadata of topics that are not known. Where that is a list of all
 * topics, and it was too long, the tasks fail. */
void kafka_progress_begin(struct kafka_batch *batch, int64_t now_ms);

/* Once its topics are known each group takes space, and its commits are requested. The tasks of
 * groups that find no space are appended to `refused` (utlist), and the caller's. Here and in all
 * that follow, offsets are only collected: the requests are sent with the next
 * kafka_offsets_send(). */
void kafka_progress_send(struct kafka_batch *batch, struct task **refused, int64_t now_ms);

/* Goes on with metadata that has come, of topics that commits name. */
void kafka_progress_metadata(struct kafka_batch *batch, int64_t now_ms);

/* Goes on where a request for metadata failed, though brokers answer other requests: it is sent
 * again as long as somebody waits. A list of all topics that was too long fails those who wait. */
void kafka_progress_metadata_failed(struct kafka_batch *batch, int64_t now_ms);

/* Goes on with the answer to the group's request, whose event it takes over. */
void kafka_progress_commits(struct kafka_batch_group *group, rd_kafka_event_t *event,
                            int64_t now_ms);

/* Returns the tasks of a group, to be isolated: others need its space. */
void kafka_progress_yield(struct kafka_batch_group *group);

/* Goes on with offsets that have come. */
void kafka_progress_offsets(const struct kafka_offset_answer *answer, int64_t now_ms);

/* Answers the tasks of which nothing is missing any more, and requests what still is of the others:
 * also where members of groups have come, or their requests have gone. */
void kafka_progress_try(struct kafka_batch *batch, int64_t now_ms);

/* Times out the tasks whose deadlines have passed. */
void kafka_progress_time(struct kafka_batch *batch, int64_t now_ms);

#endif
