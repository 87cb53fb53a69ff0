#include "arm.h"

#include "base/memory.h"
#include "base/text.h"
#include "lag.h"
#include "metadata.h"
#include "settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utlist.h>

enum {
    /*
     * Of one handle: each of its requests names all of them, and a broker looks at them all for each
     * message, and keeps what it looked at for a thousand requests.
     */
    EAR_PARTITIONS = 250,
    EARS_MOST = 20, /* of a client: each has a thread a broker, and one connection */
    MESSAGES_AT_ONCE = 64,
};

/* A handle that reads. */
struct ear {
    rd_kafka_t *rk;
    rd_kafka_queue_t *messages;
    struct heard_topic *topics;
    size_t partitions;
};

/* A topic of an ear. It stays: the library would have to find its leaders anew. */
struct heard_topic {
    struct ear *ear;
    rd_kafka_topic_t *handle;
    bool is_denied; /* we may not read it */
    UT_hash_handle hh;
    char name[];
};

/* A partition that is read, as long as somebody is armed there. */
struct heard_partition {
    struct heard_topic *topic;
    int32_t number;
    struct link *links; /* utlist */
    UT_hash_handle hh;
    char key[]; /* see key_of() */
};

/* An arm on one of its partitions. */
struct link {
    struct arm *arm;
    struct heard_partition *partition;
    struct link *prev, *next; /* of the partition */
};

struct arm {
    struct waker waker;
    struct link *links;
    size_t count;
    UT_hash_handle hh; /* by the waker's id */
};

struct arms {
    int readable; /* an eventfd */
    struct ear ears[EARS_MOST];
    size_t count; /* of the ears */
    struct heard_partition *partitions;
    struct arm *arms;
};

static rd_kafka_conf_t *settings_of(const struct kafka_client *client, struct error *error)
{
    static const char *const settings[][2] = {
        {"client.id", "backlog-armed"},
        /* Neither a group nor its commits are touched. */
        {"group.id", ""},
        {"auto.commit.enable", "false"},
        /* One request a broker in this time while nothing comes; what is newly armed waits for its end. */
        {"fetch.wait.max.ms", "500"},
        {"fetch.error.backoff.ms", "100"},
        /* A message is only a sign: the fewest bytes that the broker gives, which is one batch. */
        {"fetch.message.max.bytes", "1"},
        /* Of all partitions together: where it is reached, none is read for a second. */
        {"queued.min.messages", "1000"},
        /* A topic that was made anew has not these offsets: that is news, too. */
        {"auto.offset.reset", "error"},
    };
    rd_kafka_conf_t *conf = rd_kafka_conf_dup(client->settings);
    rd_kafka_conf_set_error_cb(conf, NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(settings); i++)
        if (!settings_set(conf, settings[i][0], settings[i][1], error)) {
            rd_kafka_conf_destroy(conf);
            return NULL;
        }
    return conf;
}

static bool arms_begin(struct kafka_client *client, struct error *error)
{
    if (client->arms != NULL)
        return true;
    int readable = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (readable < 0)
        return error_unavailable(error, "cannot listen to Kafka: %s", strerror(errno));
    client->arms = memory_new(sizeof(*client->arms));
    client->arms->readable = readable;
    return true;
}

/* One that can take another partition; NULL with an error. */
static struct ear *ear_of(const struct kafka_client *client, struct error *error)
{
    const uint64_t one = 1;
    struct arms *arms = client->arms;
    for (size_t i = 0; i < arms->count; i++)
        if (arms->ears[i].partitions < EAR_PARTITIONS)
            return &arms->ears[i];
    if (arms->count == EARS_MOST) {
        error_set(error, ERROR_LIMIT, "no more than %d Kafka partitions are listened to",
                  EARS_MOST * EAR_PARTITIONS);
        return NULL;
    }
    rd_kafka_conf_t *conf = settings_of(client, error);
    rd_kafka_t *rk = conf == NULL ? NULL : client_handle(client, conf, error);
    if (rk == NULL)
        return NULL;
    struct ear *ear = &arms->ears[arms->count++];
    *ear = (struct ear){.rk = rk, .messages = rd_kafka_queue_new(rk)};
    rd_kafka_queue_io_event_enable(ear->messages, arms->readable, &one, sizeof(one));
    return ear;
}

