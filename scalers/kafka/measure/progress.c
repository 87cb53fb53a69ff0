#include "kafka/measure/progress.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "kafka/measure/count.h"
#include "kafka/measure/partitions.h"
#include "kafka/measure/task_end.h"
#include "kafka/memory.h"

#include <sys/param.h>
#include <utlist.h>

/* Of an offset that is not in the answer. */
#define NOT_ANSWERED RD_KAFKA_RESP_ERR__NOENT

static void fail_commits(struct kafka_batch_task *batch_task, const char *group, const char *reason,
                         int64_t now_ms)
{
    kafka_task_end_fail(batch_task, now_ms, "the commits of Kafka group %s: %s", group, reason);
}

/* An isolated task is slow already: it does without. */
static bool wants_members(const struct kafka_batch_task *batch_task)
{
    return batch_task->task->wants & READING_WANT_CONSUMERS && !batch_task->batch->isolate;
}

/* ---- 1: the metadata is here ---- */

static void add_to_group(struct kafka_batch *batch, struct kafka_batch_task *batch_task,
                         int64_t now_ms)
{
    const struct kafka_query *query = batch_task->task->query;
    const char *reason =
        kafka_commits_reason_suspended(batch->session->commits, query->consumer_group, now_ms);
    struct kafka_batch_group *group = kafka_batch_group_for(batch, query->consumer_group);
    kafka_batch_set_group(batch_task, group);
    if (reason != NULL) { /* before it takes space */
        fail_commits(batch_task, query->consumer_group, reason, now_ms);
        return;
    }
    if (batch_task->selection.kind == KAFKA_SELECTION_OF_GROUP)
        group->wants_all = true;
    batch_task->next = group->tasks;
    group->tasks = batch_task;
}

/* ---- 2: requests ---- */

/* NULL: all partitions that the group has committed. The caller destroys the list. */
static rd_kafka_topic_partition_list_t *partitions_to_request(const struct kafka_batch_group *group)
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

/* `is_late`: the library gave up on the coordinator before the deadline. That is a time-out, too.
 */
static void group_fail(struct kafka_batch_group *group, const char *reason, bool is_late,
                       int64_t now_ms)
{
    struct kafka_batch_task *batch_task;
    LL_FOREACH(group->tasks, batch_task)
        if (kafka_batch_task_is_open(batch_task) && is_late)
            kafka_task_end_time_out_coordinator(batch_task, now_ms);
        else if (kafka_batch_task_is_open(batch_task))
            fail_commits(batch_task, group->name, reason, now_ms);
}

static void group_return(const struct kafka_batch_group *group, bool isolate)
{
    struct kafka_batch_task *batch_task;
    LL_FOREACH(group->tasks, batch_task)
        if (kafka_batch_task_is_open(batch_task))
            kafka_task_end_return(batch_task, isolate);
}

static void group_refuse(const struct kafka_batch_group *group, struct task **refused)
{
    struct kafka_batch_task *batch_task;
    LL_FOREACH(group->tasks, batch_task)
        if (kafka_batch_task_is_open(batch_task)) {
            struct task *task = kafka_batch_take_task(batch_task);
            DL_APPEND(*refused, task);
        }
}

static size_t space_for(size_t partitions)
{
    return partitions + KAFKA_MEMORY_REQUEST;
}

static void group_send(struct kafka_batch_group *group, int64_t now_ms)
{
    _cleanup_(error_done) struct error error = {0};
    struct kafka_session *session = group->batch->session;
    rd_kafka_topic_partition_list_t *partitions = partitions_to_request(group);
    if (partitions != NULL)
        kafka_space_correct(&session->space, &group->share, space_for((size_t)partitions->cnt));
    if (group->wants_members)
        kafka_members_request(session->members, group->name, now_ms);
    group->has_members = group->wants_members;
    group->stage = KAFKA_GROUP_REQUESTED;
    if (!kafka_commits_send(session->commits, &group->request, partitions, now_ms, &error))
        group_fail(group, error_text(&error), false, now_ms);
    if (partitions != NULL)
        rd_kafka_topic_partition_list_destroy(partitions);
}

static size_t space_needed(struct kafka_batch_group *group)
{
    size_t named = kafka_partitions_count(group);
    size_t committed =
        group->wants_all
            ? kafka_known_groups_committed(&group->batch->session->space.groups, group->name)
            : 0;
    return space_for(MAX(named, committed));
}

