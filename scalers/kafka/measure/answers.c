#include "kafka/measure/answers.h"

#include "base/memory.h"
#include "base/text.h"
#include "kafka/measure/count.h"
#include "kafka/measure/needs.h"

static void take_partitions(struct kafka_batch_group *group,
                            const rd_kafka_topic_partition_list_t *partitions)
{
    for (int i = 0; i < partitions->cnt; i++) {
        const rd_kafka_topic_partition_t *result = &partitions->elems[i];
        struct kafka_group_topic *topic =
            group->wants_all && result->offset >= 0
                ? kafka_batch_add_topic(group, kafka_batch_find_topic(group->batch, result->topic))
                : kafka_batch_find_group_topic(group, result->topic);
        if (topic == NULL || result->partition < 0)
            continue;
        topic->has_commit = topic->has_commit || result->offset >= 0;
        if (result->partition >= topic->key.topic->count)
            continue;
        bool is_known = result->err == RD_KAFKA_RESP_ERR_NO_ERROR;
        topic->commits[result->partition] = (struct kafka_offset){
            .state = is_known ? KAFKA_OFFSET_KNOWN : KAFKA_OFFSET_FAILED,
            .value = result->offset < 0 ? -1 : result->offset,
            .error = result->err,
        };
    }
}

/* Where all was requested, what has no commit is left out; where partitions were named, nothing must be. */
static void fill_gaps(struct kafka_batch_group *group)
{
    const struct kafka_offset none = {.state = KAFKA_OFFSET_KNOWN, .value = -1};
    const struct kafka_offset missing = {.state = KAFKA_OFFSET_FAILED,
                                         .error = RD_KAFKA_RESP_ERR__BAD_MSG};
    for (struct kafka_group_topic *topic = group->topics; topic != NULL; topic = topic->next)
        for (int32_t i = 0; i < topic->key.topic->count; i++)
            if (topic->commits[i].state == KAFKA_OFFSET_UNKNOWN ||
                topic->commits[i].state == KAFKA_OFFSET_REQUESTED)
                topic->commits[i] = group->wants_all ? none : missing;
}

static void take_commits(struct kafka_batch_group *group,
                         const rd_kafka_topic_partition_list_t *partitions)
{
    group->answered = ++group->batch->step;
    if (partitions != NULL)
        take_partitions(group, partitions);
    fill_gaps(group);
    for (struct kafka_batch_task *task = group->tasks; task != NULL; task = task->next)
        if (task->task != NULL && task->selection.kind == KAFKA_SELECTION_OF_GROUP)
            kafka_needs_committed(task);
}

#define STRING(number) STRING_OF(number)
#define STRING_OF(words) #words
static const char too_many[] =
    "they are of more than " STRING(KAFKA_SELECTION_MAX_TOPICS) " topics: set topic";

/* Each topic that the library knows costs memory for as long as the handle lives. */
static bool has_too_many_topics(const rd_kafka_topic_partition_list_t *partitions)
{
    size_t count = 0;
    for (int i = 0; i < partitions->cnt; i++)
        count += i == 0 || !text_equal(partitions->elems[i - 1].topic, partitions->elems[i].topic);
    return count > KAFKA_SELECTION_MAX_TOPICS;
}

/* The number of the request for metadata that the topics of the commits need; 0: none. */
static uint64_t metadata_needed(struct kafka_metadata *metadata,
                                const rd_kafka_topic_partition_list_t *partitions)
{
    uint64_t needed = 0;
    const char *last = NULL;
    for (int i = 0; i < partitions->cnt; i++) {
        const rd_kafka_topic_partition_t *result = &partitions->elems[i];
        if (result->offset < 0 || (last != NULL && text_equal(last, result->topic)))
            continue;
        last = result->topic;
        const struct kafka_topic *topic = kafka_metadata_topic(metadata, result->topic);
        uint64_t number = topic == NULL ? 0 : kafka_metadata_need_topic(metadata, topic);
        needed = number > needed ? number : needed;
    }
    return needed;
}

/* The library may give up a moment before the tasks' own time is over. */
static void group_fail(struct kafka_batch_group *group, const char *reason, bool is_late)
{
    for (struct kafka_batch_task *task = group->tasks; task != NULL; task = task->next)
        if (task->task != NULL && is_late)
            kafka_count_time_out(task);
        else if (task->task != NULL)
            kafka_batch_fail(task, "the commits of Kafka group %s: %s", group->name, reason);
}

bool kafka_answers_take_commits(struct kafka_batch_group *group, rd_kafka_event_t *event)
{
    const char *reason = NULL;
    bool is_timeout;
    struct kafka_metadata *metadata = group->batch->session->metadata;
    const rd_kafka_topic_partition_list_t *partitions =
        kafka_commits_result(event, &reason, &is_timeout);
    uint64_t number = 0;
    if (reason != NULL)
        group_fail(group, reason, is_timeout);
    else if (group->wants_all && partitions != NULL && has_too_many_topics(partitions))
        group_fail(group, reason = too_many, false);
    else if (group->wants_all && partitions != NULL)
        number = metadata_needed(metadata, partitions);
    if (number > 0) {
        group->commits = event;
        group->metadata_request = number;
        kafka_metadata_request(metadata, number);
        return false;
    }
    if (reason == NULL)
        take_commits(group, partitions);
    rd_kafka_event_destroy(event);
    return reason == NULL;
}

void kafka_answers_take_waiting(struct kafka_batch_group *group)
{
    const char *reason = NULL;
    bool is_timeout;
    rd_kafka_event_t *event = TAKE(group->commits);
    take_commits(group, kafka_commits_result(event, &reason, &is_timeout));
    rd_kafka_event_destroy(event);
}

static rd_kafka_resp_err_t error_of(const struct kafka_offset_answer *answer,
                                    const rd_kafka_topic_partition_t *result)
{
    if (answer->error != RD_KAFKA_RESP_ERR_NO_ERROR)
        return answer->error;
    if (result->offset < 0 && result->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        return RD_KAFKA_RESP_ERR__BAD_MSG;
    return result->err;
}

void kafka_answers_take_offsets(const struct kafka_offset_answer *answer)
{
    for (int i = 0; i < answer->list->cnt; i++) {
        const rd_kafka_topic_partition_t *result = &answer->list->elems[i];
        struct kafka_batch_topic *topic = result->opaque;
        struct kafka_partition *partition = &topic->partitions[result->partition];
        struct kafka_offset *offset =
            answer->is_earliest ? &partition->earliest : &partition->latest;
        rd_kafka_resp_err_t error = error_of(answer, result);
        offset->state =
            error == RD_KAFKA_RESP_ERR_NO_ERROR ? KAFKA_OFFSET_KNOWN : KAFKA_OFFSET_FAILED;
        offset->value = result->offset;
        offset->error = error;
        if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
            kafka_metadata_outdate(topic->batch->session->metadata, topic->known);
    }
}
