#include "kafka/batch.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "kafka/lag.h"

#include <stdarg.h>
#include <string.h>
#include <utlist.h>

/* ---- tasks ---- */

/* Of the partitions that are its own, what it did not measure starts anew. Others of the topic may be
 * another task's, which is measured less often. */
static void settle_stalls(const struct kafka_batch_task *batch_task)
{
    const struct kafka_batch *batch = batch_task->batch;
    const struct kafka_query *query = batch_task->task->query;
    if (!query->exclude_persistent_lag)
        return;
    for (size_t i = 0; i < batch_task->count; i++) {
        const struct kafka_batch_topic *topic = batch_task->topics[i]->key.topic;
        struct kafka_stall *stall = kafka_stall_use(
            &batch->session->stalls, batch_task->group->name, topic->name, topic->count);
        for (int32_t j = 0; j < topic->count; j++)
            if (kafka_lag_counts(query, j))
                kafka_stall_settle(stall, j, batch->began_ms);
    }
}

struct task *kafka_batch_release(struct kafka_batch_task *batch_task, bool is_answered)
{
    if (!is_answered)
        settle_stalls(batch_task);
    batch_task->batch->open--;
    if (batch_task->group != NULL)
        batch_task->group->open--;
    batch_task->task->data = NULL;
    return TAKE(batch_task->task);
}

void kafka_batch_fail(struct kafka_batch_task *batch_task, const char *format, ...)
{
    _cleanup_(text_done) struct text text = {0};
    va_list arguments;
    va_start(arguments, format);
    text_addv(&text, format, arguments);
    va_end(arguments);
    task_failf(kafka_batch_release(batch_task, false), "%s", text.bytes);
}

/* ---- topics and groups ---- */

static struct kafka_batch_topic *topic_find(struct kafka_batch *batch, const char *name)
{
    struct kafka_batch_topic *topic;
    HASH_FIND_STR(batch->topics, name, topic);
    if (topic != NULL)
        return topic;
    topic = memory_new(sizeof(*topic));
    topic->batch = batch;
    topic->known = kafka_metadata_topic(batch->session->metadata, name);
    topic->name = text_copy(name);
    HASH_ADD_KEYPTR(hh, batch->topics, topic->name, strlen(topic->name), topic);
    return topic;
}

static struct kafka_batch_group *group_find(struct kafka_batch *batch, const char *name)
{
    struct kafka_batch_group *group;
    HASH_FIND_STR(batch->groups, name, group);
    if (group != NULL)
        return group;
    group = memory_new(sizeof(*group));
    group->batch = batch;
    group->name = text_copy(name);
    group->request =
        (struct kafka_commits_request){.group = group->name, .isolate = batch->isolate};
    HASH_ADD_KEYPTR(hh, batch->groups, group->name, strlen(group->name), group);
    return group;
}

static struct kafka_group_topic *group_topic_find(struct kafka_batch_group *group,
                                                  struct kafka_batch_topic *topic)
{
    struct kafka_batch *batch = group->batch;
    struct kafka_group_topic wanted = {.key = {group, topic}};
    struct kafka_group_topic *found;
    HASH_FIND(hh, batch->group_topics, &wanted.key, sizeof(wanted.key), found);
    if (found != NULL)
        return found;
    found = memory_new(sizeof(*found));
    found->key.group = group;
    found->key.topic = topic;
    found->commits = memory_array((size_t)topic->count + 1, sizeof(*found->commits));
    found->next = group->topics;
    group->topics = found;
    HASH_ADD(hh, batch->group_topics, key, sizeof(found->key), found);
    return found;
}

/* What is known of the topic's partitions now is what this batch goes by, to its end. */
static void topic_begin(struct kafka_batch_topic *topic)
{
    if (topic->known == NULL || topic->partitions != NULL)
        return;
    topic->count = topic->known->partitions;
    topic->partitions = memory_array((size_t)topic->count + 1, sizeof(*topic->partitions));
}

struct kafka_group_topic *kafka_batch_add_topic(struct kafka_batch_group *group, const char *name)
{
    struct kafka_batch_topic *topic = topic_find(group->batch, name);
    topic_begin(topic);
    return group_topic_find(group, topic);
}

/* ---- begin ---- */

static void name_topics(struct kafka_batch *batch, struct kafka_batch_task *batch_task)
{
    struct kafka_metadata *metadata = batch->session->metadata;
    const struct kafka_query *query = batch_task->task->query;
    const struct kafka_selection *selection = &batch_task->selection;
    uint64_t number = 0;
    for (size_t i = 0; i < selection->count; i++) {
        const struct kafka_topic *known = topic_find(batch, selection->names[i])->known;
        number = known == NULL ? 0 : kafka_metadata_need_topic(metadata, known);
        if (number > batch->metadata_request)
            batch->metadata_request = number;
    }
    if (selection->kind == KAFKA_SELECTION_OF_PATTERN) {
        const struct kafka_pattern *pattern = kafka_metadata_pattern(metadata, query->topic);
        number = pattern == NULL ? 0 : kafka_metadata_need_pattern(metadata, pattern);
        if (number > batch->metadata_request)
            batch->metadata_request = number;
    }
}

