#include "kafka/measure/count.h"

#include "base/clock.h"
#include "base/memory.h"
#include "kafka/measure/lag.h"
#include "kafka/measure/needs.h"

/* What is known of one partition, for one task. */
enum outcome { PENDING, COUNTED, FAILED };

/* Of all partitions of a task. */
struct count {
    double lag;
    double persistent_lag; /* of it, where it is excluded */
    double partitions;
    double partitions_with_lag;
    double arrived; /* the sum of the ends */
};

static void time_out_leader(struct kafka_batch_task *batch_task,
                            const struct kafka_batch_topic *topic, int32_t partition)
{
    _cleanup_(error_done) struct error error = {0};
    error_unavailable(
        &error,
        "Kafka broker %d, which leads partition %d of topic %s, did not answer within %lld ms",
        kafka_topic_leader(topic->known, partition), partition, topic->name,
        (long long)batch_task->task->timeout_ms);
    task_time_out_with(kafka_batch_release(batch_task, false), &error);
}

static enum outcome fail(struct kafka_batch_task *batch_task, const struct kafka_group_topic *topic,
                         int32_t partition, const char *what, const struct kafka_offset *offset)
{
    const struct kafka_batch_topic *of = topic->key.topic;
    if (offset->error == RD_KAFKA_RESP_ERR__TIMED_OUT)
        time_out_leader(batch_task, of, partition);
    else
        kafka_batch_fail(batch_task, "%s of Kafka topic %s partition %d for group %s: %s", what,
                         of->name, partition, batch_task->group->name,
                         rd_kafka_err2str(offset->error));
    return FAILED;
}

/* The last offset may be older than the commit; a commit beyond it means something only if it is not. */
static bool must_request_again(const struct kafka_batch_group *group,
                               const struct kafka_offset *commit, const struct kafka_offset *latest)
{
    return commit->value > latest->value && latest->requested < group->answered;
}

static void add_lag(struct kafka_batch_task *batch_task, const struct kafka_group_topic *topic,
                    int32_t i, struct kafka_stall *stall, struct count *count)
{
    const struct kafka_query *query = batch_task->task->query;
    const struct kafka_partition *partition = &topic->key.topic->partitions[i];
    int64_t committed = topic->commits[i].value;
    int64_t latest = partition->latest.value;
    double lag = kafka_lag_of(query, committed, latest, partition->earliest.value);
    bool is_persistent =
        query->exclude_persistent_lag && !kafka_lag_is_invalid(committed, latest) &&
        kafka_lag_is_persistent(query,
                                kafka_stall_update(stall, i, committed, latest, clock_now_ms()));
    count->lag += lag;
    count->persistent_lag += is_persistent ? lag : 0;
    count->arrived += (double)latest;
    count->partitions++;
    count->partitions_with_lag += lag > 0 && !is_persistent;
}

static enum outcome count_partition(struct kafka_batch_task *batch_task,
                                    const struct kafka_group_topic *group_topic, int32_t i,
                                    struct kafka_stall *stall, struct count *count)
{
    struct kafka_batch_topic *topic = group_topic->key.topic;
    const struct kafka_offset *commit = &group_topic->commits[i];
    const struct kafka_offset *latest = &topic->partitions[i].latest;
    const struct kafka_offset *earliest = &topic->partitions[i].earliest;

    if (commit->state == KAFKA_OFFSET_FAILED)
        return fail(batch_task, group_topic, i, "the commit", commit);
    if (latest->state == KAFKA_OFFSET_FAILED)
        return fail(batch_task, group_topic, i, "the last offset", latest);
    if (commit->state != KAFKA_OFFSET_KNOWN || latest->state != KAFKA_OFFSET_KNOWN)
        return PENDING;
    if (must_request_again(batch_task->group, commit, latest)) {
        kafka_needs_offset(topic, i, false);
        return PENDING;
    }
    if (kafka_lag_needs_earliest(batch_task->task->query, commit->value, latest->value)) {
        if (earliest->state == KAFKA_OFFSET_UNKNOWN)
            kafka_needs_offset(topic, i, true);
        if (earliest->state == KAFKA_OFFSET_FAILED)
            return fail(batch_task, group_topic, i, "the first offset", earliest);
        if (earliest->state != KAFKA_OFFSET_KNOWN)
            return PENDING;
    }
    add_lag(batch_task, group_topic, i, stall, count);
    return COUNTED;
}

static enum outcome count_topic(struct kafka_batch_task *batch_task,
                                const struct kafka_group_topic *group_topic, struct count *count)
{
    const struct kafka_query *query = batch_task->task->query;
    const struct kafka_batch_topic *topic = group_topic->key.topic;
    struct kafka_stall *stall =
        query->exclude_persistent_lag
            ? kafka_stall_use(&batch_task->batch->session->stalls, batch_task->group->name,
                              topic->name, topic->count)
            : NULL;
    enum outcome all = COUNTED;
    /* All partitions, also after a pending one, so that what they need is requested at once. */
    for (int32_t i = 0; i < topic->count; i++) {
        if (!kafka_lag_counts(query, i))
            continue;
        enum outcome outcome = count_partition(batch_task, group_topic, i, stall, count);
        if (outcome == FAILED)
            return FAILED;
        if (outcome == PENDING)
            all = PENDING;
    }
    return all;
}

