#include "batch.h"

#include "base/clock.h"
#include "base/memory.h"
#include "groups.h"
#include "lag.h"
#include "metadata.h"
#include "offsets.h"
#include "stall.h"

#include <string.h>

void batch_init(struct batch *batch, struct kafka_client *client, struct probe *const *probes,
                size_t count, int64_t deadline_ms)
{
    *batch = (struct batch){.client = client, .deadline_ms = deadline_ms, .count = count};
    client->batch_ms = clock_now_ms();
    batch->asks = memory_array(count, sizeof(*batch->asks));
    batch->offsets = offsets_new(batch);
    for (size_t i = 0; i < count; i++) {
        const struct kafka_query *query = probes[i]->query;
        batch->asks[i].probe = probes[i];
        selection_init(&batch->asks[i].selection, query->topic);
    }
}

static struct topic *topic_of(struct batch *batch, const char *name)
{
    struct topic *topic;
    HASH_FIND_STR(batch->topics, name, topic);
    if (topic != NULL)
        return topic;
    topic = memory_new(sizeof(*topic));
    topic->known = topic_use(batch->client, name);
    topic->name = topic->known == NULL ? name : topic->known->name;
    HASH_ADD_KEYPTR(hh, batch->topics, topic->name, strlen(topic->name), topic);
    return topic;
}

