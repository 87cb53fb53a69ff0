/*
 * The commits of consumer groups.
 *
 * librdkafka aborts the process when a call times out while its group's coordinator is down and the
 * coordinator then comes back (confluentinc/librdkafka#3663, #4605, #5040). So no call of ours ever
 * times out: it gets the longest time-out there is, our deadline is outside of it, and a group that
 * has not answered yet is not asked again.
 *
 * And librdkafka goes on asking a broker that says that it is not the group's coordinator any more: it
 * forgets only whom it has not asked for a while. So the client needs another handle (client_renew()).
 */
#ifndef BACKLOG_KAFKA_GROUPS_H
#define BACKLOG_KAFKA_GROUPS_H

#include "batch.h"

/* Asks for the commits of all groups of the batch; a group that must wait fails at once. */
void groups_ask(struct batch *batch);

/* Takes in one answer of a group, of this batch or of one before. Takes the event over. */
void groups_hear(struct batch *batch, rd_kafka_event_t *event);

/* Asks for topics that were found only in the answers of groups, and takes these in. Fails where no broker
 * tells the topics. */
bool groups_take_told(struct batch *batch, struct error *error);

/* The batch is over: answers from now on are for nobody. */
void groups_abandon(struct kafka_client *client);

/* How long the oldest call has been waiting for its answer. */
int64_t groups_oldest_ms(const struct kafka_client *client);

void groups_forget(struct kafka_client *client);

#endif
