#include "redis/requests/streams.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "redis/measure.h"
#include "redis/options.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

static bool wants_lag(const struct task *task)
{
    return redis_stream_mode(task->query) == REDIS_STREAM_LAG;
}

/* Where a lag is wanted there is no group: nobody has taken anything. */
static void answer_length(struct task *task, double length)
{
    struct reading reading = READING_UNKNOWN;
    reading.waiting = length;
    if (wants_lag(task)) {
        reading.in_flight = reading.consumption_rate = 0;
        if (task->wants & READING_WANT_CONSUMERS)
            reading.consumers = 0;
    }
    task_answer(task, &reading);
}

/* For an error. The caller frees it. */
static char *name_of(const struct task *task)
{
    const struct redis_stream_query *query = task->query;
    return query->consumer_group == NULL
               ? text_format("stream \"%s\"", query->stream)
               : text_format("stream \"%s\", group \"%s\"", query->stream, query->consumer_group);
}

static void fail(struct redis_link *link, struct task *task, const redisReply *reply)
{
    _cleanup_(memory_free) char *name = name_of(task);
    redis_measure_fail(link, task, reply, name);
}

static const char *stream_of(const struct task *task)
{
    const struct redis_stream_query *query = task->query;
    return query->stream;
}

/* XINFO GROUPS is one command for all groups. */
static uint64_t hash_of(const struct task *task)
{
    static const char *const commands[] = {[REDIS_STREAM_LENGTH] = "XLEN",
                                           [REDIS_STREAM_PENDING] = "XPENDING",
                                           [REDIS_STREAM_LAG] = "XINFO"};
    const struct redis_stream_query *query = task->query;
    enum redis_stream_mode mode = redis_stream_mode(query);
    struct hash hash;
    hash_begin(&hash);
    hash_add(&hash, commands[mode], strlen(commands[mode]));
    hash_add(&hash, query->stream, strlen(query->stream));
    if (mode == REDIS_STREAM_PENDING)
        hash_add(&hash, query->consumer_group, strlen(query->consumer_group));
    return hash_end(&hash);
}

static void on_length(struct redis_link *link, struct redis_command *command,
                      const redisReply *reply)
{
    struct task *task = redis_command_take_task(command);
    if (task == NULL)
        return;
    if (redis_reply_is_count(reply))
        answer_length(task, (double)reply->integer);
    else
        fail(link, task, reply);
}

static void read_length(struct redis_client *client, struct redis_link *link, struct task *task)
{
    redis_subscriber_read(&client->subscriber, link,
                          (struct redis_request){{"XLEN", stream_of(task)}, on_length},
                          stream_of(task), &task, 1);
}

/* The count, the first and last pending entry, the consumers. */
static void on_pending(struct redis_link *link, struct redis_command *command,
                       const redisReply *reply)
{
    struct task *task = redis_command_take_task(command);
    if (task == NULL)
        return;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0 ||
        !redis_reply_is_count(reply->element[0])) {
        fail(link, task, reply);
        return;
    }
    struct reading reading = READING_UNKNOWN;
    reading.in_flight = (double)reply->element[0]->integer;
    task_answer(task, &reading);
}

static void read_pending(struct redis_link *link, struct task *task)
{
    const struct redis_stream_query *query = task->query;
    struct redis_request request = {{"XPENDING", query->stream, query->consumer_group}, on_pending};
    redis_link_send_for(link, &request, &task, 1);
}

/* Of one group of XINFO GROUPS, whose names and values take turns; NULL where it lacks the name.
 * Redis 7 has six fields: a server must not make us search in as many as it likes for each task. */
static const redisReply *field(const redisReply *group, const char *name)
{
    enum { MAX_ELEMENTS = 64 };
    if (group->type != REDIS_REPLY_ARRAY)
        return NULL;
    for (size_t i = 0; i + 1 < group->elements && i < MAX_ELEMENTS; i += 2)
        if (group->element[i]->type == REDIS_REPLY_STRING &&
            text_equal(group->element[i]->str, name))
            return group->element[i + 1];
    return NULL;
}

/* The groups of a reply, sorted by their names: thousands of tasks may each search for one of
 * thousands. */
struct stream_group {
    const char *name;
    const redisReply *fields;
};

