/*
 * What the brokers answered, taken into a batch.
 *
 * Threads: the measuring thread.
 */
#ifndef BACKLOG_KAFKA_MEASURE_ANSWERS_H
#define BACKLOG_KAFKA_MEASURE_ANSWERS_H

#include "kafka/measure/batch.h"

/* The answer to the group's request; takes the event over. True where the commits are known now. Otherwise
 * the tasks have failed, or the group waits for the metadata of topics that only its commits name. */
bool kafka_answers_take_commits(struct kafka_batch_group *group, rd_kafka_event_t *event);

/* The same for a group that waited, once the metadata is there. */
void kafka_answers_take_waiting(struct kafka_batch_group *group);

void kafka_answers_take_offsets(const struct kafka_offset_answer *answer);

#endif