static void prepare_task(struct kafka_batch_task *batch_task, int64_t now_ms)
{
    if (batch_task->selection.kind != KAFKA_SELECTION_OF_GROUP &&
        !kafka_partitions_use_selection(batch_task, now_ms))
        return;
    if (wants_members(batch_task))
        batch_task->group->wants_members = true;
}

static void group_begin(struct kafka_batch_group *group, struct task **refused, int64_t now_ms)
{
    struct kafka_session *session = group->batch->session;
    struct kafka_batch_task *batch_task;
    /* may_begin() (measure.c) was true when the batch began, but another batch may have sent a
     * request since, or taken the space. Tasks that are returned come again, and wait. */
    if (!kafka_commits_is_free(session->commits, group->name, group->request.isolate, now_ms)) {
        group_return(group, false);
        return;
    }
    switch (kafka_space_take(&session->space, &group->share, space_needed(group), now_ms)) {
    case KAFKA_SPACE_TAKEN:
        break;
    case KAFKA_SPACE_REFUSED:
        group_refuse(group, refused);
        return;
    case KAFKA_SPACE_MUST_WAIT:
        group_return(group, false);
        return;
    }
    LL_FOREACH(group->tasks, batch_task)
        if (kafka_batch_task_is_open(batch_task))
            prepare_task(batch_task, now_ms);
    if (group->open > 0)
        group_send(group, now_ms);
}

/* ---- 3: the commits are here ---- */

/* False: the group has not committed on this partition. */
static bool names_topic(const rd_kafka_topic_partition_t *result)
{
    return result->offset >= 0 || result->err != RD_KAFKA_RESP_ERR_NO_ERROR;
}

static size_t count_topics(const rd_kafka_topic_partition_list_t *partitions)
{
    size_t count = 0;
    for (int i = 0; i < partitions->cnt; i++)
        count += i == 0 || !text_equal(partitions->elems[i - 1].topic, partitions->elems[i].topic);
    return count;
}

static size_t count_committed(const rd_kafka_topic_partition_list_t *partitions)
{
    size_t count = 0;
    for (int i = 0; i < partitions->cnt; i++)
        count += names_topic(&partitions->elems[i]);
    return count;
}

/* Why tasks without `topic` cannot be measured; NULL: they can. The caller frees the text. It is
 * checked before the topics are added, as the library keeps topics, with all partitions, as long as
 * the handle lives (workaround 6), and aborts without memory. A topic has at least as many
 * partitions as have commits. */
static char *reason_too_many(const struct kafka_batch_group *group,
                             const rd_kafka_topic_partition_list_t *partitions)
{
    if (count_topics(partitions) > KAFKA_SELECTION_MAX_TOPICS)
        return text_format("the commits of Kafka group %s: they are of more than %d topics: set "
                           "topic",
                           group->name, KAFKA_SELECTION_MAX_TOPICS);
    return kafka_partitions_reason_too_many(&group->batch->session->client,
                                            count_committed(partitions));
}

static bool is_open_without_topic(const struct kafka_batch_task *batch_task)
{
    return kafka_batch_task_is_open(batch_task) &&
           batch_task->selection.kind == KAFKA_SELECTION_OF_GROUP;
}

/* The group's tasks with `topic` go on. */
static void fail_tasks_without_topic(const struct kafka_batch_group *group, const char *reason,
                                     int64_t now_ms)
{
    struct kafka_batch_task *batch_task;
    LL_FOREACH(group->tasks, batch_task)
        if (is_open_without_topic(batch_task))
            kafka_task_end_fail(batch_task, now_ms, "%s", reason);
}

/* Adds the topics that the commits name to the batch. Returns the metadata that they lack. */
static struct kafka_metadata_need
add_committed_topics(struct kafka_batch *batch, const rd_kafka_topic_partition_list_t *partitions,
                     int64_t now_ms)
{
    struct kafka_metadata_need need = {0};
    const char *last = NULL;
    for (int i = 0; i < partitions->cnt; i++) {
        const rd_kafka_topic_partition_t *result = &partitions->elems[i];
        if (!names_topic(result) || (last != NULL && text_equal(last, result->topic)))
            continue;
        last = result->topic;
        kafka_batch_need_topic(kafka_batch_topic_for(batch, result->topic), now_ms, &need);
    }
    return need;
}

