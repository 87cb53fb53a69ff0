/*
 * Push notifications: reads the partitions of idle queries, and notifies of the first message.
 *
 *     kafka_subscriptions_add()      reading starts at the latest offsets that were measured, so
 *                                    that no message in between is missed
 *     a message or an error comes    all subscriptions to its partition are notified, and end.
 *                                    A partition without subscriptions is not read any more
 *     then                           the query is measured, and subscribes again if it is idle
 *
 * Fetchers read: each is a handle of its own, for at most 250 partitions. A broker answers the
 * requests of a connection in order, and a request for messages waits for some, so on the main
 * handle it would delay measurements. A fetcher is in no group; brokers see it as
 * "backlog-subscribed". A fetcher has a thread and a connection for each broker, and memory for all
 * partitions of its topics, read or not; and each subscription takes some for its partitions. Where
 * there is none (memory.h) nothing is subscribed to: the query is polled.
 *
 * Threads: the measuring thread. Owner: the session.
 */
#ifndef BACKLOG_SCALERS_KAFKA_REQUESTS_SUBSCRIPTIONS_H
#define BACKLOG_SCALERS_KAFKA_REQUESTS_SUBSCRIPTIONS_H

#include "kafka/requests/metadata.h"
#include "measure/task.h"

/* A partition, and the offset from which on it is read. */
struct kafka_position {
    const char *topic;
    int32_t partition;
    int64_t offset;
};

struct kafka_subscriptions;

struct kafka_subscriptions *kafka_subscriptions_new(struct kafka_client *client,
                                                    struct kafka_metadata *metadata);

/* Ends all subscriptions with notifier_lose(). */
void kafka_subscriptions_free(struct kafka_subscriptions *subscriptions);

/* Subscribes the notifier to these partitions, in place of its former ones. False: it is subscribed
 * to nothing. */
bool kafka_subscriptions_add(struct kafka_subscriptions *subscriptions,
                             const struct notifier *notifier,
                             const struct kafka_position *positions, size_t count, int64_t now_ms,
                             struct error *error);
void kafka_subscriptions_remove(struct kafka_subscriptions *subscriptions, uint64_t id);
bool kafka_subscriptions_is_empty(const struct kafka_subscriptions *subscriptions);

/* Is readable when messages have come. -1: there was no subscription yet. */
int kafka_subscriptions_descriptor(const struct kafka_subscriptions *subscriptions);
void kafka_subscriptions_receive(struct kafka_subscriptions *subscriptions, int64_t now_ms);

/* Ends a fetcher when none of its topics was read for KAFKA_FORGET_MS, or when those that were not
 * take much memory: then subscriptions to its other topics end with notifier_lose(). */
void kafka_subscriptions_forget_old(struct kafka_subscriptions *subscriptions, int64_t now_ms);

/* Ends all fetchers, as they have too many topics, and all subscriptions with notifier_lose(). */
void kafka_subscriptions_drop(struct kafka_subscriptions *subscriptions, int64_t now_ms);

#endif
