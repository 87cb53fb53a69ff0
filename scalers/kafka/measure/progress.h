/*
 * Takes a batch through phases 1 to 5 of measure.h. The stage of a group, and with it of its tasks:
 *
 *     (no group yet)    kafka_progress_begin() requests the metadata that is not known
 *           |
 *           |           kafka_progress_send(), once that has come
 *           v
 *          NEW          the tasks are added to their groups, and each group takes space
 *           |
 *           v
 *       REQUESTED       commits, members and latest offsets are requested
 *           |
 *           |           kafka_progress_commits(): the commits have come
 *           |`-----> AWAITS_METADATA       they name topics whose metadata is not known
 *           |               |    |         kafka_progress_metadata(): it has come
 *           v               |    |
 *       ANSWERED <----------'    |         tasks with `topic` do not wait for it
 *           |                    |
 *           |                    |         in both stages kafka_progress_offsets() and
 *           v                    |         kafka_progress_try(): once nothing is missing
 *       the task is answered <---'
 *
 * Offsets may come from REQUESTED on. A task may fail or time out at any time. Requests for offsets
 * are only collected here: kafka_offsets_send() sends them.
 *
 * Threads: the measuring thread.
 */
#ifndef BACKLOG_SCALERS_KAFKA_MEASURE_PROGRESS_H
#define BACKLOG_SCALERS_KAFKA_MEASURE_PROGRESS_H

#include "kafka/measure/batch.h"

/* Begins a batch: requests the metadata that it needs. If that is a listing, and the last one was
 * too long, the tasks fail (kafka_metadata_reason_suspended()). */
void kafka_progress_begin(struct kafka_batch *batch, int64_t now_ms);

/* Sends the requests of a batch whose metadata is here, once. The tasks of groups that find no
 * space are appended to `refused` (utlist): they are the caller's. */
void kafka_progress_send(struct kafka_batch *batch, struct task **refused, int64_t now_ms);

/* Metadata has come. */
void kafka_progress_metadata(struct kafka_batch *batch, int64_t now_ms);

/* A request for metadata has failed. It is sent again if an open task of the batch waits for it, or
 * the task fails as in kafka_progress_begin(). Tasks with `topic` do not wait for the topics that
 * the commits of their group name. */
void kafka_progress_metadata_failed(struct kafka_batch *batch, int64_t now_ms);

/* The answer to the group's request has come. The event is destroyed. */
void kafka_progress_commits(struct kafka_batch_group *group, rd_kafka_event_t *event,
                            int64_t now_ms);

/* Returns the group's tasks to the server, to be isolated: others need its space. */
void kafka_progress_yield(struct kafka_batch_group *group);

/* Offsets have come. */
void kafka_progress_offsets(const struct kafka_offset_answer *answer, int64_t now_ms);

/* Answers the tasks of which nothing is missing, and requests what the others lack. To be called
 * when members have come, or their requests were given up, or have ended with the handle. */
void kafka_progress_try(struct kafka_batch *batch, int64_t now_ms);

/* Ends the tasks whose deadlines have passed. */
void kafka_progress_time(struct kafka_batch *batch, int64_t now_ms);

#endif
