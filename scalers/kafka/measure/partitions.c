#include "kafka/measure/partitions.h"

#include "base/memory.h"
#include "base/text.h"
#include "kafka/measure/task_end.h"
#include "kafka/memory.h"

#include <utlist.h>

/* ---- how many there are ---- */

/* Skips topics that this step has counted for another task. */
static size_t count_named(const struct kafka_batch_task *batch_task, unsigned step)
{
    size_t count = 0;
    for (size_t i = 0; i < batch_task->selection.count; i++) {
        struct kafka_batch_topic *topic =
            kafka_batch_topic_for(batch_task->batch, batch_task->selection.names[i]);
        if (topic->known != NULL && topic->counted_step != step)
            count += (size_t)topic->known->partition_count;
        topic->counted_step = step;
    }
    return count;
}

/* Each pattern counts once; topics that match several patterns of a group count several times. */
static size_t count_matched(const struct kafka_batch_task *batch_task,
                            struct kafka_patterns *patterns)
{
    const struct kafka_query *query = batch_task->task->query;
    struct kafka_pattern *pattern = kafka_patterns_find(patterns, query->topic);
    if (pattern == NULL || pattern->counting == patterns->counting ||
        !kafka_patterns_has_all_topics(pattern)) /* it fails */
        return 0;
    pattern->counting = patterns->counting;
    return pattern->partition_count;
}

size_t kafka_partitions_count(struct kafka_batch_group *group)
{
    size_t count = 0;
    const unsigned step = kafka_batch_next_step(group->batch);
    struct kafka_patterns *patterns = NULL; /* of no use to most groups */
    const struct kafka_batch_task *batch_task;
    LL_FOREACH(group->tasks, batch_task) {
        if (!kafka_batch_task_is_open(batch_task))
            continue;
        if (batch_task->selection.kind != KAFKA_SELECTION_OF_PATTERN) {
            count += count_named(batch_task, step);
            continue;
        }
        if (patterns == NULL) {
            patterns = kafka_metadata_patterns(group->batch->session->metadata);
            patterns->counting++;
        }
        count += count_matched(batch_task, patterns);
    }
    return count;
}

/* ---- the partitions of a task ---- */

char *kafka_partitions_reason_too_many(const struct kafka_client *client, size_t partitions)
{
    size_t max = client->max_partitions;
    const char *advice = max == KAFKA_SELECTION_MAX_PARTITIONS
                             ? "select fewer with topic, or use several triggers"
                             : kafka_memory_advice(&client->memory);
    return partitions <= max
               ? NULL
               : text_format("the Kafka topics have more than %zu partitions: %s", max, advice);
}

/* False: there are too many, and the task has failed. */
static bool check_count(struct kafka_batch_task *batch_task, size_t partitions, int64_t now_ms)
{
    _cleanup_(memory_free) char *reason =
        kafka_partitions_reason_too_many(&batch_task->batch->session->client, partitions);
    if (reason != NULL)
        kafka_task_end_fail(batch_task, now_ms, "%s", reason);
    return reason == NULL;
}

static void fail_for_room(struct kafka_batch_task *batch_task, const char *topic, int64_t now_ms)
{
    struct kafka_session *session = batch_task->batch->session;
    struct kafka_topics *topics = kafka_metadata_topics(session->metadata);
    kafka_topics_note_refused(topics);
    kafka_task_end_fail(
        batch_task, now_ms,
        "no memory for Kafka topic %s beside the %zu other topics of the connection, "
        "which have %zu partitions: %s",
        topic, (size_t)HASH_COUNT(topics->in_handle.all), topics->in_handle.partitions,
        kafka_memory_advice(&session->client.memory));
}

/* Returns the task if the topic has room now: topics of unknown size may have turned out smaller
 * than they counted. The next batch has at least one more topic, so this comes to an end. Where
 * topics of another batch have no size yet the task is returned, too, and waits for that. */
static void end_without_room(struct kafka_batch_task *batch_task, const char *topic, int64_t now_ms)
{
    const struct kafka_topics *topics = kafka_metadata_topics(batch_task->batch->session->metadata);
    if (kafka_topics_await_sizes(topics) ||
        kafka_handle_topics_has_room(&topics->in_handle, topic, 0))
        kafka_task_end_return(batch_task, false);
    else
        fail_for_room(batch_task, topic, now_ms);
}

