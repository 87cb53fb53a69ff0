#include "kafka/measure/needs.h"

#include "base/clock.h"
#include "base/memory.h"
#include "kafka/measure/lag.h"

static void fail_of_partitions(struct kafka_batch_task *batch_task)
{
    kafka_batch_fail(batch_task,
                     "the Kafka topics have more than %d partitions: select fewer with topic, or "
                     "use several triggers",
                     KAFKA_SELECTION_MAX_PARTITIONS);
}

/* Whether the topic can be measured at all, with those before it; if not, the task has failed. */
static bool topic_check(struct kafka_batch_task *batch_task, const struct kafka_batch_topic *topic)
{
    const struct kafka_topic *known = topic->known;
    batch_task->partitions += known == NULL ? 0 : (size_t)known->partitions;
    if (known == NULL)
        kafka_batch_fail(batch_task, "%s is no valid name of a Kafka topic", topic->name);
    else if (known->received_ms == 0)
        kafka_batch_fail(batch_task, "Kafka reports nothing of topic %s", topic->name);
    else if (known->error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        kafka_batch_fail(batch_task, "Kafka topic %s does not exist", topic->name);
    else if (known->error != RD_KAFKA_RESP_ERR_NO_ERROR)
        kafka_batch_fail(batch_task, "Kafka topic %s: %s", topic->name,
                         rd_kafka_err2str(known->error));
    else if (batch_task->partitions > KAFKA_SELECTION_MAX_PARTITIONS)
        fail_of_partitions(batch_task);
    return batch_task->task != NULL;
}

void kafka_needs_offset(struct kafka_batch_topic *topic, int32_t partition, bool is_earliest)
{
    struct kafka_batch *batch = topic->batch;
    struct kafka_partition *offsets = &topic->partitions[partition];
    struct kafka_offset *offset = is_earliest ? &offsets->earliest : &offsets->latest;
    *offset = (struct kafka_offset){.state = KAFKA_OFFSET_REQUESTED, .requested = ++batch->step};
    const struct kafka_offset_request request = {
        .topic = topic->name,
        .partition = partition,
        .leader = kafka_topic_leader(topic->known, partition),
        .is_earliest = is_earliest,
        .deadline_ms = batch->deadline_ms,
        .owner = batch,
        .context = topic,
        .calls = &batch->offset_calls,
    };
    if (request.leader >= 0) {
        kafka_offsets_add(batch->session->offsets, &request);
        return;
    }
    offset->state = KAFKA_OFFSET_FAILED;
    offset->error = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
    kafka_metadata_outdate(batch->session->metadata, topic->known);
}

static void task_add(struct kafka_batch_task *batch_task, struct kafka_group_topic *group_topic)
{
    struct kafka_batch_topic *topic = group_topic->key.topic;
    batch_task->topics = memory_grow(batch_task->topics, &batch_task->capacity,
                                     batch_task->count + 1, sizeof(struct kafka_group_topic *));
    batch_task->topics[batch_task->count++] = group_topic;
    for (int32_t i = 0; i < topic->count; i++) {
        if (!kafka_lag_counts(batch_task->task->query, i))
            continue;
        if (group_topic->commits[i].state == KAFKA_OFFSET_UNKNOWN)
            group_topic->commits[i].state = KAFKA_OFFSET_REQUESTED;
        if (topic->partitions[i].latest.state == KAFKA_OFFSET_UNKNOWN)
            kafka_needs_offset(topic, i, false);
    }
}

static bool task_add_topic(struct kafka_batch_task *batch_task, const char *name)
{
    struct kafka_batch_topic *topic = kafka_batch_find_topic(batch_task->batch, name);
    if (!topic_check(batch_task, topic))
        return false;
    task_add(batch_task, kafka_batch_add_topic(batch_task->group, topic));
    return true;
}

static bool use_names(struct kafka_batch_task *batch_task)
{
    for (size_t i = 0; i < batch_task->selection.count; i++)
        if (!task_add_topic(batch_task, batch_task->selection.names[i]))
            return false;
    return true;
}

static bool use_pattern(struct kafka_batch_task *batch_task)
{
    const struct kafka_query *query = batch_task->task->query;
    const struct kafka_pattern *pattern =
        kafka_metadata_pattern(batch_task->batch->session->metadata, query->topic);
    if (pattern == NULL || pattern->count == 0) {
        kafka_batch_fail(batch_task, "no Kafka topic matches %s", query->topic);
        return false;
    }
    if (pattern->count > KAFKA_SELECTION_MAX_TOPICS) {
        kafka_batch_fail(batch_task, "%zu Kafka topics match %s, which is more than %d",
                         pattern->count, query->topic, KAFKA_SELECTION_MAX_TOPICS);
        return false;
    }
    if (pattern->partitions > KAFKA_SELECTION_MAX_PARTITIONS) {
        fail_of_partitions(batch_task);
        return false;
    }
    for (size_t i = 0; i < pattern->count; i++)
        if (pattern->topics[i] != NULL && !task_add_topic(batch_task, pattern->topics[i]->name))
            return false;
    return true;
}

/* partitionLimitation may leave none of them. */
static bool has_partitions(struct kafka_batch_task *batch_task)
{
    const struct kafka_query *query = batch_task->task->query;
    int32_t partitions = 0;
    for (size_t i = 0; i < batch_task->count; i++) {
        const struct kafka_batch_topic *topic = batch_task->topics[i]->key.topic;
        for (int32_t j = 0; j < topic->count; j++)
            if (kafka_lag_counts(query, j))
                return true;
        partitions += topic->count;
    }
    kafka_batch_fail(batch_task,
                     "Kafka topic %s has %d partitions, and none of them is in partitionLimitation",
                     query->topic, partitions);
    return false;
}

static void task_prepare(struct kafka_batch *batch, struct kafka_batch_task *batch_task)
{
    const struct kafka_query *query = batch_task->task->query;
    enum kafka_selection_kind kind = batch_task->selection.kind;
    struct kafka_batch_group *group = kafka_batch_find_group(batch, query->consumer_group);
    batch_task->group = group;
    group->open++;
    if (kind == KAFKA_SELECTION_OF_GROUP)
        group->wants_all = true;
    else if (!(kind == KAFKA_SELECTION_OF_PATTERN ? use_pattern(batch_task)
                                                  : use_names(batch_task)) ||
             !has_partitions(batch_task))
        return;
    /* What is isolated is slow as it is. */
    if (batch_task->task->wants & READING_CONSUMERS && !batch->isolate)
        group->wants_members = true;
    batch_task->next = group->tasks;
    group->tasks = batch_task;
}

/* Of the commits to request; NULL: all that there are. The caller destroys it. */
static rd_kafka_topic_partition_list_t *partitions_of(const struct kafka_batch_group *group)
{
    if (group->wants_all)
        return NULL;
    rd_kafka_topic_partition_list_t *partitions = rd_kafka_topic_partition_list_new(0);
    for (struct kafka_group_topic *topic = group->topics; topic != NULL; topic = topic->next)
        for (int32_t i = 0; i < topic->key.topic->count; i++)
            if (topic->commits[i].state == KAFKA_OFFSET_REQUESTED)
                rd_kafka_topic_partition_list_add(partitions, topic->key.topic->name, i);
    return partitions;
}

/* Another batch, which waited for its topics as well, may have been sooner: the tasks come again. */
static void group_return(struct kafka_batch_group *group)
{
    for (struct kafka_batch_task *task = group->tasks; task != NULL; task = task->next)
        if (task->task != NULL)
            task_return(kafka_batch_release(task, true), false);
}

static void group_send(struct kafka_batch_group *group)
{
    _cleanup_(error_done) struct error error = {0};
    struct kafka_commits *commits = group->batch->session->commits;
    if (!kafka_commits_is_free(commits, group->name, group->request.isolate, clock_now_ms())) {
        group_return(group);
        return;
    }
    rd_kafka_topic_partition_list_t *partitions = partitions_of(group);
    if (group->wants_members)
        kafka_members_request(group->batch->session->members, group->name, clock_now_ms());
    if (!kafka_commits_send(commits, &group->request, partitions, &error))
        for (struct kafka_batch_task *task = group->tasks; task != NULL; task = task->next)
            if (task->task != NULL)
                task_fail(kafka_batch_release(task, false), &error);
    if (partitions != NULL)
        rd_kafka_topic_partition_list_destroy(partitions);
}

void kafka_needs_send(struct kafka_batch *batch)
{
    batch->is_sent = true;
    for (size_t i = 0; i < batch->count; i++)
        if (batch->tasks[i].task != NULL)
            task_prepare(batch, &batch->tasks[i]);
    for (struct kafka_batch_group *group = batch->groups; group != NULL; group = group->hh.next)
        if (group->open > 0)
            group_send(group);
}

void kafka_needs_committed(struct kafka_batch_task *batch_task)
{
    const struct kafka_query *query = batch_task->task->query;
    for (struct kafka_group_topic *topic = batch_task->group->topics; topic != NULL;
         topic = topic->next)
        if (topic->has_commit) {
            if (!topic_check(batch_task, topic->key.topic))
                return;
            task_add(batch_task, topic);
        }
    if (batch_task->count == 0 && !query->scale_to_zero_on_invalid_offset)
        kafka_batch_fail(batch_task,
                         "Kafka group %s has committed nothing yet, so its topics are not known: "
                         "set topic, or scaleToZeroOnInvalidOffset to count 0 until it has",
                         batch_task->group->name);
}
