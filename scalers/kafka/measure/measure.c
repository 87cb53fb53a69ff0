#include "kafka/measure/measure.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "kafka/measure/batch.h"
#include "kafka/measure/progress.h"
#include "kafka/measure/task_end.h"

#include <assert.h>
#include <sys/eventfd.h>
#include <sys/param.h>
#include <utlist.h>

/*
 * One turn of the loop (run_turns()), and why in this order:
 *
 *  1  receive  answers first: a task whose answer has come does not time out
 *  2  end      tasks that are late, subscriptions, groups whose coordinator hangs:
 *              they leave room for what begins
 *  3  begin    tasks are taken, and batches begin and send. Tasks whose group found no space go
 *              back to the server at the end
 *  4  renew    the main handle, if it needs that: no request is half made now
 *  5  wait     for an answer, a message, a task, or the next deadline; the loop ends if it has no
 *              tasks and no subscriptions
 */

/* New tasks gather while a batch younger than this is under way, to share requests. */
enum { GATHER_MS = 10 };

/* Handles that do not end (workaround 4 of client.h) keep their threads. With 4 of them the client
 * is given up, for a new process, at the next moment without tasks, as tasks would fail. With 8 it
 * is given up at once: such a moment may never come. */
enum { MAX_STUCK = 4, MAX_STUCK_BUSY = 8 };

struct loop {
    struct kafka_session *session;
    struct feed *feed;
    struct kafka_batch *batches; /* utlist, the oldest first */
    struct task *waiting;        /* utlist: tasks in no batch: they gather, or their group must wait
                                    (may_begin()), or space is reserved for it */
    struct task *refused;        /* utlist: tasks without memory, or space, in this turn */
    int64_t now_ms;
};

/* ---- tasks begin ---- */

static void take_tasks(struct loop *loop)
{
    for (struct task *task; (task = feed_take(loop->feed)) != NULL;) {
        task->data = NULL;
        task->queued_ms = loop->now_ms;
        task->deadline_ms = loop->now_ms + task->timeout_ms;
        DL_APPEND(loop->waiting, task);
    }
}

static void end_subscriptions(const struct loop *loop)
{
    for (uint64_t id; feed_next_unsubscribe(loop->feed, &id);)
        kafka_subscriptions_remove(loop->session->subscriptions, id);
}

static bool must_gather(const struct loop *loop)
{
    const struct kafka_batch *batches = loop->batches;
    const struct kafka_batch *newest = batches == NULL ? NULL : batches->prev;
    return newest != NULL && newest->open > 0 && loop->now_ms - newest->began_ms < GATHER_MS;
}

static bool needs_listing(const struct loop *loop, const struct kafka_query *query)
{
    return kafka_selection_kind(query->topic) == KAFKA_SELECTION_OF_PATTERN &&
           kafka_metadata_needs_listing(loop->session->metadata, query->topic, loop->now_ms);
}

static bool commits_are_free(const struct loop *loop, const struct task *task)
{
    const struct kafka_query *query = task->query;
    return kafka_commits_is_free(loop->session->commits, query->consumer_group, task->isolate,
                                 loop->now_ms);
}

/* False: the group's call is under way; or it is looked up (group_types.h); or the group is silent,
 * and other silent groups have all of the space (space.h). */
static bool may_begin(const struct loop *loop, const struct task *task)
{
    const struct kafka_query *query = task->query;
    return commits_are_free(loop, task) &&
           !kafka_group_types_is_pending(loop->session->group_types, query->consumer_group) &&
           kafka_space_is_free(&loop->session->space, query->consumer_group);
}

/* Takes the waiting tasks that may begin, for one kind of batch. Tasks that need a listing have a
 * batch of their own, as a listing may fail or be slow. */
static struct task *pick_tasks(struct loop *loop, bool isolate, bool for_listing, size_t *ret_count)
{
    struct task *picked = NULL;
    struct task *all = TAKE(loop->waiting);
    struct task *task;
    struct task *next;
    *ret_count = 0;
    DL_FOREACH_SAFE(all, task, next) {
        if (task->isolate != isolate || needs_listing(loop, task->query) != for_listing ||
            !may_begin(loop, task)) {
            DL_APPEND(loop->waiting, task);
            continue;
        }
        DL_APPEND(picked, task);
        ++*ret_count;
        task->deadline_ms = loop->now_ms + task->timeout_ms; /* its time begins now */
        if (task->queued_ms < loop->now_ms)
            task_started(task);
    }
    return picked;
}

