/*
 * Push notifications. The partitions of subscribed queries are read by fetchers from the ends that
 * were measured: so nothing that came since is missed. The first message of a partition notifies
 * all that are subscribed to it, and it is read no more.
 *
 * A fetcher is a handle of its own, since a broker answers the requests of a connection one after
 * the other, and a request for messages waits for them. It is in no group; brokers see it as
 * "backlog-subscribed". How many there are is limited by the memory that they are counted for
 * (memory.h), and what each queues by a setting.
 *
 * Threads: the measuring thread. Owner: the session.
 */
#ifndef BACKLOG_SCALERS_KAFKA_REQUESTS_SUBSCRIPTIONS_H
#define BACKLOG_SCALERS_KAFKA_REQUESTS_SUBSCRIPTIONS_H

#include "kafka/requests/metadata.h"
#include "measure/task.h"

/* A partition, and the offset from which on a message is news. */
struct kafka_position {
    const char *topic;
    int32_t partition;
    int64_t offset;
};

struct kafka_subscriptions;

struct kafka_subscriptions *kafka_subscriptions_new(struct kafka_client *client,
                                                    struct kafka_metadata *metadata);

/* All that are subscribed lose that: notifier_lose(). */
void kafka_subscriptions_free(struct kafka_subscriptions *subscriptions);

/* Subscribes the notifier to these partitions, in the place of what it was subscribed to. False: it
 * is subscribed to nothing. */
bool kafka_subscriptions_add(struct kafka_subscriptions *subscriptions,
                             const struct notifier *notifier,
                             const struct kafka_position *positions, size_t count, int64_t now_ms,
                             struct error *error);
void kafka_subscriptions_remove(struct kafka_subscriptions *subscriptions, uint64_t id);
bool kafka_subscriptions_is_empty(const struct kafka_subscriptions *subscriptions);

/* The descriptor is readable when messages have come. -1: there was no subscription yet. */
int kafka_subscriptions_descriptor(const struct kafka_subscriptions *subscriptions);
void kafka_subscriptions_receive(struct kafka_subscriptions *subscriptions, int64_t now_ms);

/*
 * How many partitions can be subscribed to, where the process may map so many bytes more than it
 * did before the first was: each 250 have a fetcher, with a thread and a connection for each
 * broker. The header has it for tests.
 */
size_t kafka_subscriptions_places(double mappable_bytes, size_t brokers);

/* Ends fetchers that have read nothing for KAFKA_FORGET_MS, but for one. */
void kafka_subscriptions_forget_old(struct kafka_subscriptions *subscriptions, int64_t now_ms);

/* Ends the fetchers, which hold on to too many topics. All that are subscribed lose that. */
void kafka_subscriptions_drop(struct kafka_subscriptions *subscriptions, int64_t now_ms);

#endif
