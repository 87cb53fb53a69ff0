#include "kafka/measure/task_end.h"

#include "base/memory.h"
#include "kafka/client/settings.h"
#include "kafka/lag.h"
#include "kafka/measure/count.h"

#include <stdarg.h>

_Static_assert(KAFKA_MAX_REPLY_BYTES == 4 << 20, "texts name it");

/* ---- out of its batch ---- */

/* Notes the partitions that the task counts: another task may count the topic's other partitions,
 * less often. False: there is no memory for them. */
static bool note_topic(const struct kafka_batch_task *batch_task,
                       const struct kafka_group_topic *group_topic, bool has_time, int64_t now_ms)
{
    const struct kafka_batch_topic *topic = group_topic->key.topic;
    struct kafka_persistence *persistence = kafka_batch_persistence_for(group_topic, now_ms);
    if (persistence == NULL)
        return false;
    for (int32_t i = -1; kafka_batch_next_of_topic(batch_task, group_topic, &i);) {
        const struct kafka_known_offset *commit = &group_topic->commits[i];
        const struct kafka_known_offset *latest = &topic->partitions[i].latest;
        if (commit->state == KAFKA_OFFSET_KNOWN && latest->state == KAFKA_OFFSET_KNOWN)
            kafka_persistence_update(persistence, i, commit->value,
                                     kafka_count_has_lag(group_topic, i), now_ms);
        else if (has_time && commit->state == KAFKA_OFFSET_KNOWN &&
                 latest->state == KAFKA_OFFSET_REQUESTED) /* the task fails by another one */
            kafka_persistence_keep(persistence, i, now_ms);
        else
            kafka_persistence_restart(persistence, i, batch_task->batch->began_ms);
    }
    return true;
}

/* Restarts the time of all topics of the task that were not noted: it ended before they were known,
 * one of them failed, or the cluster did not list one. Of a selection of names the first `done`
 * topics were noted. Without `topic` the group's other topics are restarted. */
static void restart_others(const struct kafka_session *session, const struct kafka_query *query,
                           const struct kafka_selection *selection, size_t done, int64_t began_ms)
{
    struct kafka_persistence_group *all = session->persistence;
    const struct kafka_pattern *pattern;
    switch (selection->kind) {
    case KAFKA_SELECTION_OF_GROUP:
        kafka_persistence_restart_group(all, query->consumer_group, began_ms);
        break;
    case KAFKA_SELECTION_OF_NAMES:
        for (size_t i = done; i < selection->count; i++)
            kafka_persistence_restart_topic(all, query, selection->names[i], began_ms);
        break;
    case KAFKA_SELECTION_OF_PATTERN:
        pattern = kafka_patterns_find(kafka_metadata_patterns(session->metadata), query->topic);
        if (pattern != NULL)
            kafka_persistence_restart_pattern(all, query, pattern->regex, began_ms);
        break;
    }
}

/* For excludePersistentLag. The time of partitions of which nothing is known starts again, but not
 * of those that could still be answered in time (`has_time`). False: there is no memory for some.
 */
static bool note_persistence(const struct kafka_batch_task *batch_task, bool has_time,
                             int64_t now_ms)
{
    const struct kafka_query *query = batch_task->task->query;
    bool has_memory = true;
    if (!query->exclude_persistent_lag)
        return true;
    for (size_t i = 0; i < batch_task->count; i++)
        has_memory &= note_topic(batch_task, batch_task->topics[i], has_time, now_ms);
    restart_others(batch_task->batch->session, query, &batch_task->selection, batch_task->count,
                   batch_task->batch->began_ms);
    return has_memory;
}

void kafka_task_end_return(struct kafka_batch_task *batch_task, bool isolate)
{
    task_return(kafka_batch_take_task(batch_task), isolate);
}

/* ---- answered ---- */

/* Subscribes to messages behind the last offsets that were measured. A group whose topics are named
 * by its commits may have none yet: nothing would notify of its first message. */
static void subscribe(const struct kafka_batch_task *batch_task, int64_t now_ms)
{
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(memory_free) struct kafka_position *positions = NULL;
    size_t count = 0;
    size_t capacity = 0;
    for (struct kafka_place at = KAFKA_PLACE_FIRST; kafka_batch_next_partition(batch_task, &at);) {
        positions = memory_grow(positions, &capacity, count + 1, sizeof(*positions));
        positions[count++] = (struct kafka_position){
            at.topic->name, at.partition, at.topic->partitions[at.partition].latest.value};
    }
    if (count == 0)
        error_unavailable(&error,
                          "Kafka group %s has committed no offsets: nothing to subscribe to",
                          batch_task->group->name);
    else if (kafka_subscriptions_add(batch_task->batch->session->subscriptions,
                                     &batch_task->task->notifier, positions, count, now_ms,
                                     &error)) {
        task_subscribed(batch_task->task);
        return;
    }
    task_cannot_subscribe(batch_task->task, &error);
}