static void begin_batch(struct loop *loop, bool isolate, bool for_listing)
{
    size_t count;
    struct task *tasks = pick_tasks(loop, isolate, for_listing, &count);
    if (tasks == NULL)
        return;
    struct kafka_batch *batch = kafka_batch_new(loop->session, tasks, count, isolate, loop->now_ms);
    DL_APPEND(loop->batches, batch);
    kafka_progress_begin(batch, loop->now_ms);
}

/* Batches that need a listing begin first: its answer has the topics of the other batches, too. */
static void begin_batches(struct loop *loop)
{
    struct kafka_session *session = loop->session;
    if (loop->waiting == NULL || must_gather(loop) || kafka_space_must_gather(&session->space))
        return;
    for (int isolate = 0; isolate < 2; isolate++) {
        begin_batch(loop, isolate, true);
        begin_batch(loop, isolate, false);
    }
    /* Not when answers come: after a pause of the machine all seems old that the answers need. */
    kafka_session_forget_old(session, loop->now_ms);
}

/* Sends the requests of each batch whose metadata is there. */
static void send_batches(struct loop *loop)
{
    struct kafka_batch *batch;
    DL_FOREACH(loop->batches, batch)
        kafka_progress_send(batch, &loop->refused, loop->now_ms);
    kafka_offsets_send(loop->session->offsets);
}

/* ---- answers are received ---- */

static bool receive_metadata(const struct loop *loop, struct error *error)
{
    for (;;) {
        _cleanup_(error_done) struct error reason = {0};
        struct kafka_batch *batch;
        switch (kafka_metadata_receive(loop->session->metadata, loop->now_ms, &reason)) {
        case KAFKA_METADATA_NOTHING:
            return true;
        case KAFKA_METADATA_RECEIVED:
            DL_FOREACH(loop->batches, batch)
                kafka_progress_metadata(batch, loop->now_ms);
            break;
        case KAFKA_METADATA_FAILED:
            DL_FOREACH(loop->batches, batch)
                kafka_progress_metadata_failed(batch, loop->now_ms);
            break;
        case KAFKA_METADATA_LOST:
            error_move(error, &reason);
            return false;
        }
    }
}

static void try_batches(const struct loop *loop)
{
    struct kafka_batch *batch;
    DL_FOREACH(loop->batches, batch)
        kafka_progress_try(batch, loop->now_ms);
}

static bool receive_answers(struct loop *loop, struct error *error)
{
    struct kafka_session *session = loop->session;
    eventfd_t events;
    rd_kafka_event_t *event;
    struct kafka_commits_request *request;
    struct kafka_offset_answer answer;
    eventfd_read(session->client.event_fd, &events);
    kafka_client_poll(&session->client);
    if (!receive_metadata(loop, error))
        return false;
    while ((request = kafka_commits_receive(session->commits, &event, loop->now_ms)) != NULL)
        kafka_progress_commits(kafka_batch_group_of(request), event, loop->now_ms);
    while (kafka_offsets_receive(session->offsets, &answer, loop->now_ms))
        kafka_progress_offsets(&answer, loop->now_ms);
    if (kafka_members_receive(session->members, loop->now_ms))
        try_batches(loop);
    kafka_group_types_receive(session->group_types, loop->now_ms);
    kafka_subscriptions_receive(session->subscriptions, loop->now_ms);
    return true;
}

/* ---- tasks and batches end, and how many tasks there may be ---- */

/* Time runs only for tasks that wait for an earlier call of their own group. For other tasks the
 * deadline is moved. */
static void time_out_waiting(struct loop *loop)
{
    struct task *task;
    struct task *next;
    DL_FOREACH_SAFE(loop->waiting, task, next)
        if (commits_are_free(loop, task))
            task->deadline_ms = loop->now_ms + task->timeout_ms;
        else if (task->deadline_ms <= loop->now_ms) {
            DL_DELETE(loop->waiting, task);
            kafka_task_end_time_out_waiting(loop->session, task);
        }
}

static void time_out_tasks_and_free_batches(struct loop *loop)
{
    struct kafka_batch *batch;
    struct kafka_batch *next;
    time_out_waiting(loop);
    DL_FOREACH_SAFE(loop->batches, batch, next) {
        kafka_progress_time(batch, loop->now_ms);
        if (batch->open > 0)
            continue;
        DL_DELETE(loop->batches, batch);
        kafka_batch_free(batch);
    }
}

static size_t waiting_tasks(const struct loop *loop)
{
    size_t count;
    const struct task *task;
    DL_COUNT(loop->waiting, task, count);
    return count;
}