void batch_use_topics(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        const struct selection *selection = &batch->asks[i].selection;
        const struct kafka_query *query = batch->asks[i].probe->query;
        for (size_t j = 0; j < selection->count; j++)
            topic_of(batch, selection->names[j]);
        if (selection->kind == SELECTION_OF_PATTERN)
            pattern_use(batch->client, query->topic);
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

/* What is known of the topic's partitions is what this measurement goes by, to its end. */
static void topic_open(struct topic *topic)
{
    if (topic->known == NULL || topic->partitions != NULL)
        return;
    topic->count = topic->known->partitions;
    topic->partitions = memory_array((size_t)topic->count + 1, sizeof(*topic->partitions));
}

/* Whether the topic can be measured at all; if not, the probe has failed. */
static bool topic_check(struct probe *probe, const struct topic *topic)
{
    const struct known_topic *known = topic->known;
    if (known == NULL)
        probe_failf(probe, "Kafka has no topic of the name %s", topic->name);
    else if (known->heard_ms == 0)
        probe_failf(probe, "Kafka tells nothing of topic %s", topic->name);
    else if (known->error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        probe_failf(probe, "Kafka topic %s does not exist", topic->name);
    else if (known->error != RD_KAFKA_RESP_ERR_NO_ERROR)
        probe_failf(probe, "Kafka topic %s: %s", topic->name, rd_kafka_err2str(known->error));
    return !probe->ended;
}

static void ask_add(struct batch *batch, struct ask *ask, struct reader *reader)
{
    const struct kafka_query *query = ask->probe->query;
    struct topic *topic = reader->key.topic;
    ask->readers =
        memory_grow(ask->readers, &ask->capacity, ask->count + 1, sizeof(struct reader *));
    ask->readers[ask->count++] = reader;
    if (query->exclude_persistent_lag && reader->stall == NULL)
        reader->stall = stall_use(batch->client, ask->group->name, topic->name, topic->count);
    for (int32_t i = 0; i < topic->count; i++) {
        if (!lag_counts(query, i))
            continue;
        if (reader->commits[i].state == OFFSET_UNKNOWN)
            reader->commits[i].state = OFFSET_ASKED;
        if (topic->partitions[i].latest.state == OFFSET_UNKNOWN)
            offsets_ask_latest(batch->offsets, topic, i);
    }
}

static bool ask_add_topic(struct batch *batch, struct ask *ask, struct topic *topic)
{
    if (!topic_check(ask->probe, topic))
        return false;
    topic_open(topic);
    ask_add(batch, ask, reader_of(batch, ask->group, topic));
    return true;
}

static bool open_names(struct batch *batch, struct ask *ask)
{
    for (size_t i = 0; i < ask->selection.count; i++)
        if (!ask_add_topic(batch, ask, topic_of(batch, ask->selection.names[i])))
            return false;
    return true;
}

static bool open_pattern(struct batch *batch, struct ask *ask)
{
    const struct kafka_query *query = ask->probe->query;
    const struct known_pattern *pattern = pattern_use(batch->client, query->topic);
    if (pattern == NULL || pattern->count == 0) {
        probe_failf(ask->probe, "no Kafka topic matches %s", query->topic);
        return false;
    }
    if (pattern->count > SELECTION_TOPICS_MOST) {
        probe_failf(ask->probe, "%zu Kafka topics match %s, which is more than %d", pattern->count,
                    query->topic, SELECTION_TOPICS_MOST);
        return false;
    }
    for (size_t i = 0; i < pattern->count; i++)
        if (pattern->topics[i] != NULL &&
            !ask_add_topic(batch, ask, topic_of(batch, pattern->topics[i]->name)))
            return false;
    return true;
}

/* partitionLimitation may leave none of them. */
static bool has_partitions(const struct ask *ask)
{
    int32_t partitions = 0;
    for (size_t i = 0; i < ask->count; i++) {
        const struct topic *topic = ask->readers[i]->key.topic;
        for (int32_t j = 0; j < topic->count; j++)
            if (lag_counts(ask->probe->query, j))
                return true;
        partitions += topic->count;
    }
    const struct kafka_query *query = ask->probe->query;
    probe_failf(ask->probe,
                "Kafka topic %s has %d partitions, and none of them is in partitionLimitation",
                query->topic, partitions);
    return false;
}

static void ask_open(struct batch *batch, struct ask *ask)
{
    const struct kafka_query *query = ask->probe->query;
    bool of_group = ask->selection.kind == SELECTION_OF_GROUP;
    struct group *group = ask->group = group_of(batch, query->consumer_group);
    bool good = of_group || (ask->selection.kind == SELECTION_OF_PATTERN ? open_pattern(batch, ask)
                                                                         : open_names(batch, ask));
    if (!good || (!of_group && !has_partitions(ask)))
        return;
    group->wants_all = group->wants_all || of_group;
    ask->next = group->asks;
    group->asks = ask;
}

void batch_open(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        ask_open(batch, &batch->asks[i]);
}

struct reader *batch_add_reader(struct batch *batch, struct group *group, const char *topic_name)
{
    struct topic *topic = topic_of(batch, topic_name);
    topic_open(topic);
    return reader_of(batch, group, topic);
}

void ask_open_committed(struct batch *batch, struct ask *ask)
{
    for (struct reader *reader = ask->group->readers; reader != NULL; reader = reader->next)
        if (reader->has_commit) {
            if (!topic_check(ask->probe, reader->key.topic))
                return;
            ask_add(batch, ask, reader);
        }
    const struct kafka_query *query = ask->probe->query;
    if (ask->count == 0 && !query->scale_to_zero_on_invalid_offset)
        probe_failf(
            ask->probe,
            "Kafka group %s has committed nothing yet, so its topics are not known: set topic, "
            "or scaleToZeroOnInvalidOffset to count 0 till it has",
            ask->group->name);
}

/* Of the partitions that are its to look at, what it could not look at begins anew. Others of the topic
 * may be another probe's, which is measured less often. */
static void settle_stalls(const struct batch *batch, const struct ask *ask)
{
    const struct kafka_query *query = ask->probe->query;
    if (!query->exclude_persistent_lag)
        return;
    for (size_t i = 0; i < ask->count; i++) {
        const struct reader *reader = ask->readers[i];
        for (int32_t j = 0; j < reader->key.topic->count; j++)
            if (lag_counts(query, j))
                stall_settle(reader->stall, j, batch->client->batch_ms);
    }
}

static void readers_free(struct batch *batch)
{
    struct reader *reader;
    struct reader *next;
    HASH_ITER(hh, batch->readers, reader, next)
    {
        HASH_DEL(batch->readers, reader);
        free(reader->commits);
        free(reader);
    }
}

static void groups_free(struct batch *batch)
{
    struct group *group;
    struct group *next;
    HASH_ITER(hh, batch->groups, group, next)
    {
        HASH_DEL(batch->groups, group);
        if (group->told != NULL)
            rd_kafka_event_destroy(group->told);
        free(group);
    }
}

static void topics_free(struct batch *batch)
{
    struct topic *topic;
    struct topic *next;
    HASH_ITER(hh, batch->topics, topic, next)
    {
        HASH_DEL(batch->topics, topic);
        free(topic->partitions);
        free(topic);
    }
}

void batch_done(struct batch *batch)
{
    groups_abandon(batch->client);
    offsets_free(batch->offsets);
    for (size_t i = 0; i < batch->count; i++)
        settle_stalls(batch, &batch->asks[i]);
    readers_free(batch);
    groups_free(batch);
    topics_free(batch);
    for (size_t i = 0; i < batch->count; i++) {
        selection_done(&batch->asks[i].selection);
        free(batch->asks[i].readers);
    }
    free(batch->asks);
    stalls_forget_old(batch->client, batch->client->batch_ms);
}
