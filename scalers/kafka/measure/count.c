#include "kafka/measure/count.h"

#include "base/hash_table.h"
#include "base/memory.h"
#include "base/text.h"
#include "kafka/lag.h"

#include <string.h>
#include <sys/param.h>

/* ---- what is missing ---- */

static bool needs_earliest(const struct kafka_batch_task *batch_task,
                           const struct kafka_group_topic *group_topic, int32_t partition)
{
    const struct kafka_batch_topic *topic = group_topic->key.topic;
    const int64_t committed = group_topic->commits[partition].value;
    const int64_t latest = topic->partitions[partition].latest.value;
    const struct kafka_log_start *log_start = kafka_topics_log_start(topic->known, partition);
    if (kafka_lag_is_invalid(committed, latest))
        return kafka_lag_needs_earliest(batch_task->task->query, committed, latest);
    return log_start != NULL &&
           kafka_log_start_is_due(log_start, committed, latest, batch_task->batch->began_ms);
}

struct kafka_missing kafka_count_missing(const struct kafka_batch_task *batch_task,
                                         const struct kafka_group_topic *group_topic,
                                         int32_t partition)
{
    const struct kafka_known_offset *commit = &group_topic->commits[partition];
    const struct kafka_ends *ends = &group_topic->key.topic->partitions[partition];
    const struct kafka_known_offset *latest = &ends->latest;

    if (commit->state == KAFKA_OFFSET_FAILED)
        return (struct kafka_missing){KAFKA_MISSING_FAILED, "the commit", commit};
    if (latest->state == KAFKA_OFFSET_FAILED)
        return (struct kafka_missing){KAFKA_MISSING_FAILED, "the last offset", latest};
    if (commit->state != KAFKA_OFFSET_KNOWN || latest->state != KAFKA_OFFSET_KNOWN)
        return (struct kafka_missing){.kind = KAFKA_MISSING_ANSWER};
    /* Messages may have come between the two requests. Only a latest offset that was requested
     * after the commit came shows that the commit is beyond it. */
    if (commit->value > latest->value &&
        latest->requested_step < batch_task->group->answered_step) {
        if (latest->error != RD_KAFKA_RESP_ERR_NO_ERROR) /* it cannot be requested again */
            return (struct kafka_missing){KAFKA_MISSING_FAILED, "the last offset", latest};
        return (struct kafka_missing){.kind = latest->again_step > 0 ? KAFKA_MISSING_ANSWER
                                                                     : KAFKA_MISSING_LATEST};
    }
    if (!needs_earliest(batch_task, group_topic, partition))
        return (struct kafka_missing){.kind = KAFKA_MISSING_NOTHING};

    switch (ends->earliest.state) {
    case KAFKA_OFFSET_UNKNOWN:
        return (struct kafka_missing){.kind = KAFKA_MISSING_EARLIEST};
    case KAFKA_OFFSET_REQUESTED:
        return (struct kafka_missing){.kind = KAFKA_MISSING_ANSWER};
    case KAFKA_OFFSET_FAILED:
        return (struct kafka_missing){KAFKA_MISSING_FAILED, "the first offset", &ends->earliest};
    case KAFKA_OFFSET_KNOWN:
        break;
    }
    return (struct kafka_missing){.kind = KAFKA_MISSING_NOTHING};
}

bool kafka_count_is_complete(const struct kafka_batch_task *batch_task)
{
    for (struct kafka_place at = KAFKA_PLACE_FIRST; kafka_batch_next_partition(batch_task, &at);)
        if (kafka_count_missing(batch_task, at.group_topic, at.partition).kind !=
            KAFKA_MISSING_NOTHING)
            return false;
    return true;
}

/* ---- the reading ---- */

struct topic_name {
    const char *name;
    UT_hash_handle hh;
};

/* The hash table is for tasks with thousands of topics. A member's partitions follow one another,
 * so each member counts once. */
double kafka_count_consumers(const struct kafka_batch_task *batch_task,
                             const rd_kafka_topic_partition_list_t *assigned)
{
    if (assigned == NULL)
        return NAN;
    _cleanup_(memory_free) struct topic_name *names =
        memory_array(batch_task->count + 1, sizeof(*names));
    struct topic_name *topics = NULL;
    for (size_t i = 0; i < batch_task->count; i++) {
        names[i].name = batch_task->topics[i]->key.topic->name;
        HASH_ADD_KEYPTR(hh, topics, names[i].name, strlen(names[i].name), &names[i]);
    }
    size_t count = 0;
    const void *last = NULL;
    for (int i = 0; i < assigned->cnt; i++) {
        const rd_kafka_topic_partition_t *partition = &assigned->elems[i];
        struct topic_name *found = NULL;
        if (partition->opaque != last &&
            kafka_query_has_partition(batch_task->task->query, partition->partition))
            HASH_FIND_STR(topics, partition->topic, found);
        if (found == NULL)
            continue;
        last = partition->opaque;
        count++;
    }
    HASH_CLEAR(hh, topics);
    return (double)count;
}

/* Where the partition begins, as far as it is known. */
static int64_t earliest_of(const struct kafka_batch_topic *topic, int32_t partition)
{
    const struct kafka_known_offset *earliest = &topic->partitions[partition].earliest;
    const struct kafka_log_start *log_start = kafka_topics_log_start(topic->known, partition);
    if (earliest->state == KAFKA_OFFSET_KNOWN || log_start == NULL)
        return earliest->value;
    return log_start->offset;
}

