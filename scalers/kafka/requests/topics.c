#include "kafka/requests/topics.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"

#include <string.h>
#include <sys/param.h>

/* For 100 ms after a message has confirmed a leader, metadata of the last 30 s is fresh. */
enum { CONFIRMED_MS = 100, CONFIRMED_FRESH_MS = 30 * 1000 };

bool kafka_topics_await_sizes(const struct kafka_topics *topics)
{
    return topics->in_handle.unsized > 0;
}

void kafka_topics_note_refused(struct kafka_topics *topics)
{
    topics->has_refused = true;
}

/* ---- the table ---- */

static void forget_topic(struct kafka_topics *topics, struct kafka_topic *topic)
{
    kafka_handle_topics_leave(&topics->in_handle, topic->in_handle);
    HASH_DEL(topics->table, topic);
    if (topic->rkt != NULL)
        rd_kafka_topic_destroy(topic->rkt);
    free(topic->log_starts);
    free(topic->leaders);
    free(topic->name);
    free(topic);
}

void kafka_topics_forget_old(struct kafka_topics *topics, int64_t now_ms)
{
    struct kafka_topic *topic;
    struct kafka_topic *next;
    HASH_ITER(hh, topics->table, topic, next)
        if (topic->used_ms < now_ms - KAFKA_FORGET_MS && topic->holds == 0)
            forget_topic(topics, topic);
    if (now_ms == CLOCK_NEVER)
        kafka_handle_topics_renew(&topics->in_handle);
}

struct kafka_topic *kafka_topics_find(const struct kafka_topics *topics, const char *name)
{
    struct kafka_topic *topic;
    HASH_FIND_STR(topics->table, name, topic);
    return topic;
}

/* `partitions`: see kafka_handle_topics_has_room(). */
static struct kafka_topic *topic_for(struct kafka_topics *topics, const char *name,
                                     size_t partitions, int64_t now_ms)
{
    struct kafka_topic *topic = kafka_topics_find(topics, name);
    if (topic == NULL) {
        rd_kafka_topic_t *rkt = kafka_handle_topics_has_room(&topics->in_handle, name, partitions)
                                    ? rd_kafka_topic_new(topics->client->rk, name, NULL)
                                    : NULL;
        if (rkt == NULL)
            return NULL;
        topic = memory_new(sizeof(*topic));
        topic->name = text_copy(name);
        topic->rkt = rkt;
        topic->in_handle = kafka_handle_topics_use(&topics->in_handle, name);
        topic->first_request = topics->next_number;
        HASH_ADD_KEYPTR(hh, topics->table, topic->name, strlen(topic->name), topic);
    }
    topic->used_ms = MAX(topic->used_ms, now_ms);
    return topic;
}

struct kafka_topic *kafka_topics_for(struct kafka_topics *topics, const char *name, int64_t now_ms)
{
    return topic_for(topics, name, 0, now_ms);
}

/* It counts at once, before the next one of the listing has its turn. */
struct kafka_topic *kafka_topics_for_listed(struct kafka_topics *topics,
                                            const rd_kafka_metadata_topic_t *listed, int64_t now_ms)
{
    size_t partitions = (size_t)listed->partition_cnt;
    struct kafka_topic *topic = topic_for(topics, listed->topic, partitions, now_ms);
    if (topic != NULL)
        kafka_handle_topics_size(&topics->in_handle, topic->in_handle, partitions);
    return topic;
}

struct kafka_topic *kafka_topics_hold(struct kafka_topics *topics, const char *name, int64_t now_ms)
{
    struct kafka_topic *topic = kafka_topics_for(topics, name, now_ms);
    if (topic != NULL)
        topic->holds++;
    return topic;
}

void kafka_topics_release(struct kafka_topic *topic)
{
    if (topic != NULL)
        topic->holds--;
}

bool kafka_topics_is_fresh(const struct kafka_topic *topic, int64_t now_ms)
{
    bool is_confirmed = now_ms - topic->confirmed_ms <= CONFIRMED_MS;
    int64_t fresh_ms = is_confirmed ? CONFIRMED_FRESH_MS : KAFKA_TOPICS_FRESH_MS;
    return topic->received_ms > 0 && now_ms - topic->received_ms <= fresh_ms && !topic->is_outdated;
}

int32_t kafka_topics_leader(const struct kafka_topic *topic, int32_t partition)
{
    return partition < topic->partition_count ? topic->leaders[partition] : -1;
}

struct kafka_log_start *kafka_topics_log_start(struct kafka_topic *topic, int32_t partition)
{
    if (topic == NULL || topic->log_starts == NULL || partition >= topic->partition_count)
        return NULL;
    return &topic->log_starts[partition];
}

void kafka_topics_outdate(const struct kafka_topics *topics, struct kafka_topic *topic)
{
    topic->is_outdated = true;
    topic->first_request = topics->next_number;
}

void kafka_topics_confirm(struct kafka_topics *topics, const char *name, int64_t now_ms)
{
    struct kafka_topic *topic = kafka_topics_find(topics, name);
    if (topic != NULL)
        topic->confirmed_ms = now_ms;
}