static void note_log_starts(const struct kafka_batch_task *batch_task, int64_t now_ms)
{
    for (struct kafka_place at = KAFKA_PLACE_FIRST; kafka_batch_next_partition(batch_task, &at);) {
        const int64_t latest = at.topic->partitions[at.partition].latest.value;
        int64_t committed = at.group_topic->commits[at.partition].value;
        struct kafka_log_start *log_start = kafka_topics_log_start(at.topic->known, at.partition);
        if (kafka_lag_is_invalid(committed, latest))
            committed = -1;
        if (log_start != NULL)
            kafka_log_start_note(log_start, committed, latest, now_ms);
    }
}

void kafka_task_end_answer(struct kafka_batch_task *batch_task, int64_t now_ms)
{
    note_log_starts(batch_task, now_ms);
    if (!note_persistence(batch_task, true, now_ms)) {
        kafka_task_end_fail(batch_task, now_ms,
                            "no memory for excludePersistentLag of Kafka group %s: %s",
                            batch_task->group->name,
                            kafka_memory_advice(&batch_task->batch->session->client.memory));
        return;
    }
    const struct reading reading = kafka_count_reading(batch_task, now_ms);
    _cleanup_(memory_free) char *topics = kafka_count_topics_text(batch_task, now_ms);
    if (topics != NULL)
        task_note(batch_task->task, topics);
    if (task_wants_subscription(batch_task->task))
        subscribe(batch_task, now_ms);
    task_answer(kafka_batch_take_task(batch_task), &reading);
}

/* ---- failed ---- */

void kafka_task_end_fail(struct kafka_batch_task *batch_task, int64_t now_ms, const char *format,
                         ...)
{
    _cleanup_(error_done) struct error error = {0};
    va_list arguments;
    va_start(arguments, format);
    error_unavailablev(&error, format, arguments);
    va_end(arguments);
    note_persistence(batch_task, true, now_ms);
    task_fail(kafka_batch_take_task(batch_task), &error);
}

/* ---- its time is over ---- */

static void time_out_with(struct kafka_batch_task *batch_task, const struct error *error,
                          int64_t now_ms)
{
    note_persistence(batch_task, false, now_ms);
    task_time_out_with(kafka_batch_take_task(batch_task), error);
}

static void time_out_metadata(struct kafka_batch_task *batch_task, int64_t now_ms)
{
    _cleanup_(error_done) struct error error = {0};
    const struct kafka_batch *batch = batch_task->batch;
    bool needs_listing = batch->need.listing > 0;
    const struct error *failure = kafka_metadata_failure(
        batch->session->metadata, needs_listing ? KAFKA_METADATA_LISTING : KAFKA_METADATA_TOPICS);
    long long timeout_ms = batch_task->task->timeout_ms;
    if (error_is_set(failure)) /* be it that an answer cannot be read */
        error_unavailable(&error, "no metadata of Kafka within %lld ms; the last failure: %s",
                          timeout_ms, error_text(failure));
    else
        error_unavailable(&error, "Kafka did not answer a request for metadata within %lld ms",
                          timeout_ms);
    time_out_with(batch_task, &error, now_ms);
}

/* The task is still in its group: with its last task the group's request ends, which the text is
 * about. */
static void describe_coordinator(const struct kafka_session *session, const struct task *task,
                                 struct error *error)
{
    const struct kafka_query *query = task->query;
    const struct error *failure = kafka_commits_failure(session->commits);
    bool is_waiting = kafka_commits_is_waiting(session->commits, query->consumer_group);
    long long timeout_ms = task->timeout_ms;
    if (is_waiting && error_is_set(failure))
        error_unavailable(error,
                          "the commits of Kafka group %s were not requested within %lld ms, as a "
                          "reply was longer than 4 MiB: %s",
                          query->consumer_group, timeout_ms, error_text(failure));
    else if (is_waiting)
        error_unavailable(error,
                          "the commits of Kafka group %s: they waited for those of other groups, "
                          "as a reply was longer than 4 MiB, for %lld ms",
                          query->consumer_group, timeout_ms);
    else
        error_unavailable(error,
                          "the commits of Kafka group %s: its coordinator did not answer within "
                          "%lld ms",
                          query->consumer_group, timeout_ms);
}