struct kafka_batch *kafka_batch_new(struct kafka_session *session, struct task *tasks, size_t count,
                                    bool isolate, int64_t now_ms)
{
    struct kafka_batch *batch = memory_new(sizeof(*batch));
    *batch = (struct kafka_batch){.session = session,
                                  .isolate = isolate,
                                  .began_ms = now_ms,
                                  .next_deadline_ms = CLOCK_NEVER,
                                  .count = count,
                                  .open = count};
    batch->tasks = memory_array(count, sizeof(*batch->tasks));
    struct kafka_batch_task *batch_task = batch->tasks;
    struct task *task;
    DL_FOREACH(tasks, task)
    {
        const struct kafka_query *query = task->query;
        batch_task->task = task;
        batch_task->batch = batch;
        task->data = batch_task;
        kafka_selection_init(&batch_task->selection, query->topic);
        name_topics(batch, batch_task++);
        if (task->deadline_ms > batch->deadline_ms)
            batch->deadline_ms = task->deadline_ms;
        if (task->deadline_ms < batch->next_deadline_ms)
            batch->next_deadline_ms = task->deadline_ms;
    }
    return batch;
}

/* ---- what each task needs ---- */

/* Whether the topic can be measured at all; if not, the task has failed. */
static bool topic_check(struct kafka_batch_task *batch_task, const struct kafka_batch_topic *topic)
{
    const struct kafka_topic *known = topic->known;
    if (known == NULL)
        kafka_batch_fail(batch_task, "%s is no valid name of a Kafka topic", topic->name);
    else if (known->received_ms == 0)
        kafka_batch_fail(batch_task, "Kafka reports nothing of topic %s", topic->name);
    else if (known->error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        kafka_batch_fail(batch_task, "Kafka topic %s does not exist", topic->name);
    else if (known->error != RD_KAFKA_RESP_ERR_NO_ERROR)
        kafka_batch_fail(batch_task, "Kafka topic %s: %s", topic->name,
                         rd_kafka_err2str(known->error));
    return batch_task->task != NULL;
}

void kafka_batch_request_offset(struct kafka_batch_topic *topic, int32_t partition,
                                bool is_earliest)
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
            kafka_batch_request_offset(topic, i, false);
    }
}

static bool task_add_topic(struct kafka_batch_task *batch_task, const char *name)
{
    struct kafka_batch_topic *topic = topic_find(batch_task->batch, name);
    if (!topic_check(batch_task, topic))
        return false;
    topic_begin(topic);
    task_add(batch_task, group_topic_find(batch_task->group, topic));
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

static void task_sort(struct kafka_batch *batch, struct kafka_batch_task *batch_task)
{
    const struct kafka_query *query = batch_task->task->query;
    enum kafka_selection_kind kind = batch_task->selection.kind;
    struct kafka_batch_group *group = group_find(batch, query->consumer_group);
    batch_task->group = group;
    group->open++;
    if (kind == KAFKA_SELECTION_OF_GROUP)
        group->wants_all = true;
    else if (!(kind == KAFKA_SELECTION_OF_PATTERN ? use_pattern(batch_task)
                                                  : use_names(batch_task)) ||
             !has_partitions(batch_task))
        return;
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
    if (!kafka_commits_send(commits, &group->request, partitions, &error))
        for (struct kafka_batch_task *task = group->tasks; task != NULL; task = task->next)
            if (task->task != NULL)
                task_fail(kafka_batch_release(task, false), &error);
    if (partitions != NULL)
        rd_kafka_topic_partition_list_destroy(partitions);
}

void kafka_batch_sort(struct kafka_batch *batch)
{
    batch->is_sorted = true;
    for (size_t i = 0; i < batch->count; i++)
        if (batch->tasks[i].task != NULL)
            task_sort(batch, &batch->tasks[i]);
    for (struct kafka_batch_group *group = batch->groups; group != NULL; group = group->hh.next)
        if (group->open > 0)
            group_send(group);
}

void kafka_batch_use_committed(struct kafka_batch_task *batch_task)
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

/* ---- end ---- */

static void group_free(struct kafka_batch_group *group)
{
    kafka_commits_cancel(group->batch->session->commits, &group->request);
    if (group->commits != NULL)
        rd_kafka_event_destroy(group->commits);
    free(group->name);
    free(group);
}

void kafka_batch_free(struct kafka_batch *batch)
{
    struct kafka_group_topic *group_topic;
    struct kafka_group_topic *next_group_topic;
    HASH_ITER(hh, batch->group_topics, group_topic, next_group_topic)
    {
        HASH_DEL(batch->group_topics, group_topic);
        free(group_topic->commits);
        free(group_topic);
    }
    struct kafka_batch_group *group;
    struct kafka_batch_group *next_group;
    HASH_ITER(hh, batch->groups, group, next_group)
    {
        HASH_DEL(batch->groups, group);
        group_free(group);
    }
    struct kafka_batch_topic *topic;
    struct kafka_batch_topic *next_topic;
    HASH_ITER(hh, batch->topics, topic, next_topic)
    {
        HASH_DEL(batch->topics, topic);
        free(topic->partitions);
        free(topic->name);
        free(topic);
    }
    for (size_t i = 0; i < batch->count; i++) {
        kafka_selection_done(&batch->tasks[i].selection);
        free(batch->tasks[i].topics);
    }
    free(batch->tasks);
    free(batch);
}
