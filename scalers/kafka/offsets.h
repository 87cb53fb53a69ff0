/*
 * The first and last offsets of partitions, asked of the brokers that lead them.
 *
 * librdkafka answers a call only once all brokers have answered, and before 2.3 one broker's trouble
 * discards the answers of all: so each broker has a thread, and a broker that hangs holds up only what it
 * leads. Within a call the library's work grows with the square of the partitions: so a call has a limit.
 *
 * Threads: the functions are for the poller's. Owner: the batch.
 */
#ifndef BACKLOG_KAFKA_OFFSETS_H
#define BACKLOG_KAFKA_OFFSETS_H

#include "batch.h"

struct offsets *offsets_new(struct batch *batch);

/* Waits for the threads, which end at the deadline. */
void offsets_free(struct offsets *offsets);

/* Asks, with the next offsets_send(). Where the partition has no leader, it fails at once. */
void offsets_ask_latest(struct offsets *offsets, struct topic *topic, int32_t partition);
void offsets_ask_earliest(struct offsets *offsets, struct topic *topic, int32_t partition);
void offsets_send(struct offsets *offsets);

/* Takes in what has come. Returns whether something has. */
bool offsets_hear(struct offsets *offsets);

#endif