static void take_partitions(struct kafka_batch_group *group,
                            const rd_kafka_topic_partition_list_t *partitions, bool adds_topics)
{
    for (int i = 0; i < partitions->cnt; i++) {
        const rd_kafka_topic_partition_t *result = &partitions->elems[i];
        struct kafka_group_topic *topic =
            adds_topics && names_topic(result)
                ? kafka_batch_group_topic_for(group,
                                              kafka_batch_topic_for(group->batch, result->topic))
                : kafka_batch_find_group_topic(group, result->topic);
        if (topic == NULL || result->partition < 0)
            continue;
        topic->is_named = topic->is_named || names_topic(result);
        if (result->partition >= topic->key.topic->count)
            continue;
        bool is_known = result->err == RD_KAFKA_RESP_ERR_NO_ERROR;
        topic->commits[result->partition] = (struct kafka_known_offset){
            .state = is_known ? KAFKA_OFFSET_KNOWN : KAFKA_OFFSET_FAILED,
            .value = result->offset < 0 ? -1 : result->offset,
            .error = result->err,
        };
    }
}

/* A partition that is not in the answer has no commit if all commits were requested. If partitions
 * were named in the request, it is an error. Partitions that were not named become errors, too: no
 * task counts them. */
static void fill_gaps(struct kafka_batch_group *group)
{
    const struct kafka_known_offset none = {.state = KAFKA_OFFSET_KNOWN, .value = -1};
    const struct kafka_known_offset missing = {.state = KAFKA_OFFSET_FAILED, .error = NOT_ANSWERED};
    for (struct kafka_group_topic *topic = group->topics; topic != NULL; topic = topic->next)
        for (int32_t i = 0; i < topic->key.topic->count; i++)
            if (topic->commits[i].state == KAFKA_OFFSET_UNKNOWN ||
                topic->commits[i].state == KAFKA_OFFSET_REQUESTED)
                topic->commits[i] = group->wants_all ? none : missing;
}

/* `partitions` are the commits; NULL: there are none. `adds_topics`: the group has all topics that
 * they name from now on. */
static void take_commits(struct kafka_batch_group *group,
                         const rd_kafka_topic_partition_list_t *partitions, bool adds_topics)
{
    if (partitions != NULL)
        take_partitions(group, partitions, adds_topics);
    fill_gaps(group);
}

/* All that the commits name is known. */
static void group_answered(struct kafka_batch_group *group, int64_t now_ms)
{
    struct kafka_batch_task *batch_task;
    group->stage = KAFKA_GROUP_ANSWERED;
    kafka_space_release(&group->batch->session->space, &group->share);
    LL_FOREACH(group->tasks, batch_task)
        if (is_open_without_topic(batch_task))
            kafka_partitions_use_committed(batch_task, now_ms);
}

/* The library's own copy of a list would hold on to structs of the handle, which end with it. */
static rd_kafka_topic_partition_list_t *
copy_partitions(const rd_kafka_topic_partition_list_t *partitions)
{
    rd_kafka_topic_partition_list_t *copy = rd_kafka_topic_partition_list_new(partitions->cnt);
    for (int i = 0; i < partitions->cnt; i++) {
        const rd_kafka_topic_partition_t *from = &partitions->elems[i];
        rd_kafka_topic_partition_t *to =
            rd_kafka_topic_partition_list_add(copy, from->topic, from->partition);
        to->offset = from->offset;
        to->err = from->err;
    }
    return copy;
}

/* ---- 4: offsets are here ---- */

