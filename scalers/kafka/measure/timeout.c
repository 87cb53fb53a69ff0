#include "kafka/measure/timeout.h"

void kafka_timeout_coordinator(struct kafka_batch_task *batch_task)
{
    kafka_batch_time_out(
        batch_task, "the commits of Kafka group %s: its coordinator did not answer within %lld ms",
        batch_task->group->name, (long long)batch_task->task->timeout_ms);
}

void kafka_timeout_leader(struct kafka_batch_task *batch_task, const struct kafka_place *at)
{
    kafka_batch_time_out(
        batch_task,
        "Kafka broker %d, which leads partition %d of topic %s, did not answer within %lld ms",
        kafka_topic_leader(at->topic->known, at->partition), at->partition, at->topic->name,
        (long long)batch_task->task->timeout_ms);
}

static bool is_silent(const struct kafka_place *at)
{
    const struct kafka_partition *ends = &at->topic->partitions[at->partition];
    return ends->latest.state == KAFKA_OFFSET_REQUESTED ||
           ends->earliest.state == KAFKA_OFFSET_REQUESTED;
}

/* The first partition whose leader has not answered; false: none. */
static bool find_silent_leader(const struct kafka_batch_task *batch_task,
                               struct kafka_place *ret_place)
{
    *ret_place = KAFKA_PLACE_FIRST;
    while (kafka_batch_next_partition(batch_task, ret_place))
        if (is_silent(ret_place))
            return true;
    return false;
}

/* They may lead the partitions no more. */
static void outdate_silent_leaders(const struct kafka_batch_task *batch_task)
{
    for (struct kafka_place at = KAFKA_PLACE_FIRST; kafka_batch_next_partition(batch_task, &at);)
        if (is_silent(&at))
            kafka_metadata_outdate(batch_task->batch->session->metadata, at.topic->known);
}

void kafka_timeout_task(struct kafka_batch_task *batch_task)
{
    struct kafka_place silent;
    const struct kafka_batch_group *group = batch_task->group;
    if (group == NULL || group->stage == KAFKA_GROUP_AWAITS_METADATA)
        kafka_batch_time_out(batch_task,
                             "Kafka did not answer a request for metadata within %lld ms",
                             (long long)batch_task->task->timeout_ms);
    else if (group->stage == KAFKA_GROUP_COMMITTED && find_silent_leader(batch_task, &silent)) {
        outdate_silent_leaders(batch_task);
        kafka_timeout_leader(batch_task, &silent);
    } else
        kafka_timeout_coordinator(batch_task);
}