/* Partitions that were added have no known log start. A topic with fewer is another one. */
static void resize_log_starts(struct kafka_topic *topic, int32_t count)
{
    int32_t known =
        topic->log_starts == NULL || count < topic->partition_count ? 0 : topic->partition_count;
    struct kafka_log_start *log_starts = memory_array((size_t)count + 1, sizeof(*log_starts));
    for (int32_t i = 0; i < count; i++)
        log_starts[i] = i < known ? topic->log_starts[i] : KAFKA_LOG_START_UNKNOWN;
    free(topic->log_starts);
    topic->log_starts = log_starts;
}

static void take_topic(struct kafka_topics *topics, struct kafka_topic *topic,
                       const rd_kafka_metadata_topic_t *result, int64_t now_ms)
{
    kafka_handle_topics_size(&topics->in_handle, topic->in_handle, (size_t)result->partition_cnt);
    topic->received_ms = now_ms;
    topic->error = result->err;
    if (topic->log_starts == NULL || topic->partition_count != result->partition_cnt)
        resize_log_starts(topic, result->partition_cnt);
    topic->partition_count = result->partition_cnt;
    free(topic->leaders);
    topic->leaders = memory_array((size_t)result->partition_cnt + 1, sizeof(*topic->leaders));
    for (int32_t i = 0; i < result->partition_cnt; i++)
        topic->leaders[i] = -1;
    /* Kafka numbers a topic's partitions from 0 on, and lists them in any order. */
    for (int i = 0; i < result->partition_cnt; i++) {
        const rd_kafka_metadata_partition_t *partition = &result->partitions[i];
        if (partition->id >= 0 && partition->id < topic->partition_count)
            topic->leaders[partition->id] = partition->leader;
    }
}

/* Finds the topic in the table. NULL: it is not there, or a later request was answered sooner. */
static struct kafka_topic *find_older(const struct kafka_topics *topics, const char *name,
                                      uint64_t number)
{
    struct kafka_topic *topic = kafka_topics_find(topics, name);
    return topic == NULL || topic->known_from > number ? NULL : topic;
}

void kafka_topics_count_listed(struct kafka_topics *topics, uint64_t number,
                               const rd_kafka_metadata_t *listing)
{
    for (int i = 0; i < listing->topic_cnt; i++) {
        const rd_kafka_metadata_topic_t *listed = &listing->topics[i];
        struct kafka_topic *topic = find_older(topics, listed->topic, number);
        if (topic != NULL)
            kafka_handle_topics_size(&topics->in_handle, topic->in_handle,
                                     (size_t)listed->partition_cnt);
    }
}

/* Metadata of a later request, which was answered sooner, stays. */
void kafka_topics_take(struct kafka_topics *topics, uint64_t number,
                       const rd_kafka_metadata_t *result, bool is_listing, int64_t now_ms)
{
    for (struct kafka_topic *topic = topics->table; topic != NULL; topic = topic->hh.next)
        if (!is_listing && topic->first_request <= number && topic->known_from <= number) {
            topic->received_ms = 0;
            topic->is_outdated = false;
            /* Unless it is named below: nobody is to wait for its size. */
            kafka_handle_topics_size(&topics->in_handle, topic->in_handle, 0);
        }
    for (int i = 0; i < result->topic_cnt; i++) {
        struct kafka_topic *topic = find_older(topics, result->topics[i].topic, number);
        if (topic == NULL)
            continue;
        topic->known_from = number;
        topic->is_outdated = topic->is_outdated && topic->first_request > number;
        take_topic(topics, topic, &result->topics[i], now_ms);
    }
}

bool kafka_topics_lacks_answer(const struct kafka_topics *topics, uint64_t number, int64_t now_ms)
{
    for (const struct kafka_topic *topic = topics->table; topic != NULL; topic = topic->hh.next)
        if (topic->holds > 0 && topic->first_request <= number && topic->known_from < number &&
            !kafka_topics_is_fresh(topic, now_ms))
            return true;
    return false;
}

bool kafka_topics_note_listed(struct kafka_topic *topic, uint64_t number)
{
    bool is_new = topic->listing != number;
    topic->listing = number;
    return is_new;
}

bool kafka_topics_is_gone_since_listed(const struct kafka_topic *topic)
{
    return topic->error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART &&
           topic->known_from > topic->listing;
}

bool kafka_topics_has_too_many(const struct kafka_topics *topics)
{
    const struct kafka_handle_topics *in_handle = &topics->in_handle;
    return kafka_handle_topics_has_too_many(in_handle) ||
           (topics->has_refused && HASH_COUNT(in_handle->all) > in_handle->used);
}

void kafka_topics_close_handle(struct kafka_topics *topics)
{
    for (struct kafka_topic *topic = topics->table; topic != NULL; topic = topic->hh.next)
        if (topic->rkt != NULL)
            rd_kafka_topic_destroy(TAKE(topic->rkt));
}

void kafka_topics_open_handle(struct kafka_topics *topics)
{
    for (struct kafka_topic *topic = topics->table; topic != NULL; topic = topic->hh.next)
        topic->rkt = rd_kafka_topic_new(topics->client->rk, topic->name, NULL);
    kafka_handle_topics_renew(&topics->in_handle);
    topics->has_refused = false;
}
