#include "kafka/measure/batch.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "kafka/options.h"

#include <string.h>
#include <utlist.h>

enum { PER_STRUCT = 100 }; /* bytes for its name, and what malloc() and a hash table add */

void kafka_batch_count_bytes(struct kafka_batch *batch, size_t bytes)
{
    batch->bytes += (double)bytes;
    kafka_memory_add(&batch->session->client.memory, KAFKA_ACCOUNT_BATCHES, (double)bytes);
}

/* ---- topics and groups ---- */

struct kafka_batch_topic *kafka_batch_topic_for(struct kafka_batch *batch, const char *name)
{
    struct kafka_batch_topic *topic;
    HASH_FIND_STR(batch->topics, name, topic);
    if (topic != NULL)
        return topic;
    topic = memory_new(sizeof(*topic));
    kafka_batch_count_bytes(batch, sizeof(*topic) + PER_STRUCT);
    topic->batch = batch;
    struct kafka_topics *topics = kafka_metadata_topics(batch->session->metadata);
    topic->known = kafka_topics_hold(topics, name, batch->began_ms);
    topic->lacks_room =
        topic->known == NULL && !kafka_handle_topics_has_room(&topics->in_handle, name, 0);
    topic->name = text_copy(name);
    HASH_ADD_KEYPTR(hh, batch->topics, topic->name, strlen(topic->name), topic);
    return topic;
}

void kafka_batch_need_topic(const struct kafka_batch_topic *topic, int64_t now_ms,
                            struct kafka_metadata_need *need)
{
    const struct kafka_metadata *metadata = topic->batch->session->metadata;
    if (topic->known != NULL)
        kafka_metadata_need_topic(metadata, topic->known, now_ms, need);
    else if (topic->lacks_room)
        kafka_metadata_need_sizes(metadata, need);
}

struct kafka_batch_group *kafka_batch_group_for(struct kafka_batch *batch, const char *name)
{
    struct kafka_batch_group *group;
    HASH_FIND_STR(batch->groups, name, group);
    if (group != NULL)
        return group;
    group = memory_new(sizeof(*group));
    kafka_batch_count_bytes(batch, sizeof(*group) + PER_STRUCT);
    group->batch = batch;
    group->name = text_copy(name);
    group->request =
        (struct kafka_commits_request){.group = group->name, .isolate = batch->isolate};
    group->share = (struct kafka_share){
        .owner = group, .group = group->name, .isolate = batch->isolate, .tasks = &group->open};
    HASH_ADD_KEYPTR(hh, batch->groups, group->name, strlen(group->name), group);
    return group;
}

static struct kafka_group_topic *group_topic_find(struct kafka_batch_group *group,
                                                  struct kafka_batch_topic *topic)
{
    const struct kafka_group_topic wanted = {.key = {group, topic}};
    struct kafka_group_topic *found;
    HASH_FIND(hh, group->batch->group_topics, &wanted.key, sizeof(wanted.key), found);
    return found;
}

struct kafka_group_topic *kafka_batch_find_group_topic(struct kafka_batch_group *group,
                                                       const char *name)
{
    struct kafka_batch_topic *topic;
    HASH_FIND_STR(group->batch->topics, name, topic);
    return topic == NULL ? NULL : group_topic_find(group, topic);
}

/* The batch goes on with the partitions that the metadata has now. */
static void topic_set_partitions(struct kafka_batch_topic *topic)
{
    if (topic->known == NULL || topic->partitions != NULL)
        return;
    topic->count = topic->known->partition_count;
    topic->partitions = memory_array((size_t)topic->count + 1, sizeof(*topic->partitions));
    kafka_batch_count_bytes(topic->batch, (size_t)topic->count * sizeof(*topic->partitions));
}

struct kafka_group_topic *kafka_batch_group_topic_for(struct kafka_batch_group *group,
                                                      struct kafka_batch_topic *topic)
{
    struct kafka_batch *batch = group->batch;
    struct kafka_group_topic *found = group_topic_find(group, topic);
    if (found != NULL)
        return found;
    topic_set_partitions(topic);
    found = memory_new(sizeof(*found));
    found->key.group = group;
    found->key.topic = topic;
    found->commits = memory_array((size_t)topic->count + 1, sizeof(*found->commits));
    kafka_batch_count_bytes(batch, sizeof(*found) + (size_t)topic->count * sizeof(*found->commits) +
                                       PER_STRUCT);
    found->next = group->topics;
    group->topics = found;
    HASH_ADD(hh, batch->group_topics, key, sizeof(found->key), found);
    return found;
}

/* ---- tasks ---- */

void kafka_batch_set_group(struct kafka_batch_task *batch_task, struct kafka_batch_group *group)
{
    batch_task->group = group;
    group->open++;
}

static void group_release(struct kafka_batch_group *group)
{
    struct kafka_session *session = group->batch->session;
    kafka_commits_cancel(session->commits, &group->request);
    if (group->has_members)
        kafka_members_release(session->members, group->name);
    kafka_space_release(&session->space, &group->share);
}

