#include "kafka/requests/subscriptions.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/system/process.h"
#include "base/text.h"
#include "kafka/client/settings.h"
#include "kafka/memory.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utlist.h>

enum {
    /* Each request of a fetcher names all of its partitions. For each message a broker looks at all
     * of these, and it keeps what it looked at for a thousand requests. */
    FETCHER_PARTITIONS = 250,
    MAX_FETCHERS = 20, /* of a client; fewer where memory is short */
    MESSAGES_AT_ONCE = 64,
    DENIED_MS = 50 * 1000, /* less than the minute after which subscribing is tried again */
};

/* So much may wait in a fetcher's queue while the loop is busy. Then its brokers are sent no more
 * requests; answers under way come on top, one batch of messages per broker. */
enum { QUEUED_KIB = 1024 };

struct message_fetcher {
    rd_kafka_t *rk;
    rd_kafka_queue_t *messages;
    struct read_topic *topics;
    size_t partition_count;
    int64_t idle_since_ms; /* when it was first seen without partitions; 0: it has some */
};

/* A topic of a fetcher. It stays without partitions, so that its leaders stay known. */
struct read_topic {
    struct message_fetcher *fetcher;
    rd_kafka_topic_t *rkt;
    int64_t denied_at_ms; /* when we had no right to read it; 0: never */
    UT_hash_handle hh;
    char name[];
};

/* A partition that is read: it has subscriptions. */
struct read_partition {
    struct read_topic *topic;
    int32_t number;
    int64_t offset;     /* where reading has started */
    struct link *links; /* utlist: one per subscription */
    UT_hash_handle hh;
    char key[]; /* see key_new() */
};

/* Joins a subscription and a partition. */
struct link {
    struct subscription *subscription;
    struct read_partition *partition;
    struct link *prev, *next; /* the partition's links */
};

/* Of one query, to all of its partitions. */
struct subscription {
    struct notifier notifier;
    struct link *links;
    size_t count;
    UT_hash_handle hh; /* by the notifier's id */
};

struct kafka_subscriptions {
    struct kafka_client *client;
    struct kafka_metadata *metadata;
    int event_fd; /* -1: none yet */
    struct message_fetcher fetchers[MAX_FETCHERS];
    size_t count;          /* of fetchers */
    double mappable_bytes; /* that the process could map before the first fetcher */
    bool is_provisional;   /* it was measured while ending handles still had their memory */
    struct read_partition *partitions;
    struct subscription *all;
};

struct kafka_subscriptions *kafka_subscriptions_new(struct kafka_client *client,
                                                    struct kafka_metadata *metadata)
{
    struct kafka_subscriptions *subscriptions = memory_new(sizeof(*subscriptions));
    subscriptions->client = client;
    subscriptions->metadata = metadata;
    subscriptions->event_fd = -1;
    return subscriptions;
}

static rd_kafka_conf_t *fetcher_settings(const struct kafka_client *client, struct error *error)
{
    _cleanup_(memory_free) char *queued_kib = text_format("%d", QUEUED_KIB);
    const char *const settings[][2] = {
        {"client.id", "backlog-subscribed"},
        /* It joins no group, and commits nothing. */
        {"group.id", ""},
        {"auto.commit.enable", "false"},
        /* While nothing comes, a broker answers a request after this time. A new partition is in
           the next request. */
        {"fetch.wait.max.ms", "500"},
        {"fetch.error.backoff.ms", "100"},
        /* Nobody reads the messages: as few bytes as the broker gives, which is one batch. */
        {"fetch.message.max.bytes", "1"},
        /* For the queue of all partitions: if it is that full, nothing is read for a second. */
        {"queued.min.messages", "1000"},
        {"queued.max.messages.kbytes", queued_kib},
        /* A topic that was created again does not have the offset: the error notifies, too. */
        {"auto.offset.reset", "error"},
    };
    rd_kafka_conf_t *conf = rd_kafka_conf_dup(client->settings);
    for (size_t i = 0; i < ARRAY_LENGTH(settings); i++)
        if (!kafka_settings_set(conf, settings[i][0], settings[i][1], error)) {
            rd_kafka_conf_destroy(conf);
            return NULL;
        }
    return conf;
}

static double handle_bytes(size_t brokers)
{
    return kafka_memory_of_handle(brokers) + (QUEUED_KIB << 10);
}