static struct heard_topic *topic_of(struct ear *ear, const char *name)
{
    struct heard_topic *topic;
    HASH_FIND_STR(ear->topics, name, topic);
    if (topic != NULL)
        return topic;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(ear->rk, name, NULL);
    if (handle == NULL)
        return NULL;
    topic = memory_new(sizeof(*topic) + strlen(name) + 1);
    memcpy(topic->name, name, strlen(name) + 1);
    topic->ear = ear;
    topic->handle = handle;
    HASH_ADD_STR(ear->topics, name, topic);
    return topic;
}

/* No topic's name has a slash. The caller frees it. */
static char *key_of(const char *topic, int32_t number)
{
    return text_format("%s/%d", topic, number);
}

static struct heard_partition *partition_find(const struct arms *arms, const char *topic,
                                              int32_t number)
{
    _cleanup_(memory_free) char *key = key_of(topic, number);
    struct heard_partition *partition;
    HASH_FIND_STR(arms->partitions, key, partition);
    return partition;
}

/* Where somebody is armed there already, it is read from an earlier end: one wake too many, at worst. */
static struct heard_partition *partition_hear(const struct kafka_client *client, const char *name,
                                              int32_t number, int64_t end, struct error *error)
{
    struct heard_partition *partition = partition_find(client->arms, name, number);
    if (partition != NULL)
        return partition;
    struct ear *ear = ear_of(client, error);
    if (ear == NULL)
        return NULL;
    struct heard_topic *topic = topic_of(ear, name);
    if (topic != NULL && topic->is_denied) {
        error_set(error, ERROR_DENIED, "to listen needs READ of Kafka topic %s", name);
        return NULL;
    }
    if (topic == NULL ||
        rd_kafka_consume_start_queue(topic->handle, number, end, ear->messages) != 0) {
        error_unavailable(error, "cannot listen to Kafka topic %s: %s", name,
                          rd_kafka_err2str(rd_kafka_last_error()));
        return NULL;
    }
    _cleanup_(memory_free) char *key = key_of(name, number);
    partition = memory_new(sizeof(*partition) + strlen(key) + 1);
    memcpy(partition->key, key, strlen(key) + 1);
    partition->topic = topic;
    partition->number = number;
    HASH_ADD_STR(client->arms->partitions, key, partition);
    ear->partitions++;
    return partition;
}

static void link_end(struct arms *arms, struct link *link)
{
    struct heard_partition *partition = link->partition;
    DL_DELETE(partition->links, link);
    if (partition->links != NULL)
        return;
    rd_kafka_consume_stop(partition->topic->handle, partition->number);
    partition->topic->ear->partitions--;
    HASH_DEL(arms->partitions, partition);
    free(partition);
}

static void arm_end(struct arms *arms, struct arm *arm)
{
    for (size_t i = 0; i < arm->count; i++)
        link_end(arms, &arm->links[i]);
    HASH_DEL(arms->arms, arm);
    free(arm->links);
    free(arm);
}

/* First the wake, as to stop reading waits for a thread of the library. */
static void arm_wake(struct arms *arms, struct arm *arm)
{
    waker_wake(&arm->waker);
    arm_end(arms, arm);
}

static size_t partitions_of(const struct ask *ask)
{
    size_t count = 0;
    for (size_t i = 0; i < ask->count; i++)
        for (int32_t j = 0; j < ask->readers[i]->key.topic->count; j++)
            count += lag_counts(ask->probe->query, j);
    return count;
}

static bool arm_add(const struct kafka_client *client, struct arm *arm, const struct topic *topic,
                    int32_t number, struct error *error)
{
    struct heard_partition *partition =
        partition_hear(client, topic->name, number, topic->partitions[number].latest.value, error);
    if (partition == NULL)
        return false;
    struct link *link = &arm->links[arm->count++];
    *link = (struct link){.arm = arm, .partition = partition};
    DL_APPEND(partition->links, link);
    return true;
}

