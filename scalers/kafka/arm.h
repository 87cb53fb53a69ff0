/*
 * Hearing of messages. The partitions of armed queries are read by handles of their own, which are in no
 * group, from the ends that were measured: so nothing that came since is missed. The first message of a
 * partition wakes all that are armed there, and it is read no more.
 *
 * Handles of their own, since a broker answers a connection's requests one after the other, and one for
 * messages waits for them.
 *
 * Threads: the client's. Owner: the client.
 */
#ifndef BACKLOG_KAFKA_ARM_H
#define BACKLOG_KAFKA_ARM_H

#include "batch.h"

/* The ask is about to be answered; its probe wants to be armed. */
void arm_ask(struct batch *batch, const struct ask *ask);

void kafka_disarm(void *client, uint64_t waker_id);

/* Readable when messages have come; -1 while nothing was ever armed. */
int kafka_descriptor(const void *client);
void kafka_hear(void *client);

/* Wakes all that is armed, and frees the handle. */
void arms_end(struct kafka_client *client);

#endif