bool kafka_count_has_lag(const struct kafka_group_topic *group_topic, int32_t partition)
{
    const struct kafka_batch_topic *topic = group_topic->key.topic;
    const int64_t committed = group_topic->commits[partition].value;
    const int64_t latest = topic->partitions[partition].latest.value;
    return !kafka_lag_is_invalid(committed, latest) &&
           latest > MAX(committed, earliest_of(topic, partition));
}

/* What was removed before it could be consumed does not count: neither as arrived, nor, as it is no
 * lag any more, as consumed. Both totals fall then, and a policy begins its rates again. */
static void add_partition(struct reading *reading, const struct kafka_query *query,
                          const struct kafka_group_topic *group_topic, int32_t partition,
                          int64_t unmoved_ms)
{
    const struct kafka_batch_topic *topic = group_topic->key.topic;
    const struct kafka_log_start *log_start = kafka_topics_log_start(topic->known, partition);
    const int64_t removed = log_start == NULL ? 0 : log_start->removed_until;
    const int64_t committed = group_topic->commits[partition].value;
    const int64_t latest = topic->partitions[partition].latest.value;
    double lag = kafka_lag_of(query, committed, latest, earliest_of(topic, partition));
    bool is_persistent = query->exclude_persistent_lag &&
                         !kafka_lag_is_invalid(committed, latest) &&
                         unmoved_ms >= query->persistent_lag_ms;
    reading->waiting += is_persistent ? 0 : lag;
    reading->waiting_for_activation += lag;
    reading->arrived += latest > removed ? (double)(latest - removed) : 0;
    reading->partitions++;
    reading->partitions_with_lag += lag > 0 && !is_persistent;
}

static void add_topic(struct reading *reading, const struct kafka_batch_task *batch_task,
                      const struct kafka_group_topic *group_topic, int64_t now_ms)
{
    const struct kafka_query *query = batch_task->task->query;
    const struct kafka_persistence *persistence =
        query->exclude_persistent_lag ? kafka_batch_persistence_for(group_topic, now_ms) : NULL;
    for (int32_t i = -1; kafka_batch_next_of_topic(batch_task, group_topic, &i);)
        add_partition(reading, query, group_topic, i,
                      persistence == NULL ? 0 : kafka_persistence_ms(persistence, i, now_ms));
}

struct reading kafka_count_reading(const struct kafka_batch_task *batch_task, int64_t now_ms)
{
    const struct kafka_batch *batch = batch_task->batch;
    struct reading reading = READING_UNKNOWN;
    reading.waiting = reading.waiting_for_activation = reading.arrived = 0;
    reading.partitions = reading.partitions_with_lag = 0;
    for (size_t i = 0; i < batch_task->count; i++)
        add_topic(&reading, batch_task, batch_task->topics[i], now_ms);
    /* Not the sum of the commits: a first commit at 1,000,000 would count as so many. An empty
     * partition without a commit may have a lag of 1: hence the 0. */
    reading.consumed = fmax(0, reading.arrived - reading.waiting_for_activation);
    if (batch_task->task->wants & READING_WANT_CONSUMERS)
        reading.consumers = kafka_count_consumers(
            batch_task, kafka_members_assigned(batch->session->members, batch_task->group->name,
                                               batch->began_ms));
    return reading;
}

/* ---- for people ---- */

struct topic_lag {
    const char *name;
    double lag;
};

enum { NAMED_TOPICS = 10, NAMED_BYTES = 400 };

/* Only the first NAMED_TOPICS are kept in order. */
static void rank(struct topic_lag ranked[NAMED_TOPICS], size_t count, struct topic_lag topic)
{
    size_t place = count < NAMED_TOPICS ? count : NAMED_TOPICS;
    for (; place > 0; place--) {
        const struct topic_lag *before = &ranked[place - 1];
        if (before->lag > topic.lag ||
            (before->lag >= topic.lag && strcmp(before->name, topic.name) < 0))
            break;
        if (place < NAMED_TOPICS)
            ranked[place] = *before;
    }
    if (place < NAMED_TOPICS)
        ranked[place] = topic;
}

char *kafka_count_topics_text(const struct kafka_batch_task *batch_task, int64_t now_ms)
{
    struct topic_lag ranked[NAMED_TOPICS] = {0};
    struct text text = {0};
    size_t named = 0;
    if (batch_task->count < 2 && batch_task->selection.kind != KAFKA_SELECTION_OF_GROUP)
        return NULL;
    for (size_t i = 0; i < batch_task->count; i++) {
        struct reading own = {0};
        add_topic(&own, batch_task, batch_task->topics[i], now_ms);
        rank(
            ranked, i,
            (struct topic_lag){batch_task->topics[i]->key.topic->name, own.waiting_for_activation});
    }
    text_add(&text, batch_task->count == 0 ? "the group has committed nothing" : "lag by topic");
    for (; named < NAMED_TOPICS && named < batch_task->count && text.length < NAMED_BYTES; named++)
        text_addf(&text, "%s%s %.0f", named == 0 ? ": " : ", ", ranked[named].name,
                  ranked[named].lag);
    if (named < batch_task->count)
        text_addf(&text, ", and %zu more", batch_task->count - named);
    return text_take(&text);
}
