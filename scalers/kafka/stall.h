/*
 * How long the commits of a group on a topic have not moved, for excludePersistentLag.
 *
 * Time counts only while there is lag (a partition that was idle and gets a message is not stuck) and only
 * while it is seen: an unanswered question, or another client, begins anew, and what is not known to be
 * stuck is counted.
 *
 * Threads: the poller's. Owner: the client.
 */
#ifndef BACKLOG_KAFKA_STALL_H
#define BACKLOG_KAFKA_STALL_H

#include "client.h"

struct stall;

/* The history of this group on this topic, which has so many partitions. */
struct stall *stall_use(struct kafka_client *client, const char *group, const char *topic,
                        int32_t partitions);

/* Notes what was found now, and tells for how long it has been so; any number of times a measurement. */
int64_t stall_look(struct stall *stall, int32_t partition, int64_t committed, int64_t latest,
                   int64_t now_ms);

/* A measurement that began then and was to look at this partition is over: if it has not, it begins anew. */
void stall_settle(struct stall *stall, int32_t partition, int64_t began_ms);

/* Those that have not been used for long. */
void stalls_forget_old(struct kafka_client *client, int64_t now_ms);
void stalls_forget(struct kafka_client *client);

#endif