static rd_kafka_resp_err_t offset_error(const struct kafka_offset_answer *answer,
                                        const rd_kafka_topic_partition_t *result)
{
    if (answer->error != RD_KAFKA_RESP_ERR_NO_ERROR)
        return answer->error;
    if (result->offset < 0 && result->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        return NOT_ANSWERED;
    return result->err;
}

/* An offset that was requested again stays known if that fails: other tasks count its value. The
 * task whose commit is beyond it fails (count.c). */
static void take_offset(struct kafka_known_offset *offset, int64_t value, rd_kafka_resp_err_t error)
{
    const bool has_failed = error != RD_KAFKA_RESP_ERR_NO_ERROR;
    const bool is_again = offset->again_step > 0;
    offset->error = error;
    if (!has_failed || !is_again) {
        offset->state = has_failed ? KAFKA_OFFSET_FAILED : KAFKA_OFFSET_KNOWN;
        offset->value = value;
        offset->requested_step = MAX(offset->requested_step, offset->again_step);
    }
    offset->again_step = 0;
}

static void note_log_start(const struct kafka_batch_topic *topic, int32_t partition, int64_t offset,
                           int64_t now_ms)
{
    struct kafka_log_start *log_start = kafka_topics_log_start(topic->known, partition);
    if (log_start != NULL)
        kafka_log_start_answer(log_start, offset, now_ms);
}

static void take_offsets(const struct kafka_offset_answer *answer, int64_t now_ms)
{
    for (int i = 0; i < answer->list->cnt; i++) {
        const rd_kafka_topic_partition_t *result = &answer->list->elems[i];
        struct kafka_batch_topic *topic = result->opaque;
        struct kafka_ends *ends = &topic->partitions[result->partition];
        rd_kafka_resp_err_t error = offset_error(answer, result);
        take_offset(answer->is_earliest ? &ends->earliest : &ends->latest, result->offset, error);
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR && answer->is_earliest)
            note_log_start(topic, result->partition, result->offset, now_ms);
        if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
            kafka_topics_outdate(kafka_metadata_topics(topic->batch->session->metadata),
                                 topic->known);
    }
}

/* ---- 5: request what is missing, or answer ---- */

static const char *error_reason(rd_kafka_resp_err_t error)
{
    return error == NOT_ANSWERED ? "the answer does not have it" : rd_kafka_err2str(error);
}

/* Whether the error may be due to metadata of before the batch. If so the task is measured again.
 * The topic is outdated by now, so the next batch requests its metadata, and there the same error
 * fails the task. The metadata counts that the request was sent by: newer metadata may have come
 * since, for another batch. */
static bool is_of_former_leader(const struct kafka_known_offset *offset)
{
    return offset->has_old_leader && (offset->error == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION ||
                                      offset->error == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
                                      offset->error == RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH ||
                                      offset->error == RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH);
}

static void fail_partition(struct kafka_batch_task *batch_task, const struct kafka_place *at,
                           const struct kafka_missing *missing, int64_t now_ms)
{
    rd_kafka_resp_err_t failure = missing->cause->error;
    if (is_of_former_leader(missing->cause))
        kafka_task_end_return(batch_task, false);
    else if (failure == RD_KAFKA_RESP_ERR__TIMED_OUT)
        kafka_task_end_time_out_leader(batch_task, at, missing->cause, now_ms);
    else
        kafka_task_end_fail(
            batch_task, now_ms, "%s of Kafka topic %s partition %d for group %s: %s", missing->what,
            at->topic->name, at->partition, batch_task->group->name, error_reason(failure));
}

/* Requests an offset that is missing and not requested yet. Returns what is missing after that. */
static struct kafka_missing request_missing(const struct kafka_batch_task *batch_task,
                                            const struct kafka_place *at)
{
    struct kafka_missing missing = kafka_count_missing(batch_task, at->group_topic, at->partition);
    if (missing.kind != KAFKA_MISSING_LATEST && missing.kind != KAFKA_MISSING_EARLIEST)
        return missing;
    kafka_partitions_request_offset(at->group_topic->key.topic, at->partition,
                                    missing.kind == KAFKA_MISSING_EARLIEST);
    return kafka_count_missing(batch_task, at->group_topic, at->partition);
}

/* Goes on after a partition that waits for an answer: so one call has the offsets of all. True:
 * nothing is missing. False: something is, or the task has failed. */
static bool request_missing_or_fail(struct kafka_batch_task *batch_task, int64_t now_ms)
{
    bool is_complete = true;
    for (struct kafka_place at = KAFKA_PLACE_FIRST; kafka_batch_next_partition(batch_task, &at);) {
        const struct kafka_missing missing = request_missing(batch_task, &at);
        if (missing.kind == KAFKA_MISSING_FAILED) {
            fail_partition(batch_task, &at, &missing, now_ms);
            return false;
        }
        is_complete = is_complete && missing.kind == KAFKA_MISSING_NOTHING;
    }
    return is_complete;
}