static size_t tasks_in_hand(const struct loop *loop)
{
    size_t count = waiting_tasks(loop);
    const struct kafka_batch *batch;
    DL_FOREACH(loop->batches, batch)
        count += batch->open;
    return count;
}

/* What a task takes that begins, as far as its pattern is known. */
static size_t begun_bytes(const struct loop *loop, const struct kafka_query *query)
{
    const struct kafka_pattern *pattern =
        kafka_selection_kind(query->topic) == KAFKA_SELECTION_OF_PATTERN
            ? kafka_patterns_find(kafka_metadata_patterns(loop->session->metadata), query->topic)
            : NULL;
    return KAFKA_MEMORY_PER_BEGUN_TASK + kafka_selection_bytes(query->topic) +
           (pattern == NULL ? 0 : kafka_patterns_list_bytes(pattern));
}

/* Tasks that would take more bytes than these go back to the server. One begins in any case. */
static void refuse_tasks_beyond(struct loop *loop, double bytes)
{
    bool is_first = loop->batches == NULL;
    struct task *task;
    struct task *next;
    DL_FOREACH_SAFE(loop->waiting, task, next) {
        bytes -= (double)begun_bytes(loop, task->query);
        if (bytes < 0 && !is_first) {
            DL_DELETE(loop->waiting, task);
            DL_APPEND(loop->refused, task);
        }
        is_first = false;
    }
}

/* Refuses tasks, and sets what space there is for the others. Tasks that begin now count in their
 * batches, and those that stay by note_memory(). */
static void limit_by_memory(struct loop *loop)
{
    struct kafka_session *session = loop->session;
    struct kafka_memory *memory = &session->client.memory;
    kafka_memory_note_tasks(memory, feed_query_bytes(loop->feed), 0);
    refuse_tasks_beyond(loop, kafka_memory_for_tasks(memory));
    kafka_space_set_limit(
        &session->space,
        kafka_memory_max_commits(memory, kafka_commits_has_second_handle(session->commits)));
}

static void note_memory(const struct loop *loop)
{
    struct kafka_memory *memory = &loop->session->client.memory;
    kafka_memory_note_tasks(memory, feed_query_bytes(loop->feed), waiting_tasks(loop));
    kafka_memory_note_commits(memory, kafka_space_partitions(&loop->session->space));
}

/* Silent groups yield their space to others. */
static void yield_silent_groups(const struct loop *loop)
{
    struct kafka_share *silent;
    while ((silent = kafka_space_maintain(&loop->session->space, loop->now_ms)) != NULL)
        kafka_progress_yield(silent->owner);
}

static bool is_of_group(const struct task *task, const char *group)
{
    const struct kafka_query *query = task->query;
    return text_equal(query->consumer_group, group);
}

/* Whether a task of the group has yet to ask for space: it waits here, or its batch waits for
 * metadata. */
static bool has_task_without_space(const struct loop *loop, const char *group)
{
    const struct task *task;
    const struct kafka_batch *batch;
    DL_FOREACH(loop->waiting, task)
        if (is_of_group(task, group))
            return true;
    DL_FOREACH(loop->batches, batch)
        for (size_t i = 0; !batch->is_sent && i < batch->count; i++)
            if (kafka_batch_task_is_open(&batch->tasks[i]) &&
                is_of_group(batch->tasks[i].task, group))
                return true;
    return false;
}

/* Ends the reservation of space if no task of its group is left. */
static void end_unused_reservation(const struct loop *loop)
{
    struct kafka_space *space = &loop->session->space;
    const char *group = kafka_space_reserved_for(space);
    if (group != NULL && !has_task_without_space(loop, group))
        kafka_space_end_reservation(space);
}

/* Refused tasks of the group that space is reserved for wait here, and do not go back. */
static void keep_reserved_tasks(struct loop *loop)
{
    struct task *task;
    struct task *next;
    const char *group = kafka_space_reserved_for(&loop->session->space);
    DL_FOREACH_SAFE(loop->refused, task, next)
        if (group != NULL && is_of_group(task, group)) {
            DL_DELETE(loop->refused, task);
            DL_APPEND(loop->waiting, task);
        }
}

/* First tells the server how many tasks there is space for, then returns the refused tasks. In the
 * other order the server would give the same tasks again. */