/* Adds the topic's partitions to those of the task. False: the task has failed, as the topic cannot
 * be measured, or the task has too many partitions now; or it was returned. */
static bool check_topic(struct kafka_batch_task *batch_task, const struct kafka_batch_topic *topic,
                        int64_t now_ms)
{
    const struct kafka_topic *known = topic->known;
    batch_task->partition_count += known == NULL ? 0 : (size_t)known->partition_count;
    if (known == NULL && topic->lacks_room)
        end_without_room(batch_task, topic->name, now_ms);
    else if (known == NULL)
        kafka_task_end_fail(batch_task, now_ms, "%s is no valid name of a Kafka topic",
                            topic->name);
    else if (known->received_ms == 0) /* the answer to a request by name lacks it */
        kafka_task_end_fail(batch_task, now_ms, "Kafka reports nothing of topic %s", topic->name);
    else if (known->error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        kafka_task_end_fail(batch_task, now_ms, "Kafka topic %s does not exist", topic->name);
    else if (known->error != RD_KAFKA_RESP_ERR_NO_ERROR)
        kafka_task_end_fail(batch_task, now_ms, "Kafka topic %s: %s", topic->name,
                            rd_kafka_err2str(known->error));
    else
        return check_count(batch_task, batch_task->partition_count, now_ms);
    return false;
}

void kafka_partitions_request_offset(struct kafka_batch_topic *topic, int32_t partition,
                                     bool is_earliest)
{
    struct kafka_batch *batch = topic->batch;
    struct kafka_ends *ends = &topic->partitions[partition];
    struct kafka_known_offset *offset = is_earliest ? &ends->earliest : &ends->latest;
    offset->leader = kafka_topics_leader(topic->known, partition);
    offset->has_old_leader = topic->known->received_ms < batch->began_ms;
    if (offset->leader < 0) {
        if (offset->state != KAFKA_OFFSET_KNOWN)
            offset->state = KAFKA_OFFSET_FAILED;
        offset->error = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
        kafka_topics_outdate(kafka_metadata_topics(batch->session->metadata), topic->known);
        return;
    }
    if (offset->state == KAFKA_OFFSET_KNOWN) {
        offset->again_step = kafka_batch_next_step(batch);
    } else {
        offset->state = KAFKA_OFFSET_REQUESTED;
        offset->requested_step = kafka_batch_next_step(batch);
    }
    const struct kafka_offset_request request = {
        .topic = topic->name,
        .partition = partition,
        .leader = offset->leader,
        .is_earliest = is_earliest,
        .deadline_ms = batch->deadline_ms,
        .owner = batch,
        .context = topic,
    };
    kafka_offsets_add(batch->session->offsets, &request);
}

static void add_group_topic(struct kafka_batch_task *batch_task,
                            struct kafka_group_topic *group_topic)
{
    batch_task->topics = memory_grow(batch_task->topics, &batch_task->capacity,
                                     batch_task->count + 1, sizeof(struct kafka_group_topic *));
    const size_t bytes = batch_task->capacity * sizeof(struct kafka_group_topic *);
    if (bytes > batch_task->topics_bytes) {
        kafka_batch_count_bytes(batch_task->batch, bytes - batch_task->topics_bytes);
        batch_task->topics_bytes = bytes;
    }
    batch_task->topics[batch_task->count++] = group_topic;
}

static bool add_named_topic(struct kafka_batch_task *batch_task, const char *name, int64_t now_ms)
{
    struct kafka_batch_topic *topic = kafka_batch_topic_for(batch_task->batch, name);
    if (!check_topic(batch_task, topic, now_ms))
        return false;
    add_group_topic(batch_task, kafka_batch_group_topic_for(batch_task->group, topic));
    return true;
}

static void request_latest(const struct kafka_batch_task *batch_task,
                           const struct kafka_group_topic *group_topic)
{
    struct kafka_batch_topic *topic = group_topic->key.topic;
    for (int32_t i = -1; kafka_batch_next_of_topic(batch_task, group_topic, &i);) {
        if (group_topic->commits[i].state == KAFKA_OFFSET_UNKNOWN)
            group_topic->commits[i].state = KAFKA_OFFSET_REQUESTED;
        if (topic->partitions[i].latest.state == KAFKA_OFFSET_UNKNOWN)
            kafka_partitions_request_offset(topic, i, false);
    }
}

/* Once all topics are added: a task that fails by one of them requests nothing. */
static void request_all_latest(const struct kafka_batch_task *batch_task)
{
    for (size_t i = 0; i < batch_task->count; i++)
        request_latest(batch_task, batch_task->topics[i]);
}

static bool use_names(struct kafka_batch_task *batch_task, int64_t now_ms)
{
    for (size_t i = 0; i < batch_task->selection.count; i++)
        if (!add_named_topic(batch_task, batch_task->selection.names[i], now_ms))
            return false;
    return true;
}

/* False: the pattern was not known when the task began, and there is no memory for what matches. It
 * is known when the task begins again, where it waits for that memory. */
static bool has_memory(const struct kafka_batch_task *batch_task,
                       const struct kafka_pattern *pattern)
{
    const size_t bytes = kafka_patterns_list_bytes(pattern);
    return bytes <= batch_task->topics_bytes ||
           kafka_memory_for_tasks(&batch_task->batch->session->client.memory) >= (double)bytes;
}

static bool use_pattern(struct kafka_batch_task *batch_task, int64_t now_ms)
{
    const struct kafka_query *query = batch_task->task->query;
    const struct kafka_pattern *pattern = kafka_patterns_find(
        kafka_metadata_patterns(batch_task->batch->session->metadata), query->topic);
    if (pattern == NULL || pattern->count == 0) {
        kafka_task_end_fail(batch_task, now_ms, "no Kafka topic matches %s", query->topic);
        return false;
    }
    if (pattern->count > KAFKA_SELECTION_MAX_TOPICS) {
        kafka_task_end_fail(batch_task, now_ms, "%zu Kafka topics match %s, which is more than %d",
                            pattern->count, query->topic, KAFKA_SELECTION_MAX_TOPICS);
        return false;
    }
    if (!check_count(batch_task, pattern->partition_count, now_ms))
        return false;
    if (kafka_patterns_awaits_room(pattern) || !has_memory(batch_task, pattern)) {
        kafka_task_end_return(batch_task, false);
        return false;
    }
    if (pattern->lacks_room) {
        fail_for_room(batch_task, query->topic, now_ms);
        return false;
    }
    for (size_t i = 0; i < pattern->count; i++)
        if (pattern->topics[i] != NULL &&
            !add_named_topic(batch_task, pattern->topics[i]->name, now_ms))
            return false;
    return true;
}

/* partitionLimitation may leave no partition; or a pattern's topics have names that the library
 * refuses. */
static bool check_limitation_or_fail(struct kafka_batch_task *batch_task, int64_t now_ms)
{
    const struct kafka_query *query = batch_task->task->query;
    struct kafka_place at = KAFKA_PLACE_FIRST;
    if (kafka_batch_next_partition(batch_task, &at))
        return true;
    if (query->partition_limitation.count > 0)
        kafka_task_end_fail(
            batch_task, now_ms,
            "topic %s selects %zu Kafka partitions, and none of them is in partitionLimitation",
            query->topic, batch_task->partition_count);
    else
        kafka_task_end_fail(batch_task, now_ms, "topic %s selects no Kafka partition",
                            query->topic);
    return false;
}

bool kafka_partitions_use_selection(struct kafka_batch_task *batch_task, int64_t now_ms)
{
    bool is_used = batch_task->selection.kind == KAFKA_SELECTION_OF_PATTERN
                       ? use_pattern(batch_task, now_ms)
                       : use_names(batch_task, now_ms);
    if (!is_used || !check_limitation_or_fail(batch_task, now_ms))
        return false;
    request_all_latest(batch_task);
    return true;
}

void kafka_partitions_use_committed(struct kafka_batch_task *batch_task, int64_t now_ms)
{
    const struct kafka_query *query = batch_task->task->query;
    for (struct kafka_group_topic *topic = batch_task->group->topics; topic != NULL;
         topic = topic->next)
        if (topic->is_named) {
            if (!check_topic(batch_task, topic->key.topic, now_ms))
                return;
            add_group_topic(batch_task, topic);
        }
    request_all_latest(batch_task);
    if (batch_task->count == 0 && !query->scale_to_zero_on_invalid_offset)
        kafka_task_end_fail(
            batch_task, now_ms,
            "Kafka group %s has committed nothing yet, so its topics are not known: "
            "set topic, or scaleToZeroOnInvalidOffset to count 0 until it has",
            batch_task->group->name);
}