static bool must_wait_for_members(const struct kafka_batch_task *batch_task)
{
    const struct kafka_batch *batch = batch_task->batch;
    return wants_members(batch_task) &&
           kafka_members_is_pending(batch->session->members, batch_task->group->name,
                                    batch->began_ms);
}

static void request_or_answer(struct kafka_batch_task *batch_task, int64_t now_ms)
{
    if (!kafka_batch_task_is_open(batch_task) || !kafka_batch_task_has_commits(batch_task))
        return;
    if (request_missing_or_fail(batch_task, now_ms) && !must_wait_for_members(batch_task))
        kafka_task_end_answer(batch_task, now_ms);
}

/* ---- what the loop calls, in the order of time ---- */

/* After a listing that was too long the next one would be, too. The tasks fail, and do not time
 * out: time-outs would have the client replaced. All tasks of the batch need the listing
 * (pick_tasks() in measure.c). */
static void request_metadata_or_fail(struct kafka_batch *batch, int64_t now_ms)
{
    struct kafka_metadata *metadata = batch->session->metadata;
    const char *reason = kafka_metadata_reason_suspended(metadata, &batch->need, now_ms);
    if (reason == NULL) {
        kafka_metadata_request(metadata, &batch->need, batch->deadline_ms, now_ms);
        return;
    }
    for (size_t i = 0; i < batch->count; i++)
        if (kafka_batch_task_is_open(&batch->tasks[i]))
            kafka_task_end_fail(&batch->tasks[i], now_ms, "%s", reason);
}

void kafka_progress_begin(struct kafka_batch *batch, int64_t now_ms)
{
    if (!kafka_metadata_has(batch->session->metadata, &batch->need))
        request_metadata_or_fail(batch, now_ms);
}

void kafka_progress_send(struct kafka_batch *batch, struct task **refused, int64_t now_ms)
{
    if (batch->is_sent || !kafka_metadata_has(batch->session->metadata, &batch->need))
        return;
    batch->is_sent = true;
    for (size_t i = 0; i < batch->count; i++)
        if (kafka_batch_task_is_open(&batch->tasks[i]))
            add_to_group(batch, &batch->tasks[i], now_ms);
    for (struct kafka_batch_group *group = batch->groups; group != NULL; group = group->hh.next)
        if (group->open > 0)
            group_begin(group, refused, now_ms);
}

static void try_group(const struct kafka_batch_group *group, int64_t now_ms)
{
    struct kafka_batch_task *batch_task;
    LL_FOREACH(group->tasks, batch_task)
        request_or_answer(batch_task, now_ms);
}

void kafka_progress_metadata(struct kafka_batch *batch, int64_t now_ms)
{
    struct kafka_metadata *metadata = batch->session->metadata;
    for (struct kafka_batch_group *group = batch->groups; group != NULL; group = group->hh.next) {
        if (group->stage != KAFKA_GROUP_AWAITS_METADATA ||
            !kafka_metadata_has(metadata, &group->need))
            continue;
        take_commits(group, group->commits, true);
        rd_kafka_topic_partition_list_destroy(TAKE(group->commits));
        group_answered(group, now_ms);
        try_group(group, now_ms);
    }
}

/* Whether a task needs the topics that the group's commits name. */
static bool awaits_metadata(const struct kafka_batch_group *group)
{
    const struct kafka_batch_task *batch_task = group->tasks;
    while (batch_task != NULL && !is_open_without_topic(batch_task))
        batch_task = batch_task->next;
    return group->stage == KAFKA_GROUP_AWAITS_METADATA && batch_task != NULL;
}

void kafka_progress_metadata_failed(struct kafka_batch *batch, int64_t now_ms)
{
    if (batch->open == 0)
        return;
    if (!batch->is_sent)
        request_metadata_or_fail(batch, now_ms);
    for (struct kafka_batch_group *group = batch->groups; group != NULL; group = group->hh.next)
        if (awaits_metadata(group))
            kafka_metadata_request(batch->session->metadata, &group->need, batch->deadline_ms,
                                   now_ms);
}

/* A group without any commit may be a share group, which is an error, or it is still to be found
 * out: then its tasks come again. */