void kafka_task_end_time_out_waiting(const struct kafka_session *session, struct task *task)
{
    _cleanup_(error_done) struct error error = {0};
    const struct kafka_query *query = task->query;
    struct kafka_selection selection;
    kafka_selection_init(&selection, query->topic);
    if (query->exclude_persistent_lag)
        restart_others(session, query, &selection, 0, task->deadline_ms - task->timeout_ms);
    kafka_selection_done(&selection);
    describe_coordinator(session, task, &error);
    task_time_out_with(task, &error);
}

void kafka_task_end_time_out_coordinator(struct kafka_batch_task *batch_task, int64_t now_ms)
{
    _cleanup_(error_done) struct error error = {0};
    describe_coordinator(batch_task->batch->session, batch_task->task, &error);
    time_out_with(batch_task, &error, now_ms);
}

void kafka_task_end_time_out_leader(struct kafka_batch_task *batch_task,
                                    const struct kafka_place *at,
                                    const struct kafka_known_offset *offset, int64_t now_ms)
{
    _cleanup_(error_done) struct error error = {0};
    error_unavailable(
        &error,
        "Kafka broker %d, which leads partition %d of topic %s, did not answer within %lld ms",
        offset->leader, at->partition, at->topic->name, (long long)batch_task->task->timeout_ms);
    time_out_with(batch_task, &error, now_ms);
}

static bool is_silent(const struct kafka_known_offset *offset)
{
    return offset->state == KAFKA_OFFSET_REQUESTED || offset->again_step > 0;
}

/* The offset of the partition that its leader has not answered yet. NULL: none. */
static const struct kafka_known_offset *silent_offset(const struct kafka_place *at)
{
    const struct kafka_ends *ends = &at->topic->partitions[at->partition];
    if (is_silent(&ends->latest))
        return &ends->latest;
    return is_silent(&ends->earliest) ? &ends->earliest : NULL;
}

/* NULL: something was sent to the leader. */
static const char *reason_unsent(const struct kafka_batch_task *batch_task,
                                 const struct kafka_known_offset *offset)
{
    return kafka_offsets_reason_unsent(batch_task->batch->session->offsets, offset->leader);
}

/* The first offset that the task waits for, and its leader has not answered. NULL: none. */
static const struct kafka_known_offset *
find_silent_offset(const struct kafka_batch_task *batch_task, struct kafka_place *ret_place)
{
    const struct kafka_known_offset *offset = NULL;
    *ret_place = KAFKA_PLACE_FIRST;
    while (offset == NULL && kafka_batch_next_partition(batch_task, ret_place))
        if (kafka_count_missing(batch_task, ret_place->group_topic, ret_place->partition).kind !=
            KAFKA_MISSING_NOTHING)
            offset = silent_offset(ret_place);
    return offset;
}

/* Leaders that were sent a request, and are silent, may not lead the partitions any more. */
static void outdate_silent_leaders(const struct kafka_batch_task *batch_task)
{
    for (struct kafka_place at = KAFKA_PLACE_FIRST; kafka_batch_next_partition(batch_task, &at);) {
        const struct kafka_known_offset *offset = silent_offset(&at);
        if (offset != NULL && reason_unsent(batch_task, offset) == NULL)
            kafka_topics_outdate(kafka_metadata_topics(batch_task->batch->session->metadata),
                                 at.topic->known);
    }
}

static void time_out_offset(struct kafka_batch_task *batch_task, const struct kafka_place *at,
                            const struct kafka_known_offset *offset, int64_t now_ms)
{
    _cleanup_(error_done) struct error error = {0};
    const char *reason = reason_unsent(batch_task, offset);
    outdate_silent_leaders(batch_task);
    if (reason == NULL) {
        kafka_task_end_time_out_leader(batch_task, at, offset, now_ms);
        return;
    }
    error_unavailable(&error,
                      "partition %d of Kafka topic %s: %s, so that broker %d was sent nothing "
                      "within %lld ms",
                      at->partition, at->topic->name, reason, offset->leader,
                      (long long)batch_task->task->timeout_ms);
    time_out_with(batch_task, &error, now_ms);
}

void kafka_task_end_time_out(struct kafka_batch_task *batch_task, int64_t now_ms)
{
    struct kafka_place at;
    const struct kafka_known_offset *silent;
    const struct kafka_batch_group *group = batch_task->group;
    const bool has_commits = kafka_batch_task_has_commits(batch_task);
    if (group == NULL || (group->stage == KAFKA_GROUP_AWAITS_METADATA && !has_commits))
        time_out_metadata(batch_task, now_ms);
    else if (has_commits && kafka_count_is_complete(batch_task)) /* but for the members */
        kafka_task_end_answer(batch_task, now_ms);
    else if (has_commits && (silent = find_silent_offset(batch_task, &at)) != NULL)
        time_out_offset(batch_task, &at, silent, now_ms);
    else
        kafka_task_end_time_out_coordinator(batch_task, now_ms);
}