/* Finds or makes a fetcher that can take another partition. NULL with an error. */
static struct message_fetcher *fetcher_for(struct kafka_subscriptions *subscriptions,
                                           struct error *error)
{
    for (size_t i = 0; i < subscriptions->count; i++)
        if (subscriptions->fetchers[i].partition_count < FETCHER_PARTITIONS)
            return &subscriptions->fetchers[i];
    assert(subscriptions->count < MAX_FETCHERS); /* check_places() */
    if (subscriptions->event_fd < 0)
        subscriptions->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (subscriptions->event_fd < 0) {
        error_unavailable(error, "cannot subscribe to Kafka: %s", strerror(errno));
        return NULL;
    }
    struct kafka_client *client = subscriptions->client;
    rd_kafka_conf_t *conf = fetcher_settings(client, error);
    rd_kafka_t *rk = conf == NULL ? NULL
                                  : kafka_handles_new_handle(&client->handles, conf,
                                                             handle_bytes(client->brokers), error);
    if (rk == NULL)
        return NULL;
    struct message_fetcher *fetcher = &subscriptions->fetchers[subscriptions->count++];
    *fetcher = (struct message_fetcher){.rk = rk, .messages = rd_kafka_queue_new(rk)};
    kafka_handles_signal(fetcher->messages, subscriptions->event_fd);
    return fetcher;
}

static struct read_topic *topic_for(struct message_fetcher *fetcher, const char *name)
{
    struct read_topic *topic;
    HASH_FIND_STR(fetcher->topics, name, topic);
    if (topic != NULL)
        return topic;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(fetcher->rk, name, NULL);
    if (handle == NULL)
        return NULL;
    topic = memory_new(sizeof(*topic) + strlen(name) + 1);
    memcpy(topic->name, name, strlen(name) + 1);
    topic->fetcher = fetcher;
    topic->rkt = handle;
    HASH_ADD_STR(fetcher->topics, name, topic);
    return topic;
}

/* A topic's name has no slash. The caller frees the key. */
static char *key_new(const char *topic, int32_t number)
{
    return text_format("%s/%d", topic, number);
}

static struct read_partition *partition_find(const struct kafka_subscriptions *subscriptions,
                                             const char *topic, int32_t number)
{
    _cleanup_(memory_free) char *key = key_new(topic, number);
    struct read_partition *partition;
    HASH_FIND_STR(subscriptions->partitions, key, partition);
    return partition;
}

static bool start_reading(const struct read_topic *topic, const struct kafka_position *position,
                          struct error *error)
{
    return rd_kafka_consume_start_queue(topic->rkt, position->partition, position->offset,
                                        topic->fetcher->messages) == 0 ||
           error_unavailable(error, "cannot subscribe to Kafka topic %s: %s", position->topic,
                             rd_kafka_err2str(rd_kafka_last_error()));
}

static void subscription_unlink(struct kafka_subscriptions *subscriptions, struct link *link)
{
    struct read_partition *partition = link->partition;
    DL_DELETE(partition->links, link);
    if (partition->links != NULL)
        return;
    rd_kafka_consume_stop(partition->topic->rkt, partition->number);
    partition->topic->fetcher->partition_count--;
    HASH_DEL(subscriptions->partitions, partition);
    free(partition);
}

static void subscription_end(struct kafka_subscriptions *subscriptions,
                             struct subscription *subscription)
{
    for (size_t i = 0; i < subscription->count; i++)
        subscription_unlink(subscriptions, &subscription->links[i]);
    HASH_DEL(subscriptions->all, subscription);
    free(subscription->links);
    free(subscription);
}

/* notifier_notify() or notifier_lose(). */
typedef void notify_function(const struct notifier *notifier);

/* Notifies first, as to stop reading waits for a thread of the library. */
static void subscription_end_with(struct kafka_subscriptions *subscriptions,
                                  struct subscription *subscription, notify_function *notify)
{
    notify(&subscription->notifier);
    subscription_end(subscriptions, subscription);
}

/* Ends all subscriptions to the partition, which is freed with the last one. */
static void partition_end_with(struct kafka_subscriptions *subscriptions,
                               struct read_partition *partition, notify_function *notify)
{
    for (bool has_more = true; has_more;) {
        has_more = partition->links->next != NULL;
        subscription_end_with(subscriptions, partition->links->subscription, notify);
    }
}

/* For another subscription to a partition that is read already. If that needs an earlier offset,
 * reading starts again there: the former subscriptions may be notified of a message that they know.
 * False: reading has failed, the partition is freed, and its former subscriptions are lost. */
static bool partition_read_from(struct kafka_subscriptions *subscriptions,
                                struct read_partition *partition,
                                const struct kafka_position *position, struct error *error)
{
    if (position->offset >= partition->offset)
        return true;
    rd_kafka_consume_stop(partition->topic->rkt, partition->number);
    partition->offset = position->offset;
    if (start_reading(partition->topic, position, error))
        return true;
    partition_end_with(subscriptions, partition, notifier_lose);
    return false;
}