static bool is_consumer_group_or_end(struct kafka_batch_group *group,
                                     const rd_kafka_topic_partition_list_t *partitions,
                                     int64_t now_ms)
{
    struct kafka_group_types *types = group->batch->session->group_types;
    if (partitions != NULL && count_committed(partitions) > 0)
        return true;
    if (!kafka_group_types_is_known(types, group->name, now_ms)) {
        group_return(group, false);
        return false;
    }
    if (!kafka_group_types_is_share(types, group->name))
        return true;
    group_fail(group,
               "it is a share group, which commits no offsets, so that its lag is not known: set "
               "consumerGroup to a consumer group",
               false, now_ms);
    return false;
}

/* `partitions` are the commits; NULL: there are none. If they add topics whose metadata is not
 * known, tasks without `topic` wait for it. */
static void take_commits_or_wait(struct kafka_batch_group *group,
                                 const rd_kafka_topic_partition_list_t *partitions, int64_t now_ms)
{
    struct kafka_metadata *metadata = group->batch->session->metadata;
    bool adds_topics = group->wants_all && partitions != NULL;
    _cleanup_(memory_free) char *too_many = adds_topics ? reason_too_many(group, partitions) : NULL;
    if (too_many != NULL) {
        fail_tasks_without_topic(group, too_many, now_ms);
        adds_topics = false;
    }
    if (adds_topics)
        group->need = add_committed_topics(group->batch, partitions, now_ms);
    group->answered_step = kafka_batch_next_step(group->batch);
    if (!adds_topics || kafka_metadata_has(metadata, &group->need)) {
        take_commits(group, partitions, adds_topics);
        group_answered(group, now_ms);
    } else {
        group->stage = KAFKA_GROUP_AWAITS_METADATA;
        group->commits = copy_partitions(partitions);
        kafka_metadata_request(metadata, &group->need, group->batch->deadline_ms, now_ms);
        take_commits(group, partitions, false);
    }
    try_group(group, now_ms);
}

void kafka_progress_commits(struct kafka_batch_group *group, rd_kafka_event_t *event,
                            int64_t now_ms)
{
    const char *reason = NULL;
    rd_kafka_resp_err_t failure;
    struct kafka_session *session = group->batch->session;
    const rd_kafka_topic_partition_list_t *partitions =
        kafka_commits_result(session->commits, group->name, event, &reason, &failure);
    if (failure >= RD_KAFKA_RESP_ERR_NO_ERROR)
        kafka_space_note_answer(&session->space, &group->share, now_ms);
    if (group->wants_all && partitions != NULL) {
        kafka_known_groups_note_committed(&session->space.groups, group->name,
                                          (size_t)partitions->cnt, now_ms);
        kafka_space_correct(&session->space, &group->share, space_for((size_t)partitions->cnt));
    }
    if (reason != NULL)
        group_fail(group, reason, failure == RD_KAFKA_RESP_ERR__TIMED_OUT, now_ms);
    else if (is_consumer_group_or_end(group, partitions, now_ms))
        take_commits_or_wait(group, partitions, now_ms);
    rd_kafka_event_destroy(event);
}

void kafka_progress_yield(struct kafka_batch_group *group)
{
    group_return(group, true);
}

void kafka_progress_offsets(const struct kafka_offset_answer *answer, int64_t now_ms)
{
    take_offsets(answer, now_ms);
    kafka_progress_try(answer->owner, now_ms);
}

void kafka_progress_try(struct kafka_batch *batch, int64_t now_ms)
{
    for (size_t i = 0; i < batch->count; i++)
        request_or_answer(&batch->tasks[i], now_ms);
}

void kafka_progress_time(struct kafka_batch *batch, int64_t now_ms)
{
    if (batch->next_deadline_ms > now_ms)
        return;
    batch->next_deadline_ms = CLOCK_NEVER;
    for (size_t i = 0; i < batch->count; i++) {
        const struct task *task = batch->tasks[i].task;
        if (task == NULL)
            continue;
        if (task->deadline_ms <= now_ms)
            kafka_task_end_time_out(&batch->tasks[i], now_ms);
        else if (task->deadline_ms < batch->next_deadline_ms)
            batch->next_deadline_ms = task->deadline_ms;
    }
}