struct stream_groups {
    struct stream_group *items;
    size_t count;
};

static int compare_groups(const void *left, const void *right)
{
    return strcmp(((const struct stream_group *)left)->name,
                  ((const struct stream_group *)right)->name);
}

static struct stream_groups groups_of(const redisReply *reply)
{
    struct stream_groups groups = {0};
    if (reply->type != REDIS_REPLY_ARRAY)
        return groups;
    groups.items = memory_array(reply->elements, sizeof(*groups.items));
    for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *name = field(reply->element[i], "name");
        if (name != NULL && name->type == REDIS_REPLY_STRING && strlen(name->str) == name->len)
            groups.items[groups.count++] = (struct stream_group){name->str, reply->element[i]};
    }
    qsort(groups.items, groups.count, sizeof(*groups.items), compare_groups);
    return groups;
}

static const redisReply *find_group(const struct stream_groups *groups, const char *name)
{
    if (groups->count == 0)
        return NULL;
    const struct stream_group wanted = {.name = name};
    const struct stream_group *found =
        bsearch(&wanted, groups->items, groups->count, sizeof(wanted), compare_groups);
    return found == NULL ? NULL : found->fields;
}

/*
 * Redis does not know who is connected, only who was seen when. A consumer that waits for messages
 * has nothing pending and is seen often, or at the latest when one comes; one that works on a
 * message is seen again when that is done. One that died with entries pending keeps them.
 */
enum { SEEN_MS = 15 * 1000, SEEN_AT_WORK_MS = 5 * 60 * 1000 };

/* Each is an element of XINFO CONSUMERS, and has 8: from Redis 7.2 on four fields. */
enum { MAX_CONSUMERS = 7000 };
_Static_assert(1 + MAX_CONSUMERS * 9 <= REDIS_MAX_ELEMENTS, "the reply is not too large");

/* 1 or 0; NAN: the server does not say. */
static double count_seen(const redisReply *consumer)
{
    const redisReply *pending = field(consumer, "pending");
    const redisReply *idle = field(consumer, "idle");
    if (!redis_reply_is_count(pending) || !redis_reply_is_count(idle))
        return NAN;
    return idle->integer <= (pending->integer > 0 ? SEEN_AT_WORK_MS : SEEN_MS);
}

/* Once per group, up to a few: the log is not to be one of all groups. */
static void warn_once(struct redis_client *client, const struct task *task, const char *reason)
{
    _cleanup_(memory_free) char *name = name_of(task);
    uint64_t hash = hash_text(name);
    for (size_t i = 0; i < client->warned_count; i++)
        if (client->warned[i] == hash)
            return;
    if (client->warned_count == REDIS_MAX_WARNED)
        return;
    client->warned[client->warned_count++] = hash;
    log_warning("Redis at %s: the consumers of %s are not known, which ratePerReplica: measured "
                "needs: %s",
                client->server.address, name, reason);
}

/* Of an error only the code: the rest may repeat what the server was sent, and in a log nothing
 * hides that. */
static void warn_of_error(struct redis_client *client, const struct task *task,
                          const redisReply *reply)
{
    enum { MAX_CODE = 20 };
    char reason[] = "the server replied with an error, and no code";
    size_t length = strspn(reply->str, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    char after = reply->str[length];
    if (length > 0 && length <= MAX_CODE && (after == ' ' || after == '\0'))
        snprintf(reason, sizeof(reason), "the server replied %.*s", (int)length, reply->str);
    warn_once(client, task, reason);
}

static void on_consumers(struct redis_link *link, struct redis_command *command,
                         const redisReply *reply)
{
    struct task *task = redis_command_take_task(command);
    if (task == NULL)
        return;
    double consumers = reply->type == REDIS_REPLY_ARRAY ? 0 : NAN;
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++)
        consumers += count_seen(reply->element[i]);
    if (reply->type == REDIS_REPLY_ERROR)
        warn_of_error(link->owner.self, task, reply);
    else if (isnan(consumers))
        warn_once(link->owner.self, task, "unexpected reply");
    command->reading.consumers = consumers;
    task_answer(task, &command->reading);
}