static struct read_partition *partition_new(struct kafka_subscriptions *subscriptions,
                                            const struct kafka_position *position, int64_t now_ms,
                                            struct error *error)
{
    const char *name = position->topic;
    struct message_fetcher *fetcher = fetcher_for(subscriptions, error);
    if (fetcher == NULL)
        return NULL;
    struct read_topic *topic = topic_for(fetcher, name);
    if (topic != NULL && topic->denied_at_ms > 0 && now_ms < topic->denied_at_ms + DENIED_MS) {
        error_set(error, ERROR_DENIED, "subscribing needs READ of Kafka topic %s", name);
        return NULL;
    }
    if (topic == NULL) {
        error_unavailable(error, "cannot subscribe to Kafka topic %s: %s", name,
                          rd_kafka_err2str(rd_kafka_last_error()));
        return NULL;
    }
    if (!start_reading(topic, position, error))
        return NULL;
    _cleanup_(memory_free) char *key = key_new(name, position->partition);
    struct read_partition *partition = memory_new(sizeof(*partition) + strlen(key) + 1);
    memcpy(partition->key, key, strlen(key) + 1);
    partition->topic = topic;
    partition->number = position->partition;
    partition->offset = position->offset;
    HASH_ADD_STR(subscriptions->partitions, key, partition);
    fetcher->partition_count++;
    fetcher->idle_since_ms = 0;
    return partition;
}

static const struct link *last_link(const struct read_partition *partition)
{
    return partition->links->prev; /* utlist */
}

/* Links the subscription to the partition, at most once: partition_end_with() relies on that. If it
 * is linked already, its link is the partition's last, as no other subscription is being made. */
static bool subscription_link(struct kafka_subscriptions *subscriptions,
                              struct subscription *subscription,
                              const struct kafka_position *position, int64_t now_ms,
                              struct error *error)
{
    struct read_partition *partition =
        partition_find(subscriptions, position->topic, position->partition);
    if (partition == NULL)
        partition = partition_new(subscriptions, position, now_ms, error);
    else if (last_link(partition)->subscription == subscription)
        return true;
    else if (!partition_read_from(subscriptions, partition, position, error))
        partition = NULL;
    if (partition == NULL)
        return false;
    struct link *link = &subscription->links[subscription->count++];
    *link = (struct link){.subscription = subscription, .partition = partition};
    DL_APPEND(partition->links, link);
    return true;
}

size_t kafka_subscriptions_places(double mappable_bytes, size_t brokers)
{
    double fetchers = (mappable_bytes - KAFKA_MEMORY_FREE) / handle_bytes(brokers) - 1;
    if (isnan(mappable_bytes))
        return 0;
    return (size_t)fmax(0, fmin(fetchers, MAX_FETCHERS)) * FETCHER_PARTITIONS;
}

/* Measured while there is no fetcher. If handles were ending then, it is measured again, and the
 * memory of the fetchers is added. */
static void measure_memory(struct kafka_subscriptions *subscriptions, size_t brokers)
{
    if (subscriptions->count > 0 && !subscriptions->is_provisional)
        return;
    subscriptions->is_provisional = kafka_handles_are_ending(&subscriptions->client->handles);
    subscriptions->mappable_bytes =
        process_mappable_bytes() + (double)subscriptions->count * handle_bytes(brokers);
}

/* Whether there are places for all partitions. Checked before any is read, as stopping takes long,
 * and as the library aborts without memory. */
static bool check_places(const struct kafka_subscriptions *subscriptions, size_t brokers,
                         const struct kafka_position *positions, size_t count, struct error *error)
{
    size_t places = kafka_subscriptions_places(subscriptions->mappable_bytes, brokers);
    size_t needed = HASH_COUNT(subscriptions->partitions);
    if (needed + count <= places) /* even if none is read already */
        return true;
    for (size_t i = 0; i < count; i++)
        needed += partition_find(subscriptions, positions[i].topic, positions[i].partition) == NULL;
    return needed <= places ||
           error_set(error, ERROR_LIMIT, "at most %zu Kafka partitions are subscribed to%s", places,
                     places < (size_t)MAX_FETCHERS * FETCHER_PARTITIONS
                         ? ", as each 250 take memory for each broker"
                         : "");
}

bool kafka_subscriptions_add(struct kafka_subscriptions *subscriptions,
                             const struct notifier *notifier,
                             const struct kafka_position *positions, size_t count, int64_t now_ms,
                             struct error *error)
{
    size_t brokers = subscriptions->client->brokers;
    kafka_subscriptions_remove(subscriptions, notifier->id);
    measure_memory(subscriptions, brokers);
    if (!check_places(subscriptions, brokers, positions, count, error))
        return false;
    struct subscription *subscription = memory_new(sizeof(*subscription));
    subscription->notifier = *notifier;
    subscription->links = memory_array(count + 1, sizeof(*subscription->links));
    HASH_ADD(hh, subscriptions->all, notifier.id, sizeof(subscription->notifier.id), subscription);
    for (size_t i = 0; i < count; i++)
        if (!subscription_link(subscriptions, subscription, &positions[i], now_ms, error)) {
            subscription_end(subscriptions, subscription);
            return false;
        }
    return true;
}

