#include "scalers/kafka/one_task.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void note_end(struct task *task, enum task_outcome outcome, const struct reading *reading,
                     const struct error *error)
{
    struct one_task *fixture = (struct one_task *)task->feed;
    (void)reading;
    fixture->outcome = outcome;
    error_done(&fixture->error);
    if (error != NULL)
        error_copy(&fixture->error, error);
}

int one_task_set_up(void **state)
{
    static const struct feed_hooks hooks = {.end = note_end};
    static char jobs[] = "jobs";
    static char workers[] = "workers";
    struct one_task *fixture = memory_new(sizeof(*fixture));
    struct kafka_batch *batch = &fixture->batch;
    struct kafka_batch_topic *topic = &fixture->topic;
    struct kafka_group_topic *group_topic = &fixture->group_topic;
    batch->session = &fixture->session;
    fixture->session.client.memory.mappable_bytes = INFINITY;
    *topic = (struct kafka_batch_topic){
        .batch = batch, .name = jobs, .partitions = fixture->ends, .count = ONE_TASK_PARTITIONS};
    fixture->group = (struct kafka_batch_group){
        .request = {.group = workers}, .batch = batch, .name = workers, .answered_step = 2};
    *group_topic =
        (struct kafka_group_topic){.key = {&fixture->group, topic}, .commits = fixture->commits};
    HASH_ADD_KEYPTR(hh, batch->topics, topic->name, strlen(topic->name), topic);
    HASH_ADD(hh, batch->group_topics, key, sizeof(group_topic->key), group_topic);
    fixture->topics[0] = group_topic;
    fixture->query =
        (struct kafka_query){.topic = "jobs", .consumer_group = workers, .persistent_lag_ms = 1000};
    fixture->feed.hooks = &hooks;
    fixture->task.feed = &fixture->feed;
    fixture->task.query = &fixture->query;
    fixture->batch_task = (struct kafka_batch_task){.task = &fixture->task,
                                                    .batch = batch,
                                                    .group = &fixture->group,
                                                    .topics = fixture->topics,
                                                    .count = 1};
    for (size_t i = 0; i < ONE_TASK_PARTITIONS; i++) {
        fixture->commits[i] = (struct kafka_known_offset)ONE_TASK_KNOWN(0);
        fixture->ends[i].latest = (struct kafka_known_offset)ONE_TASK_KNOWN(0);
    }
    *state = fixture;
    return 0;
}

int one_task_tear_down(void **state)
{
    struct one_task *fixture = *state;
    HASH_CLEAR(hh, fixture->batch.topics);
    HASH_CLEAR(hh, fixture->batch.group_topics);
    kafka_persistence_forget_all(&fixture->session.persistence);
    error_done(&fixture->error);
    free(fixture->task.note);
    free(fixture);
    return 0;
}

void one_task_limit_to(struct one_task *fixture, int32_t partition)
{
    fixture->only = (struct option_range){partition, partition};
    fixture->query.partition_limitation = (struct option_ranges){&fixture->only, 1};
}

void one_task_set(struct one_task *fixture, size_t partition, int64_t committed, int64_t latest)
{
    fixture->commits[partition] = (struct kafka_known_offset)ONE_TASK_KNOWN(committed);
    fixture->ends[partition].latest = (struct kafka_known_offset)ONE_TASK_KNOWN(latest);
}