/* As the policy of a trigger wants them; those that died and were not deleted are among them. */
static void answer_with_consumers(struct redis_link *link, struct task *task,
                                  const struct reading *reading, double consumers)
{
    const struct redis_stream_query *query = task->query;
    bool is_wanted = (task->wants & READING_WANT_CONSUMERS) != 0;
    if (is_wanted && consumers > MAX_CONSUMERS) {
        warn_once(link->owner.self, task,
                  "the group has more than 7,000, seen or not (XGROUP DELCONSUMER deletes one)");
        is_wanted = false;
    }
    if (!is_wanted) {
        task_answer(task, reading);
        return;
    }
    struct redis_request request = {{"XINFO", "CONSUMERS", query->stream, query->consumer_group},
                                    on_consumers};
    redis_link_send_for(link, &request, &task, 1)->reading = *reading;
}

/* ---- the lag of a group ---- */

/* An ID is two numbers: "1700000000000-0". */
struct entry_id {
    uint64_t ms, sequence;
};

static bool parse_id(const redisReply *reply, struct entry_id *ret_id)
{
    char *end = NULL;
    if (reply == NULL || reply->type != REDIS_REPLY_STRING)
        return false;
    ret_id->ms = strtoull(reply->str, &end, 10);
    if (end == reply->str || *end != '-')
        return false;
    ret_id->sequence = strtoull(end + 1, NULL, 10);
    return true;
}

static bool is_before(const struct entry_id *left, const struct entry_id *right)
{
    return left->ms < right->ms || (left->ms == right->ms && left->sequence < right->sequence);
}

/* What XINFO GROUPS says of a task's group. */
struct group_state {
    const struct task *task; /* only to find the state: the task may have ended */
    struct reading reading;
    double lag;          /* as Redis says, which may be below 0; NAN: it does not know */
    double entries_read; /* NAN: none, or not known */
    double consumers;
    bool has_position; /* `position` is known: */
    struct entry_id position;
};

/* What the stream says after that. */
struct stream_end {
    double length; /* NAN: not known */
    bool has_last; /* `last`, of its last entry, is known: */
    struct entry_id last;
};

/* Whoever sets the position of a group, or trims a stream of Redis 7.0, makes Redis count wrong.
 * Nothing waits behind a group that is at the last entry, nor in an empty stream, and no more than
 * there is. */
static double correct_lag(const struct group_state *group, const struct stream_end *end)
{
    bool is_at_end =
        group->has_position && end->has_last && !is_before(&group->position, &end->last);
    if (is_at_end || end->length == 0)
        return 0;
    if (!(group->lag >= 0)) /* NAN, too */
        return NAN;
    return group->lag > end->length ? end->length : group->lag;
}

/* KEDA's built-in answers 0 then, and the workers are gone. */
static void explain_lag(const struct redis_server *server, struct task *task,
                        const struct group_state *group)
{
    const struct redis_stream_query *query = task->query;
    _cleanup_(memory_free) char *name = name_of(task);
    if (group->lag < 0 && !isnan(group->entries_read) && group->has_position)
        task_failf(
            task,
            "%s: Redis at %s does not know the lag: it believes that the group has read %.0f "
            "of %.0f entries (a wrong ENTRIESREAD of XGROUP, or a wrong XSETID): "
            "XGROUP SETID %s %s $ corrects this, and skips entries that wait; "
            "with %llu-%llu in place of $ it skips none, and the lag is known once the group "
            "has read to the end",
            name, server->address, group->entries_read, group->entries_read + group->lag,
            query->stream, query->consumer_group, (unsigned long long)group->position.ms,
            (unsigned long long)group->position.sequence);
    else
        task_failf(
            task,
            "%s: Redis at %s does not know the lag: entries that the group has not read were "
            "deleted, or its position was set (XGROUP SETID, or XGROUP CREATE at $); it "
            "knows it again once the group has read to the end",
            name, server->address);
}

static void answer_group(struct redis_link *link, struct task *task,
                         const struct group_state *group, const struct stream_end *end)
{
    struct reading reading = group->reading;
    reading.waiting = correct_lag(group, end);
    if (isnan(reading.waiting))
        explain_lag(link->server, task, group);
    else
        answer_with_consumers(link, task, &reading, group->consumers);
}