static void bound_tasks(struct loop *loop)
{
    enum { MAX_ISOLATED = 16, ISOLATED_SHARE = 4 }; /* a quarter */
    struct kafka_space *space = &loop->session->space;
    struct task *task;
    struct task *next;
    bool are_refused = loop->refused != NULL;
    keep_reserved_tasks(loop);
    if (are_refused)
        kafka_space_narrow(space, tasks_in_hand(loop), loop->now_ms);
    kafka_space_widen(space, loop->now_ms);
    size_t max_tasks = kafka_space_max_tasks(space);
    feed_set_max_tasks(loop->feed, max_tasks, MIN(max_tasks / ISOLATED_SHARE, MAX_ISOLATED));
    struct task *refused = TAKE(loop->refused);
    DL_FOREACH_SAFE(refused, task, next)
        task_return(task, false);
}

static int64_t wake_at_ms(const struct loop *loop)
{
    const struct kafka_session *session = loop->session;
    int64_t next_ms = MIN(kafka_commits_next_ms(session->commits, loop->now_ms),
                          kafka_metadata_next_ms(session->metadata, loop->now_ms));
    next_ms = MIN(next_ms, kafka_members_next_ms(session->members));
    next_ms = MIN(next_ms, kafka_client_side_retry_ms(&session->client, loop->now_ms));
    next_ms = MIN(next_ms, kafka_space_next_ms(&session->space, loop->now_ms));
    const struct kafka_batch *batch;
    const struct task *task;
    DL_FOREACH(loop->batches, batch)
        if (batch->open > 0 && batch->next_deadline_ms < next_ms)
            next_ms = batch->next_deadline_ms;
    DL_FOREACH(loop->waiting, task)
        if (task->deadline_ms < next_ms)
            next_ms = task->deadline_ms;
    if (loop->waiting != NULL && must_gather(loop))
        next_ms = MIN(next_ms, loop->batches->prev->began_ms + GATHER_MS);
    return next_ms;
}

static void wait_for_answers(const struct loop *loop)
{
    struct pollfd descriptors[] = {
        {.fd = loop->session->client.event_fd, .events = POLLIN},
        {.fd = kafka_subscriptions_descriptor(loop->session->subscriptions), .events = POLLIN},
    };
    feed_wait(loop->feed, descriptors, ARRAY_LENGTH(descriptors), wake_at_ms(loop));
}

/* If a task is open, the session ends next: its persistence need not be noted. */
static void free_batches(struct loop *loop)
{
    struct kafka_batch *batch;
    struct kafka_batch *next;
    DL_FOREACH_SAFE(loop->batches, batch, next) {
        DL_DELETE(loop->batches, batch);
        kafka_batch_free(batch);
    }
    assert(loop->session->client.memory.bytes[KAFKA_ACCOUNT_BATCHES] == 0);
}

/* The library's last error is not the reason. */
static bool give_up(struct kafka_client *client, const char *why, struct error *error)
{
    kafka_client_clear_errors(client);
    return kafka_client_fail(client, error, why);
}

/* False: the client is of no use any more. */
static bool run_turns(struct loop *loop, struct error *error)
{
    struct kafka_session *session = loop->session;
    while (!feed_is_stopping(loop->feed)) {
        loop->now_ms = clock_now_ms();

        /* 1 */
        if (!receive_answers(loop, error))
            return false;
        loop->now_ms = clock_now_ms(); /* a long list of topics takes time */

        /* 2 */
        time_out_tasks_and_free_batches(loop);
        end_subscriptions(loop);
        yield_silent_groups(loop);    /* after the ended tasks have released their space */
        end_unused_reservation(loop); /* after all tasks that end */

        /* 3 */
        take_tasks(loop); /* also tasks that were just returned */
        limit_by_memory(loop);
        begin_batches(loop);
        send_batches(loop); /* also the offsets that answers have shown to be missing */
        bound_tasks(loop);  /* no task is refused after this */
        note_memory(loop);

        /* 4. Tasks whose requests for members have ended are answered without. */
        if (kafka_session_maintain(session, loop->now_ms)) {
            try_batches(loop);
            continue;
        }

        /* 5 */
        bool is_busy = tasks_in_hand(loop) > 0;
        if (kafka_handles_stuck(&session->client.handles, loop->now_ms) >=
            (is_busy ? MAX_STUCK_BUSY : MAX_STUCK))
            return give_up(&session->client, "old connections do not end", error);
        if (!is_busy && session->useless != NULL)
            return give_up(&session->client, session->useless, error);
        if (!is_busy && kafka_subscriptions_is_empty(session->subscriptions))
            return true;
        wait_for_answers(loop);
    }
    return true;
}

bool kafka_measure(void *client, struct feed *feed, struct error *error)
{
    struct loop loop = {.session = client, .feed = feed};
    bool is_usable = run_turns(&loop, error);
    free_batches(&loop);
    return is_usable;
}
