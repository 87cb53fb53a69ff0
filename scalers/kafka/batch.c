#include "batch.h"

#include "base/clock.h"
#include "base/memory.h"
#include "groups.h"
#include "lag.h"
#include "metadata.h"
#include "offsets.h"

#include <string.h>

void batch_init(struct batch *batch, struct kafka_client *client, struct probe *const *probes,
                size_t count, int64_t deadline_ms)
{
    *batch = (struct batch){.client = client, .deadline_ms = deadline_ms, .count = count};
    client->batch_ms = clock_now_ms();
    batch->asks = memory_array(count, sizeof(*batch->asks));
    batch->offsets = offsets_new(batch);
    for (size_t i = 0; i < count; i++)
        batch->asks[i].probe = probes[i];
}

static struct topic *topic_of(struct batch *batch, const char *name)
{
    struct topic *topic;
    HASH_FIND_STR(batch->topics, name, topic);
    if (topic != NULL)
        return topic;
    topic = memory_new(sizeof(*topic));
    topic->name = name;
    topic->known = topic_use(batch->client, name);
    HASH_ADD_KEYPTR(hh, batch->topics, topic->name, strlen(topic->name), topic);
    return topic;
}

void batch_use_topics(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        const struct kafka_query *query = batch->asks[i].probe->query;
        topic_of(batch, query->topic);
    }
}

static struct group *group_of(struct batch *batch, const char *name)
{
    struct group *group;
    HASH_FIND_STR(batch->groups, name, group);
    if (group != NULL)
        return group;
    group = memory_new(sizeof(*group));
    group->name = name;
    HASH_ADD_KEYPTR(hh, batch->groups, group->name, strlen(group->name), group);
    return group;
}

static struct reader *reader_of(struct batch *batch, struct group *group, struct topic *topic)
{
    struct reader wanted = {.key = {group, topic}};
    struct reader *reader;
    HASH_FIND(hh, batch->readers, &wanted.key, sizeof(wanted.key), reader);
    if (reader != NULL)
        return reader;
    reader = memory_new(sizeof(*reader));
    reader->key.group = group;
    reader->key.topic = topic;
    reader->commits = memory_array((size_t)topic->count, sizeof(*reader->commits));
    reader->next = group->readers;
    group->readers = reader;
    HASH_ADD(hh, batch->readers, key, sizeof(reader->key), reader);
    return reader;
}

/* Whether the topic can be measured for the probe at all; if not, the probe has failed. */
static bool topic_check(struct probe *probe, const struct topic *topic)
{
    const struct kafka_query *query = probe->query;
    const struct known_topic *known = topic->known;
    if (known == NULL)
        probe_failf(probe, "Kafka has no topic of the name %s", topic->name);
    else if (known->heard_ms == 0)
        probe_failf(probe, "Kafka tells nothing of topic %s", topic->name);
    else if (known->error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        probe_failf(probe, "Kafka topic %s does not exist", topic->name);
    else if (known->error != RD_KAFKA_RESP_ERR_NO_ERROR)
        probe_failf(probe, "Kafka topic %s: %s", topic->name, rd_kafka_err2str(known->error));
    for (int32_t i = 0; !probe->ended && i < topic->count; i++)
        if (lag_counts(query, i))
            return true;
    probe_failf(probe,
                "Kafka topic %s has %d partitions, and none of them is in partitionLimitation",
                topic->name, topic->count);
    return false;
}

static void topics_open(struct batch *batch)
{
    for (struct topic *topic = batch->topics; topic != NULL; topic = topic->hh.next) {
        if (topic->known == NULL)
            continue;
        topic->count = topic->known->partitions;
        topic->partitions = memory_array((size_t)topic->count, sizeof(*topic->partitions));
    }
}

static void ask_open(struct batch *batch, struct ask *ask)
{
    const struct kafka_query *query = ask->probe->query;
    struct topic *topic = topic_of(batch, query->topic);
    if (!topic_check(ask->probe, topic))
        return;
    ask->reader = reader_of(batch, group_of(batch, query->consumer_group), topic);
    ask->next = ask->reader->asks;
    ask->reader->asks = ask;
    for (int32_t i = 0; i < topic->count; i++)
        if (topic->partitions[i].latest.state == OFFSET_UNKNOWN && lag_counts(query, i))
            offsets_ask_latest(batch->offsets, topic, i);
}

void batch_open(struct batch *batch)
{
    topics_open(batch);
    for (size_t i = 0; i < batch->count; i++)
        ask_open(batch, &batch->asks[i]);
}

void batch_done(struct batch *batch)
{
    groups_abandon(batch->client);
    offsets_free(batch->offsets);
    struct reader *reader;
    struct reader *next_reader;
    HASH_ITER(hh, batch->readers, reader, next_reader)
    {
        HASH_DEL(batch->readers, reader);
        free(reader->commits);
        free(reader);
    }
    struct group *group;
    struct group *next_group;
    HASH_ITER(hh, batch->groups, group, next_group)
    {
        HASH_DEL(batch->groups, group);
        free(group);
    }
    struct topic *topic;
    struct topic *next_topic;
    HASH_ITER(hh, batch->topics, topic, next_topic)
    {
        HASH_DEL(batch->topics, topic);
        free(topic->partitions);
        free(topic);
    }
    free(batch->asks);
}