static struct stream_end stream_end_of(const redisReply *reply)
{
    struct stream_end end = {.length = NAN};
    if (redis_reply_is_count(reply)) { /* of XLEN */
        end.length = (double)reply->integer;
        return end;
    }
    const redisReply *length = field(reply, "length");
    const redisReply *last = field(reply, "last-entry");
    if (redis_reply_is_count(length))
        end.length = (double)length->integer;
    if (last != NULL && last->type == REDIS_REPLY_ARRAY && last->elements > 0)
        end.has_last = parse_id(last->element[0], &end.last);
    return end;
}

/* Takes what is known of the tasks' groups from the command; the tasks are in the same order, but
 * some may have ended. */
static void on_stream_end(struct redis_link *link, struct redis_command *command,
                          const redisReply *reply)
{
    const struct stream_end end = stream_end_of(reply);
    const struct group_state *group = command->kept;
    for (struct task *task; (task = redis_command_take_task(command)) != NULL; group++) {
        while (group->task != task)
            group++;
        answer_group(link, task, group, &end);
    }
}

/* They are the command's from here on. */
static void send_for_groups(struct redis_link *link, const struct redis_request *request,
                            struct task *const *tasks, size_t count, struct group_state *groups)
{
    struct redis_command *command = redis_link_send_for(link, request, tasks, count);
    command->kept = groups;
    command->is_optional = request->on_reply != on_stream_end;
}

static void read_length_of_groups(struct redis_link *link, struct task *const *tasks, size_t count,
                                  struct group_state *groups)
{
    struct redis_request request = {{"XLEN", stream_of(tasks[0])}, on_stream_end};
    send_for_groups(link, &request, tasks, count, groups);
}

/* XINFO STREAM needs a right that XINFO GROUPS does not. Without it the length must do. */
static void on_stream(struct redis_link *link, struct redis_command *command,
                      const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ERROR) {
        on_stream_end(link, command, reply);
        return;
    }
    size_t count = 0;
    for (const struct task *task = command->tasks; task != NULL; task = task->next)
        count++;
    if (count == 0)
        return;
    _cleanup_(memory_free) struct task **tasks = memory_array(count, sizeof(*tasks));
    for (size_t i = 0; i < count; i++)
        tasks[i] = redis_command_take_task(command);
    read_length_of_groups(link, tasks, count, TAKE(command->kept));
}

/* Only after XINFO GROUPS: a group that was at the last entry before it came has nothing more. */
static void read_stream_end(struct redis_link *link, struct task *const *tasks, size_t count,
                            struct group_state *groups)
{
    struct redis_request request = {{"XINFO", "STREAM", stream_of(tasks[0])}, on_stream};
    if (link->owner.links->skips_optional) /* its first and last entry are too large */
        read_length_of_groups(link, tasks, count, groups);
    else
        send_for_groups(link, &request, tasks, count, groups);
}

static double count_or_nan(const redisReply *reply)
{
    return redis_reply_is_count(reply) ? (double)reply->integer : NAN;
}

static struct group_state state_of(const struct task *task, const redisReply *group)
{
    const redisReply *lag = field(group, "lag");
    struct group_state state = {
        .task = task,
        .reading = READING_UNKNOWN,
        .lag = lag->type == REDIS_REPLY_INTEGER ? (double)lag->integer : NAN,
        .entries_read = count_or_nan(field(group, "entries-read")),
        .consumers = count_or_nan(field(group, "consumers")),
    };
    struct reading *reading = &state.reading;
    state.has_position = parse_id(field(group, "last-delivered-id"), &state.position);
    reading->in_flight = count_or_nan(field(group, "pending"));
    if (!isnan(state.entries_read)) {
        reading->arrived = state.entries_read + state.lag; /* also where both are wrong */
        reading->consumed = state.entries_read - reading->in_flight;
    } else if (!isnan(state.lag)) /* the group has not read anything */
        reading->consumption_rate = 0;
    return state;
}