struct task *kafka_batch_take_task(struct kafka_batch_task *batch_task)
{
    struct kafka_batch_group *group = batch_task->group;
    batch_task->batch->open--;
    if (group != NULL && --group->open == 0)
        group_release(group);
    batch_task->task->data = NULL;
    return TAKE(batch_task->task);
}

unsigned kafka_batch_next_step(struct kafka_batch *batch)
{
    return ++batch->step;
}

/* ---- begin ---- */

static void name_topics(struct kafka_batch *batch, struct kafka_batch_task *batch_task)
{
    struct kafka_metadata *metadata = batch->session->metadata;
    const struct kafka_query *query = batch_task->task->query;
    const struct kafka_selection *selection = &batch_task->selection;
    for (size_t i = 0; i < selection->count; i++)
        kafka_batch_need_topic(kafka_batch_topic_for(batch, selection->names[i]), batch->began_ms,
                               &batch->need);
    const struct kafka_pattern *pattern =
        selection->kind == KAFKA_SELECTION_OF_PATTERN
            ? kafka_patterns_for(kafka_metadata_patterns(metadata), query->topic, batch->began_ms)
            : NULL;
    if (pattern != NULL) {
        batch_task->topics_bytes = kafka_patterns_list_bytes(pattern);
        kafka_batch_count_bytes(batch, batch_task->topics_bytes);
        kafka_metadata_need_pattern(metadata, pattern, batch->began_ms, &batch->need);
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
    kafka_batch_count_bytes(batch, count * (sizeof(*batch->tasks) + KAFKA_MEMORY_PER_TASK));
    struct kafka_batch_task *batch_task = batch->tasks;
    struct task *task;
    DL_FOREACH(tasks, task) {
        const struct kafka_query *query = task->query;
        kafka_batch_count_bytes(batch, kafka_selection_bytes(query->topic));
        batch_task->task = task;
        task->data = batch_task;
        batch_task->batch = batch;
        kafka_selection_init(&batch_task->selection, query->topic);
        name_topics(batch, batch_task++);
        if (task->deadline_ms > batch->deadline_ms)
            batch->deadline_ms = task->deadline_ms;
        if (task->deadline_ms < batch->next_deadline_ms)
            batch->next_deadline_ms = task->deadline_ms;
    }
    return batch;
}

/* ---- what a task counts ---- */

bool kafka_batch_next_of_topic(const struct kafka_batch_task *batch_task,
                               const struct kafka_group_topic *group_topic, int32_t *partition)
{
    while (++*partition < group_topic->key.topic->count)
        if (kafka_query_has_partition(batch_task->task->query, *partition))
            return true;
    return false;
}

bool kafka_batch_next_partition(const struct kafka_batch_task *batch_task, struct kafka_place *at)
{
    for (; at->index < batch_task->count; at->index++, at->partition = -1) {
        at->group_topic = batch_task->topics[at->index];
        at->topic = at->group_topic->key.topic;
        if (kafka_batch_next_of_topic(batch_task, at->group_topic, &at->partition))
            return true;
    }
    return false;
}

struct kafka_persistence *kafka_batch_persistence_for(const struct kafka_group_topic *group_topic,
                                                      int64_t now_ms)
{
    const struct kafka_batch_group *group = group_topic->key.group;
    const struct kafka_batch_topic *topic = group_topic->key.topic;
    struct kafka_session *session = group->batch->session;
    return kafka_persistence_for(&session->persistence, &session->client.memory, group->name,
                                 topic->name, topic->count, now_ms);
}

/* ---- end ---- */

static void group_free(struct kafka_batch_group *group)
{
    if (group->open > 0)
        group_release(group);
    if (group->commits != NULL)
        rd_kafka_topic_partition_list_destroy(group->commits);
    free(group->name);
    free(group);
}

void kafka_batch_free(struct kafka_batch *batch)
{
    kafka_offsets_cancel(batch->session->offsets, batch);
    struct kafka_group_topic *group_topic;
    struct kafka_group_topic *next_group_topic;
    HASH_ITER(hh, batch->group_topics, group_topic, next_group_topic) {
        HASH_DEL(batch->group_topics, group_topic);
        free(group_topic->commits);
        free(group_topic);
    }
    struct kafka_batch_group *group;
    struct kafka_batch_group *next_group;
    HASH_ITER(hh, batch->groups, group, next_group) {
        HASH_DEL(batch->groups, group);
        group_free(group);
    }
    struct kafka_batch_topic *topic;
    struct kafka_batch_topic *next_topic;
    HASH_ITER(hh, batch->topics, topic, next_topic) {
        HASH_DEL(batch->topics, topic);
        kafka_topics_release(topic->known);
        free(topic->partitions);
        free(topic->name);
        free(topic);
    }
    for (size_t i = 0; i < batch->count; i++) {
        kafka_selection_done(&batch->tasks[i].selection);
        free(batch->tasks[i].topics);
    }
    free(batch->tasks);
    kafka_memory_add(&batch->session->client.memory, KAFKA_ACCOUNT_BATCHES, -batch->bytes);
    free(batch);
}