void kafka_subscriptions_remove(struct kafka_subscriptions *subscriptions, uint64_t id)
{
    struct subscription *subscription;
    HASH_FIND(hh, subscriptions->all, &id, sizeof(id), subscription);
    if (subscription != NULL)
        subscription_end(subscriptions, subscription);
}

bool kafka_subscriptions_is_empty(const struct kafka_subscriptions *subscriptions)
{
    return subscriptions->all == NULL;
}

int kafka_subscriptions_descriptor(const struct kafka_subscriptions *subscriptions)
{
    return subscriptions->event_fd;
}

static void message_notify(struct kafka_subscriptions *subscriptions,
                           const rd_kafka_message_t *message, int64_t now_ms)
{
    struct read_partition *partition =
        message->rkt == NULL
            ? NULL
            : partition_find(subscriptions, rd_kafka_topic_name(message->rkt), message->partition);
    if (partition == NULL)
        return;
    if (message->err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
        partition->topic->denied_at_ms = now_ms;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        kafka_topics_confirm(kafka_metadata_topics(subscriptions->metadata), partition->topic->name,
                             now_ms);
    /* Not notifier_lose() for an error: that would subscribe again at once, again and again. After
     * notifications without a message the measurements are further and further apart. */
    partition_end_with(subscriptions, partition, notifier_notify);
}

static void fetcher_receive(struct kafka_subscriptions *subscriptions,
                            const struct message_fetcher *fetcher, int64_t now_ms)
{
    rd_kafka_message_t *messages[MESSAGES_AT_ONCE];
    for (ssize_t count = MESSAGES_AT_ONCE; count == MESSAGES_AT_ONCE;) {
        count = rd_kafka_consume_batch_queue(fetcher->messages, 0, messages, MESSAGES_AT_ONCE);
        for (ssize_t i = 0; i < count; i++) {
            message_notify(subscriptions, messages[i], now_ms);
            rd_kafka_message_destroy(messages[i]);
        }
    }
}

void kafka_subscriptions_receive(struct kafka_subscriptions *subscriptions, int64_t now_ms)
{
    eventfd_t events;
    if (subscriptions->event_fd < 0 || eventfd_read(subscriptions->event_fd, &events) != 0)
        return;
    for (size_t i = 0; i < subscriptions->count; i++)
        fetcher_receive(subscriptions, &subscriptions->fetchers[i], now_ms);
}

static void fetcher_end(struct kafka_client *client, struct message_fetcher *fetcher,
                        int64_t now_ms)
{
    struct read_topic *topic;
    struct read_topic *next;
    HASH_ITER(hh, fetcher->topics, topic, next) {
        HASH_DEL(fetcher->topics, topic);
        rd_kafka_topic_destroy(topic->rkt);
        free(topic);
    }
    kafka_handles_end(&client->handles, TAKE(fetcher->rk), TAKE(fetcher->messages), now_ms);
}

/* Only the last fetchers end, as topics point to the others in the array. They are idle first, as a
 * partition goes to the first fetcher with a place. The first one stays: without a fetcher
 * measure_memory() would measure again, and the process keeps most memory of ended ones. */
void kafka_subscriptions_forget_old(struct kafka_subscriptions *subscriptions, int64_t now_ms)
{
    for (size_t i = subscriptions->count; i-- > 1;) {
        struct message_fetcher *fetcher = &subscriptions->fetchers[i];
        if (fetcher->partition_count > 0)
            continue;
        if (fetcher->idle_since_ms == 0)
            fetcher->idle_since_ms = now_ms;
        if (now_ms - fetcher->idle_since_ms < KAFKA_FORGET_MS || i + 1 < subscriptions->count)
            continue;
        fetcher_end(subscriptions->client, fetcher, now_ms);
        subscriptions->count--;
    }
}

void kafka_subscriptions_drop(struct kafka_subscriptions *subscriptions, int64_t now_ms)
{
    while (subscriptions->all != NULL)
        subscription_end_with(subscriptions, subscriptions->all, notifier_lose);
    for (size_t i = 0; i < subscriptions->count; i++)
        fetcher_end(subscriptions->client, &subscriptions->fetchers[i], now_ms);
    subscriptions->count = 0;
}

void kafka_subscriptions_free(struct kafka_subscriptions *subscriptions)
{
    kafka_subscriptions_drop(subscriptions, clock_now_ms());
    if (subscriptions->event_fd >= 0)
        close(subscriptions->event_fd);
    free(subscriptions);
}