/* NULL: the task has ended, or waits for another reply. */
static const redisReply *group_of(struct redis_link *link, struct task *task,
                                  const redisReply *reply, const struct stream_groups *groups)
{
    const struct redis_stream_query *query = task->query;
    const redisReply *group = find_group(groups, query->consumer_group);
    if (redis_reply_is_error(reply, "ERR no such key"))
        answer_length(task, 0);
    else if (reply->type != REDIS_REPLY_ARRAY)
        fail(link, task, reply);
    /* As KEDA: workers make their group when they start, so before the first one all entries wait.
     */
    else if (group == NULL)
        read_length(link->owner.self, link, task);
    else if (field(group, "lag") ==
             NULL) { /* KEDA's built-in answers 0, and the workers are gone */
        _cleanup_(memory_free) char *name = name_of(task);
        const struct redis_server *server = link->server;
        task_failf(task,
                   "%s: Redis at %s has version %s and reports no lag: lagCount needs Redis 7 or "
                   "newer; without it pending entries count",
                   name, server->address, server->version == NULL ? "unknown" : server->version);
    } else
        return group;
    return NULL;
}

/* A lag of 0 is right but for a wrong ENTRIESREAD or XSETID; any other may be too large. */
static void on_groups(struct redis_link *link, struct redis_command *command,
                      const redisReply *reply)
{
    struct stream_groups groups = groups_of(reply);
    struct group_state *states = NULL;
    struct task **tasks = NULL;
    size_t tasks_capacity = 0;
    size_t states_capacity = 0;
    size_t count = 0;
    for (struct task *task; (task = redis_command_take_task(command)) != NULL;) {
        const redisReply *group = group_of(link, task, reply, &groups);
        if (group == NULL)
            continue;
        const struct group_state state = state_of(task, group);
        if (state.lag == 0) {
            answer_group(link, task, &state, &(struct stream_end){.length = NAN});
            continue;
        }
        states = memory_grow(states, &states_capacity, count + 1, sizeof(*states));
        tasks = memory_grow(tasks, &tasks_capacity, count + 1, sizeof(struct task *));
        states[count] = state;
        tasks[count++] = task;
    }
    if (count > 0)
        read_stream_end(link, tasks, count, states);
    free(tasks);
    free(groups.items);
}

/* Those that want a lag come last, by their streams. */
static int compare_tasks(const struct task *left, const struct task *right)
{
    int order = (int)wants_lag(left) - (int)wants_lag(right);
    return order != 0 || !wants_lag(left) ? order : strcmp(stream_of(left), stream_of(right));
}

/* The reply has all groups of a stream, so that one command is sent for all tasks of the first
 * one's. */
static void read_groups(struct redis_client *client, struct redis_link *link,
                        struct redis_waiting *waiting)
{
    const struct task *first = waiting->tasks;
    const char *stream = stream_of(first);
    size_t count = 1;
    for (const struct task *next = first->next; next != NULL && compare_tasks(first, next) == 0;
         next = next->next)
        count++;
    _cleanup_(memory_free) struct task **tasks = memory_array(count, sizeof(*tasks));
    for (size_t i = 0; i < count; i++)
        tasks[i] = redis_waiting_start(waiting);
    redis_subscriber_read(&client->subscriber, link,
                          (struct redis_request){{"XINFO", "GROUPS", stream}, on_groups}, stream,
                          tasks, count);
}

static void send_tasks(struct redis_client *client, struct redis_link *link,
                       struct redis_waiting *waiting)
{
    if (!waiting->is_sorted)
        DL_SORT(waiting->tasks, compare_tasks);
    waiting->is_sorted = true;
    while (waiting->count > 0 && redis_link_has_capacity(link)) {
        switch (redis_stream_mode(waiting->tasks->query)) {
        case REDIS_STREAM_LENGTH:
            read_length(client, link, redis_waiting_start(waiting));
            break;
        case REDIS_STREAM_PENDING:
            read_pending(link, redis_waiting_start(waiting));
            break;
        case REDIS_STREAM_LAG:
            read_groups(client, link, waiting);
            break;
        }
    }
}

static const struct redis_requests requests = {send_tasks, stream_of, hash_of, name_of};

bool redis_streams_measure(void *client, struct feed *feed, struct error *error)
{
    return redis_measure(client, feed, &requests, error);
}

bool redis_streams_measure_in_cluster(void *cluster, struct feed *feed, struct error *error)
{
    return redis_measure_cluster(cluster, feed, &requests, error);
}
