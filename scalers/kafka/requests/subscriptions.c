#include "kafka/requests/subscriptions.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "kafka/client/settings.h"
#include "kafka/memory.h"

#include <assert.h>
#include <errno.h>
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
    MAX_UNREAD = 500,  /* partitions of old topics, which take 1.2 MB: see fetcher_is_old() */
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
    size_t partition_count; /* that it reads */
    struct message_fetcher *prev, *next;
};

/* A topic of a fetcher, which has it until the fetcher ends (workaround 6 of client.h). */
struct read_topic {
    struct message_fetcher *fetcher;
    rd_kafka_topic_t *rkt;
    size_t counted;          /* partitions, read or not, that count in the bytes of the handle */
    size_t partition_count;  /* that are read */
    int64_t unread_since_ms; /* when it was first seen with none of these; 0: it has some */
    int64_t denied_at_ms;    /* when we had no right to read it; 0: never */
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
    double bytes;      /* what it takes */
    UT_hash_handle hh; /* by the notifier's id */
};

struct kafka_subscriptions {
    struct kafka_client *client;
    struct kafka_metadata *metadata;
    int event_fd;                     /* -1: none yet */
    struct message_fetcher *fetchers; /* utlist */
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

static double handle_bytes(const struct kafka_client *client)
{
    return kafka_memory_of_handle(&client->memory) + (QUEUED_KIB << 10);
}

/* Finds or makes a fetcher that can take another partition. check_room() has found that there is
 * memory for it. NULL with an error. */
static struct message_fetcher *fetcher_for(struct kafka_subscriptions *subscriptions,
                                           struct error *error)
{
    struct message_fetcher *fetcher;
    DL_FOREACH(subscriptions->fetchers, fetcher)
        if (fetcher->partition_count < FETCHER_PARTITIONS)
            return fetcher;
    if (subscriptions->event_fd < 0)
        subscriptions->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (subscriptions->event_fd < 0) {
        error_unavailable(error, "cannot subscribe to Kafka: %s", strerror(errno));
        return NULL;
    }
    struct kafka_client *client = subscriptions->client;
    rd_kafka_conf_t *conf = fetcher_settings(client, error);
    rd_kafka_t *rk = conf == NULL ? NULL
                                  : kafka_handles_new_handle(&client->handles, conf, true,
                                                             handle_bytes(client), error);
    if (rk == NULL)
        return NULL;
    fetcher = memory_new(sizeof(*fetcher));
    *fetcher = (struct message_fetcher){.rk = rk, .messages = rd_kafka_queue_new(rk)};
    DL_APPEND(subscriptions->fetchers, fetcher);
    kafka_handles_signal(fetcher->messages, subscriptions->event_fd);
    return fetcher;
}

static struct read_topic *topic_find(const struct message_fetcher *fetcher, const char *name)
{
    struct read_topic *topic;
    HASH_FIND_STR(fetcher->topics, name, topic);
    return topic;
}

/* How many partitions of the topic of this name, with KAFKA_MEMORY_TOPIC for itself, do not count
 * in a fetcher yet. The topic is NULL if the fetcher does not have it. */
static size_t uncounted(const struct kafka_subscriptions *subscriptions,
                        const struct read_topic *topic, const char *name)
{
    const struct kafka_topic *known =
        kafka_topics_find(kafka_metadata_topics(subscriptions->metadata), name);
    size_t partitions = known == NULL ? 0 : (size_t)known->partition_count + KAFKA_MEMORY_TOPIC;
    size_t counted = topic == NULL ? 0 : topic->counted;
    return partitions > counted ? partitions - counted : 0;
}

static struct read_topic *topic_new(struct message_fetcher *fetcher, const char *name)
{
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(fetcher->rk, name, NULL);
    if (rkt == NULL)
        return NULL;
    struct read_topic *topic = memory_new(sizeof(*topic) + strlen(name) + 1);
    memcpy(topic->name, name, strlen(name) + 1);
    topic->fetcher = fetcher;
    topic->rkt = rkt;
    HASH_ADD_STR(fetcher->topics, name, topic);
    return topic;
}

/* Finds or makes the topic, and counts its partitions, as it may have got more. */
static struct read_topic *topic_for(struct kafka_subscriptions *subscriptions,
                                    struct message_fetcher *fetcher, const char *name)
{
    struct read_topic *topic = topic_find(fetcher, name);
    if (topic == NULL)
        topic = topic_new(fetcher, name);
    if (topic == NULL)
        return NULL;
    size_t more = uncounted(subscriptions, topic, name);
    topic->counted += more;
    kafka_handles_add_bytes(&subscriptions->client->handles, fetcher->rk,
                            (double)more * KAFKA_MEMORY_PER_PARTITION);
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
    partition->topic->partition_count--;
    partition->topic->fetcher->partition_count--;
    HASH_DEL(subscriptions->partitions, partition);
    free(partition);
}

static void count_bytes(const struct kafka_subscriptions *subscriptions, double bytes)
{
    kafka_memory_add(&subscriptions->client->memory, KAFKA_ACCOUNT_SUBSCRIPTIONS, bytes);
}

static void subscription_end(struct kafka_subscriptions *subscriptions,
                             struct subscription *subscription)
{
    for (size_t i = 0; i < subscription->count; i++)
        subscription_unlink(subscriptions, &subscription->links[i]);
    HASH_DEL(subscriptions->all, subscription);
    count_bytes(subscriptions, -subscription->bytes);
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
        /* clang's analyzer does not see that a subscription that has ended has left the links.
         * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
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
    struct read_topic *topic = topic_for(subscriptions, fetcher, name);
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
    topic->partition_count++;
    topic->unread_since_ms = 0;
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

static double subscription_bytes(size_t count)
{
    return (double)(sizeof(struct subscription) + (count + 1) * sizeof(struct link));
}

/* What partitions take that are not read yet. */
struct subscribing_need {
    size_t fetchers;   /* that would be made */
    size_t partitions; /* of topics, that would count in fetchers */
};

/* Goes through the fetchers in the order of fetcher_for(). A topic takes memory once in each. */
static struct subscribing_need find_need(const struct kafka_subscriptions *subscriptions,
                                         const struct kafka_position *positions, size_t count)
{
    struct subscribing_need need = {0};
    const struct message_fetcher *fetcher = subscriptions->fetchers; /* NULL: it would be made */
    size_t places = fetcher == NULL ? 0 : FETCHER_PARTITIONS - fetcher->partition_count;
    const char *former = NULL; /* the last topic in the same fetcher */
    for (size_t i = 0; i < count; i++) {
        const char *name = positions[i].topic;
        if (partition_find(subscriptions, name, positions[i].partition) != NULL)
            continue;
        for (; places == 0; former = NULL) {
            fetcher = fetcher == NULL ? NULL : fetcher->next;
            need.fetchers += fetcher == NULL;
            places = FETCHER_PARTITIONS - (fetcher == NULL ? 0 : fetcher->partition_count);
        }
        if (former == NULL || strcmp(former, name) != 0)
            need.partitions +=
                uncounted(subscriptions, fetcher == NULL ? NULL : topic_find(fetcher, name), name);
        former = name;
        places--;
    }
    return need;
}

/* Whether all of the partitions can be subscribed to. Checked before any is, as stopping takes
 * long, and as the library aborts without memory. */
static bool check_room(const struct kafka_subscriptions *subscriptions,
                       const struct kafka_position *positions, size_t count, struct error *error)
{
    const struct kafka_client *client = subscriptions->client;
    const struct subscribing_need need = find_need(subscriptions, positions, count);
    const struct message_fetcher *fetcher;
    size_t fetchers;
    DL_COUNT(subscriptions->fetchers, fetcher, fetchers);
    if (fetchers + need.fetchers > MAX_FETCHERS)
        return error_set(error, ERROR_LIMIT, "at most %d Kafka partitions are subscribed to",
                         MAX_FETCHERS * FETCHER_PARTITIONS);
    double bytes = (double)need.fetchers * handle_bytes(client) +
                   (double)need.partitions * KAFKA_MEMORY_PER_PARTITION + subscription_bytes(count);
    return kafka_memory_has_for_fetchers(&client->memory, bytes) ||
           error_set(error, ERROR_LIMIT, "no memory to subscribe to Kafka topic %s: %s",
                     positions[0].topic, kafka_memory_advice(&client->memory));
}

bool kafka_subscriptions_add(struct kafka_subscriptions *subscriptions,
                             const struct notifier *notifier,
                             const struct kafka_position *positions, size_t count, int64_t now_ms,
                             struct error *error)
{
    kafka_subscriptions_remove(subscriptions, notifier->id);
    if (!check_room(subscriptions, positions, count, error))
        return false;
    struct subscription *subscription = memory_new(sizeof(*subscription));
    subscription->notifier = *notifier;
    subscription->links = memory_array(count + 1, sizeof(*subscription->links));
    subscription->bytes = subscription_bytes(count);
    count_bytes(subscriptions, subscription->bytes);
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
    const struct message_fetcher *fetcher;
    DL_FOREACH(subscriptions->fetchers, fetcher)
        fetcher_receive(subscriptions, fetcher, now_ms);
}

static struct read_partition *fetcher_partition(const struct kafka_subscriptions *subscriptions,
                                                const struct message_fetcher *fetcher)
{
    struct read_partition *partition = subscriptions->partitions;
    while (partition != NULL && partition->topic->fetcher != fetcher)
        partition = partition->hh.next;
    return partition;
}

static void fetcher_end(struct kafka_subscriptions *subscriptions, struct message_fetcher *fetcher,
                        int64_t now_ms)
{
    for (struct read_partition *partition;
         (partition = fetcher_partition(subscriptions, fetcher)) != NULL;)
        partition_end_with(subscriptions, partition, notifier_lose);
    struct read_topic *topic;
    struct read_topic *next;
    HASH_ITER(hh, fetcher->topics, topic, next) {
        HASH_DEL(fetcher->topics, topic);
        rd_kafka_topic_destroy(topic->rkt);
        free(topic);
    }
    DL_DELETE(subscriptions->fetchers, fetcher);
    kafka_handles_end(&subscriptions->client->handles, fetcher->rk, fetcher->messages, now_ms);
    free(fetcher);
}

/* A topic is old when no partition of it was read for KAFKA_FORGET_MS. A fetcher is old when all of
 * its topics are, or when the old ones have more than MAX_UNREAD partitions. Example: of 100 topics
 * of 60 partitions, of which few are idle at a time, one fetcher would have all in the end. */
static bool fetcher_is_old(const struct message_fetcher *fetcher, int64_t now_ms)
{
    bool is_used = false;
    size_t old_partitions = 0;
    for (struct read_topic *topic = fetcher->topics; topic != NULL; topic = topic->hh.next) {
        if (topic->partition_count == 0 && topic->unread_since_ms == 0)
            topic->unread_since_ms = now_ms;
        bool is_old =
            topic->partition_count == 0 && now_ms - topic->unread_since_ms >= KAFKA_FORGET_MS;
        is_used |= !is_old;
        old_partitions += is_old ? topic->counted : 0;
    }
    return !is_used || old_partitions > MAX_UNREAD;
}

void kafka_subscriptions_forget_old(struct kafka_subscriptions *subscriptions, int64_t now_ms)
{
    struct message_fetcher *fetcher;
    struct message_fetcher *next;
    DL_FOREACH_SAFE(subscriptions->fetchers, fetcher, next)
        if (fetcher_is_old(fetcher, now_ms))
            fetcher_end(subscriptions, fetcher, now_ms);
}

void kafka_subscriptions_drop(struct kafka_subscriptions *subscriptions, int64_t now_ms)
{
    while (subscriptions->fetchers != NULL)
        fetcher_end(subscriptions, subscriptions->fetchers, now_ms);
}

void kafka_subscriptions_free(struct kafka_subscriptions *subscriptions)
{
    kafka_subscriptions_drop(subscriptions, clock_now_ms());
    assert(subscriptions->client->memory.bytes[KAFKA_ACCOUNT_SUBSCRIPTIONS] == 0);
    if (subscriptions->event_fd >= 0)
        close(subscriptions->event_fd);
    free(subscriptions);
}