static bool arm_fill(const struct kafka_client *client, struct arm *arm, const struct ask *ask,
                     struct error *error)
{
    for (size_t i = 0; i < ask->count; i++) {
        const struct topic *topic = ask->readers[i]->key.topic;
        for (int32_t j = 0; j < topic->count; j++)
            if (lag_counts(ask->probe->query, j) && !arm_add(client, arm, topic, j, error))
                return false;
    }
    return true;
}

static bool try_arm(struct kafka_client *client, const struct ask *ask, struct error *error)
{
    if (!arms_begin(client, error))
        return false;
    struct arms *arms = client->arms;
    struct arm *arm = memory_new(sizeof(*arm));
    arm->waker = ask->probe->waker;
    arm->links = memory_array(partitions_of(ask) + 1, sizeof(*arm->links));
    HASH_ADD(hh, arms->arms, waker.id, sizeof(arm->waker.id), arm);
    if (arm_fill(client, arm, ask, error))
        return true;
    arm_end(arms, arm);
    return false;
}

void arm_ask(struct batch *batch, const struct ask *ask)
{
    _cleanup_(error_done) struct error error = {0};
    if (try_arm(batch->client, ask, &error))
        probe_armed(ask->probe);
    else
        probe_cannot_arm(ask->probe, &error);
}

void kafka_disarm(void *argument, uint64_t waker_id)
{
    const struct kafka_client *client = argument;
    struct arm *arm = NULL;
    if (client->arms != NULL)
        HASH_FIND(hh, client->arms->arms, &waker_id, sizeof(waker_id), arm);
    if (arm != NULL)
        arm_end(client->arms, arm);
}

int kafka_descriptor(const void *argument)
{
    const struct kafka_client *client = argument;
    return client->arms == NULL ? -1 : client->arms->readable;
}

/* A message, or that there is trouble: either way it is time to look. The partition goes with its last arm. */
static void take(struct kafka_client *client, const rd_kafka_message_t *message)
{
    struct arms *arms = client->arms;
    const struct heard_partition *partition =
        message->rkt == NULL
            ? NULL
            : partition_find(arms, rd_kafka_topic_name(message->rkt), message->partition);
    if (partition == NULL)
        return;
    if (message->err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
        partition->topic->is_denied = true;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        topic_confirm(client, partition->topic->name);
    for (bool more = true; more;) {
        more = partition->links->next != NULL;
        arm_wake(arms, partition->links->arm);
    }
}

static void ear_hear(struct kafka_client *client, const struct ear *ear)
{
    rd_kafka_message_t *messages[MESSAGES_AT_ONCE];
    for (ssize_t heard = MESSAGES_AT_ONCE; heard == MESSAGES_AT_ONCE;) {
        heard = rd_kafka_consume_batch_queue(ear->messages, 0, messages, MESSAGES_AT_ONCE);
        for (ssize_t i = 0; i < heard; i++) {
            take(client, messages[i]);
            rd_kafka_message_destroy(messages[i]);
        }
    }
}

void kafka_hear(void *argument)
{
    struct kafka_client *client = argument;
    const struct arms *arms = client->arms;
    uint64_t signs;
    if (read(arms->readable, &signs, sizeof(signs)) < 0)
        return;
    for (size_t i = 0; i < arms->count; i++)
        ear_hear(client, &arms->ears[i]);
}

static void ear_end(struct ear *ear)
{
    struct heard_topic *topic;
    struct heard_topic *next;
    HASH_ITER(hh, ear->topics, topic, next)
    {
        HASH_DEL(ear->topics, topic);
        rd_kafka_topic_destroy(topic->handle);
        free(topic);
    }
    rd_kafka_queue_destroy(ear->messages);
    rd_kafka_destroy(ear->rk);
}

void arms_end(struct kafka_client *client)
{
    struct arms *arms = TAKE(client->arms);
    if (arms == NULL)
        return;
    while (arms->arms != NULL)
        arm_wake(arms, arms->arms);
    for (size_t i = 0; i < arms->count; i++)
        ear_end(&arms->ears[i]);
    close(arms->readable);
    free(arms);
}