/* From the ends that were measured on. */
static void subscribe(const struct kafka_batch_task *batch_task)
{
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(memory_free) struct kafka_position *positions = NULL;
    struct task *task = batch_task->task;
    size_t count = 0;
    size_t capacity = 0;
    for (size_t i = 0; i < batch_task->count; i++) {
        const struct kafka_batch_topic *topic = batch_task->topics[i]->key.topic;
        for (int32_t j = 0; j < topic->count; j++) {
            if (!kafka_lag_counts(task->query, j))
                continue;
            positions = memory_grow(positions, &capacity, count + 1, sizeof(*positions));
            positions[count++] =
                (struct kafka_position){topic->name, j, topic->partitions[j].latest.value};
        }
    }
    if (kafka_subscriptions_add(batch_task->batch->session->subscriptions, &task->notifier,
                                positions, count, &error))
        task_subscribed(task);
    else
        task_cannot_subscribe(task, &error);
}

/* False: something is missing, or the task has failed. */
static bool count_topics(struct kafka_batch_task *batch_task, struct count *count)
{
    bool is_pending = false;
    for (size_t i = 0; i < batch_task->count; i++) {
        enum outcome outcome = count_topic(batch_task, batch_task->topics[i], count);
        if (outcome == FAILED)
            return false;
        is_pending = is_pending || outcome == PENDING;
    }
    return !is_pending;
}

static bool must_wait_for_members(const struct kafka_batch_task *batch_task)
{
    const struct kafka_batch *batch = batch_task->batch;
    return batch_task->task->wants & READING_CONSUMERS && !batch->isolate &&
           kafka_members_is_pending(batch->session->members, batch_task->group->name,
                                    batch->began_ms, clock_now_ms());
}

static bool is_of_task(const struct kafka_batch_task *batch_task,
                       const rd_kafka_topic_partition_t *partition)
{
    if (!kafka_lag_counts(batch_task->task->query, partition->partition))
        return false;
    const struct kafka_group_topic *topic =
        kafka_batch_find_group_topic(batch_task->group, partition->topic);
    return topic != NULL && topic->counted_for == batch_task;
}

/* Members with a partition that the task counts: the others have nothing to do. Both lists may be long (10,000 topics),
 * so the topics of the task are marked, and found by their names. */
static double count_consumers(const struct kafka_batch_task *batch_task)
{
    const struct kafka_batch *batch = batch_task->batch;
    const rd_kafka_topic_partition_list_t *assigned =
        kafka_members_assigned(batch->session->members, batch_task->group->name, batch->began_ms);
    if (assigned == NULL)
        return NAN;
    size_t count = 0;
    const void *last = NULL;
    for (size_t i = 0; i < batch_task->count; i++)
        batch_task->topics[i]->counted_for = batch_task;
    for (int i = 0; i < assigned->cnt; i++) {
        if (assigned->elems[i].opaque == last || !is_of_task(batch_task, &assigned->elems[i]))
            continue;
        last = assigned->elems[i].opaque;
        count++;
    }
    return (double)count;
}

static void answer(struct kafka_batch_task *batch_task, const struct count *count)
{
    struct reading reading = READING_UNKNOWN;
    reading.waiting = count->lag - count->persistent_lag;
    reading.waiting_for_activation = count->lag;
    reading.partitions = count->partitions;
    reading.partitions_with_lag = count->partitions_with_lag;
    reading.arrived = count->arrived;
    /* Not the sum of the commits: a first one would count all that was before it. */
    reading.consumed = count->arrived - count->lag;
    if (batch_task->task->wants & READING_CONSUMERS)
        reading.consumers = count_consumers(batch_task);
    if (task_wants_subscription(batch_task->task))
        subscribe(batch_task);
    task_answer(kafka_batch_release(batch_task, true), &reading);
}

void kafka_count_try(struct kafka_batch_task *batch_task)
{
    struct count count = {0};
    if (batch_task->task == NULL || batch_task->group == NULL || batch_task->group->answered == 0)
        return;
    if (count_topics(batch_task, &count) && !must_wait_for_members(batch_task))
        answer(batch_task, &count);
}

/* A partition whose leader has not answered; false: none. */
static bool find_silent_leader(const struct kafka_batch_task *batch_task,
                               const struct kafka_batch_topic **ret_topic, int32_t *ret_partition)
{
    for (size_t i = 0; i < batch_task->count; i++) {
        const struct kafka_batch_topic *topic = batch_task->topics[i]->key.topic;
        for (int32_t j = 0; j < topic->count; j++)
            if (topic->partitions[j].latest.state == KAFKA_OFFSET_REQUESTED ||
                topic->partitions[j].earliest.state == KAFKA_OFFSET_REQUESTED) {
                *ret_topic = topic;
                *ret_partition = j;
                return true;
            }
    }
    return false;
}

void kafka_count_time_out(struct kafka_batch_task *batch_task)
{
    _cleanup_(error_done) struct error error = {0};
    const struct kafka_batch_group *group = batch_task->group;
    const struct kafka_batch_topic *topic;
    int32_t partition;
    long long timeout_ms = batch_task->task->timeout_ms;
    struct count count = {0};
    bool has_commits = group != NULL && group->answered > 0;
    bool wants_members = (batch_task->task->wants & READING_CONSUMERS) != 0;
    if (wants_members && has_commits && count_topics(batch_task, &count)) {
        answer(batch_task, &count);
        return;
    }
    if (batch_task->task == NULL)
        return;
    if (has_commits && find_silent_leader(batch_task, &topic, &partition)) {
        time_out_leader(batch_task, topic, partition);
        return;
    }
    if (group == NULL || group->commits != NULL)
        error_unavailable(&error, "Kafka did not answer a request for metadata within %lld ms",
                          timeout_ms);
    else
        error_unavailable(
            &error, "the commits of Kafka group %s: its coordinator did not answer within %lld ms",
            group->name, timeout_ms);
    task_time_out_with(kafka_batch_release(batch_task, false), &error);
}
