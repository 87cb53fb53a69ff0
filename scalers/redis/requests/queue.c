#include "redis/requests/queue.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "redis/cluster/cluster.h"
#include "redis/cluster/slots.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_TRIES = 4,       /* while it is learned when the server reads, and by which clock */
    MIN_AHEAD_MS = 10,   /* jobs that fall due so soon are counted, and where that was too little */
    AHEAD_GROWTH = 4,    /* ... so many times as soon */
    MAX_AHEAD_MS = 1000, /* more is another clock */
    PARTS = 5,
    NUMBER_SIZE = 24,
};

/* Of a server's time: what follows from it is a number, too. */
static const long long max_seconds = 1LL << 36;

/* What the number of a key's items is. */
enum meaning {
    WAITING,
    IN_FLIGHT,
    DELAYED, /* of those with a score up to now: waiting */
    PAUSED,  /* not 0: nothing is waiting */
};

struct part {
    enum meaning meaning;
    const char *command;
    const char *before; /* behind the prefix and its colon, in front of the queue's name */
    const char *after;  /* NULL: the key is not of one queue */
    const char *field;  /* of a hash; or NULL */
};

/* A score is a time in units of `unit_ms` times `scale`, plus less than `scale`. */
struct library {
    const char *prefix;
    int64_t unit_ms;
    int64_t scale;
    struct part parts[PARTS];
};

/*
 * BullMQ 5 and 6: src/commands/moveToActive-11.lua takes from wait, then from prioritized; before,
 * includes/promoteDelayedJobs.lua moves what is due, whose score has 12 bits to keep the order.
 * Both do so only while meta has no `paused` (version 5 renames wait to paused, too).
 *
 * RQ 2 and 3: a worker of one queue moves a job to the list `intermediate` (rq/queue.py, lmove),
 * and removes it there once it is in the registry of started jobs. Its scheduler moves what is due
 * (rq/registry.py, get_jobs_to_schedule). `rq suspend` sets rq:suspended (rq/suspension.py).
 *
 * test/brokers/test_redis_queues.py has both libraries make their keys, and compares the counts.
 *
 * Both compare scores with the clock of the machine that runs the worker. Here it is Redis's: it is
 * one, and the workers may be none.
 */
static const struct library libraries[] = {
    [REDIS_BULLMQ] = {"bull",
                      1,
                      0x1000,
                      {{WAITING, "LLEN", "", ":wait", NULL},
                       {WAITING, "ZCARD", "", ":prioritized", NULL},
                       {DELAYED, "ZCOUNT", "", ":delayed", NULL},
                       {IN_FLIGHT, "LLEN", "", ":active", NULL},
                       {PAUSED, "HEXISTS", "", ":meta", "paused"}}},
    [REDIS_RQ] = {"rq",
                  1000,
                  1,
                  {{WAITING, "LLEN", "queue:", "", NULL},
                   {DELAYED, "ZCOUNT", "scheduled:", "", NULL},
                   {IN_FLIGHT, "LLEN", "queue:", ":intermediate", NULL},
                   {IN_FLIGHT, "ZCARD", "wip:", "", NULL},
                   {PAUSED, "EXISTS", "suspended", NULL, NULL}}},
};

char *redis_queue_name(const struct redis_list_query *query)
{
    if (query->library != REDIS_NO_LIBRARY)
        return text_format("%s-%s", redis_library_names[query->library],
                           query->queue_name == NULL ? "" : query->queue_name);
    if (query->list_name == NULL && query->keys.count > 0)
        return text_copy(query->keys.items[0]);
    return text_copy(query->list_name == NULL ? "" : query->list_name);
}

/* ---- keys ---- */

/* The names of a queue's keys: those of a library, in the order of its parts, or the trigger's. */
struct names {
    char *keys[OPTION_MAX_PIECES + 1]; /* ending with NULL */
    size_t count;
};
_Static_assert(PARTS <= (int)OPTION_MAX_PIECES, "the names of a library have a place");

static void names_done(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->keys[i]);
}

static struct names names_of(const struct redis_list_query *query)
{
    struct names names = {0};
    if (query->library == REDIS_NO_LIBRARY) {
        while (names.count < query->keys.count) {
            names.keys[names.count] = text_copy(query->keys.items[names.count]);
            names.count++;
        }
        return names;
    }
    const struct library *library = &libraries[query->library];
    const char *prefix = query->prefix == NULL ? library->prefix : query->prefix;
    for (size_t i = 0; i < PARTS; i++) {
        const struct part *part = &library->parts[i];
        bool is_of_queue = part->after != NULL;
        names.keys[names.count++] =
            text_format("%s:%s%s%s", prefix, part->before, is_of_queue ? query->queue_name : "",
                        is_of_queue ? part->after : "");
    }
    return names;
}

const char *redis_queue_route(const struct redis_list_query *query)
{
    if (query->library == REDIS_NO_LIBRARY)
        return query->list_name == NULL ? query->keys.items[0] : query->list_name;
    bool is_in_prefix = query->prefix != NULL && strchr(query->prefix, '{') != NULL;
    return is_in_prefix ? query->prefix : query->queue_name;
}

void redis_queue_check_slots(const struct redis_list_query *query, struct error *mistakes)
{
    if (query->list_name != NULL ||
        (query->library == REDIS_NO_LIBRARY ? query->keys.count == 0 : query->queue_name == NULL))
        return;
    _cleanup_(names_done) struct names names = names_of(query);
    size_t slot = redis_slot_of(redis_queue_route(query));
    size_t i = 0;
    while (i < names.count && redis_slot_of(names.keys[i]) == slot)
        i++;
    if (i == names.count)
        return;
    if (query->library == REDIS_NO_LIBRARY)
        error_add(mistakes,
                  "keys: number 1 and number %zu are in different slots of the Cluster, and a job "
                  "that moves between two reads would be seen by neither: give them one {hash tag}",
                  i + 1);
    else
        error_add(mistakes,
                  "prefix must have a {hash tag}, such as {%s}: without it the keys of the queue "
                  "are in different slots of the Cluster",
                  libraries[query->library].prefix);
}

size_t redis_queue_subscription_bytes(const struct redis_list_query *query)
{
    if (query->list_name != NULL)
        return redis_subscriptions_bytes((const char *const[]){query->list_name, NULL});
    if (query->library != REDIS_NO_LIBRARY && query->queue_name == NULL)
        return 0;
    _cleanup_(names_done) struct names names = names_of(query);
    return redis_subscriptions_bytes((const char *const *)names.keys);
}

static void fail(struct redis_link *link, struct task *task, const char *key,
                 const redisReply *reply)
{
    _cleanup_(error_done) struct error error = {0};
    if (redis_cluster_redirect(link, task, reply))
        return;
    redis_server_explain(link->server, reply, &error);
    if (key != NULL)
        error_prefix(&error, "key \"%s\"", key);
    task_fail(task, &error);
}

/* The error is that of a whole transaction: Redis does not say which key it is about. */
static void fail_all(struct redis_link *link, struct task *task, const redisReply *reply)
{
    static const char abort[] = "EXECABORT Transaction discarded because of: ";
    const struct redis_list_query *query = task->query;
    _cleanup_(error_done) struct error error = {0};
    redisReply cause = *reply;
    if (redis_reply_is_error(reply, abort))
        cause.str += sizeof(abort) - 1;
    if (redis_cluster_redirect(link, task, &cause))
        return;
    redis_server_explain(link->server, &cause, &error);
    _cleanup_(memory_free) char *name = redis_queue_name(query);
    error_prefix(&error,
                 query->library == REDIS_NO_LIBRARY ? "key \"%s\" and others" : "queue \"%s\"",
                 name);
    task_fail(task, &error);
}

static bool is_reply_of(const redisReply *reply, size_t count)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == count;
}

/* NULL: the command has none any more, or it has failed, since the reply is not an array of all
 * that was asked for. */
static struct task *take_task(struct redis_link *link, struct redis_command *command,
                              const redisReply *reply)
{
    struct task *task = redis_command_take_task(command);
    if (task == NULL)
        return NULL;
    const struct redis_list_query *query = task->query;
    if (is_reply_of(reply, query->library == REDIS_NO_LIBRARY ? query->keys.count : PARTS + 2))
        return task;
    fail_all(link, task, reply);
    return NULL;
}

/* ---- the keys of a trigger ---- */

static void read_keys(struct redis_client *client, struct redis_link *link, struct task *task,
                      int tries);

static void on_types(struct redis_link *link, struct redis_command *command,
                     const redisReply *reply)
{
    struct task *task = take_task(link, command, reply);
    if (task == NULL)
        return;
    struct redis_client *client = link->owner.self;
    const struct redis_list_query *query = task->query;
    for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *type = reply->element[i];
        const char *key = query->keys.items[i];
        if (type->type != REDIS_REPLY_STATUS) {
            fail(link, task, key, type);
            return;
        }
        _cleanup_(error_done) struct error error = {0};
        if (!redis_key_types_learn(&client->key_types, key, type->str, &error)) {
            task_fail(task, &error);
            return;
        }
    }
    read_keys(client, link, task, command->tries);
}

static void read_types(struct redis_link *link, struct task *task, int tries)
{
    const struct redis_list_query *query = task->query;
    redis_words commands[OPTION_MAX_PIECES] = {0};
    for (size_t i = 0; i < query->keys.count; i++) {
        commands[i][0] = "TYPE";
        commands[i][1] = query->keys.items[i];
    }
    struct redis_command *command =
        redis_link_send(link, &(struct redis_request){.transaction = commands,
                                                      .transaction_count = query->keys.count,
                                                      .on_reply = on_types});
    command->tries = tries;
    redis_command_add_task(command, task);
}

static void on_lengths(struct redis_link *link, struct redis_command *command,
                       const redisReply *reply)
{
    struct task *task = take_task(link, command, reply);
    if (task == NULL)
        return;
    const struct redis_list_query *query = task->query;
    struct reading reading = READING_UNKNOWN;
    reading.waiting = 0;
    for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *length = reply->element[i];
        if (redis_reply_is_error(length, "WRONGTYPE") && command->tries < REDIS_KEY_TYPE_TRIES) {
            read_types(link, task, command->tries);
            return;
        }
        if (!redis_reply_is_count(length)) {
            fail(link, task, query->keys.items[i], length);
            return;
        }
        reading.waiting += (double)length->integer;
    }
    task_answer(task, &reading);
}

static void read_keys(struct redis_client *client, struct redis_link *link, struct task *task,
                      int tries)
{
    const struct redis_list_query *query = task->query;
    _cleanup_(names_done) struct names names = names_of(query);
    redis_words commands[OPTION_MAX_PIECES] = {0};
    for (size_t i = 0; i < names.count; i++) {
        commands[i][0] = redis_key_types_find(&client->key_types, names.keys[i])->length_command;
        commands[i][1] = names.keys[i];
    }
    struct redis_request request = {
        .transaction = commands, .transaction_count = names.count, .on_reply = on_lengths};
    redis_subscriber_read_keys(&client->subscriber, link, request, (const char *const *)names.keys,
                               (struct task *const[]){task, NULL})
        ->tries = tries + 1;
}

/* ---- the keys of a library ---- */

static void read_library(struct redis_client *client, struct redis_link *link, struct task *task,
                         int tries, int64_t until_ms);

/* The server's time. False: the reply is not one. */
static bool parse_time(const redisReply *reply, int64_t *ret_ms)
{
    if (!is_reply_of(reply, 2) || reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_STRING)
        return false;
    long long seconds = strtoll(reply->element[0]->str, NULL, 10);
    long long microseconds = strtoll(reply->element[1]->str, NULL, 10);
    if (seconds < 0 || seconds > max_seconds || microseconds < 0 || microseconds >= 1000000)
        return false;
    *ret_ms = seconds * 1000 + microseconds / 1000;
    return true;
}

/* When the first of the jobs falls due that are not yet counted; CLOCK_NEVER: there is none. */
static int64_t next_due_ms(const struct library *library, const redisReply *next)
{
    if (next->type != REDIS_REPLY_ARRAY || next->elements < 2 ||
        next->element[1]->type != REDIS_REPLY_STRING)
        return CLOCK_NEVER;
    double due_ms = floor(strtod(next->element[1]->str, NULL) / (double)library->scale) *
                    (double)library->unit_ms;
    return due_ms >= 0 && due_ms < (double)INT64_MAX / 2 ? (int64_t)due_ms : CLOCK_NEVER;
}

/* Adds up the parts. False: the task has failed. */
static bool add_parts(struct redis_link *link, struct task *task, const redisReply *const *counts,
                      struct reading *reading)
{
    const struct redis_list_query *query = task->query;
    bool is_paused = false;
    reading->waiting = reading->in_flight = 0;
    for (size_t i = 0; i < PARTS; i++) {
        const struct part *part = &libraries[query->library].parts[i];
        if (!redis_reply_is_count(counts[i])) {
            _cleanup_(names_done) struct names names = names_of(query);
            fail(link, task, names.keys[i], counts[i]);
            return false;
        }
        if (part->meaning == PAUSED)
            is_paused = counts[i]->integer > 0;
        else
            *(part->meaning == IN_FLIGHT ? &reading->in_flight : &reading->waiting) +=
                (double)counts[i]->integer;
    }
    if (is_paused)
        reading->waiting = 0;
    return true;
}

/* The reply has the time, the parts, and the next that falls due. */
static void on_parts(struct redis_link *link, struct redis_command *command,
                     const redisReply *reply)
{
    struct task *task = take_task(link, command, reply);
    if (task == NULL)
        return;
    struct redis_client *client = link->owner.self;
    const struct redis_list_query *query = task->query;
    const struct library *library = &libraries[query->library];
    int64_t now_ms;
    if (!parse_time(reply->element[0], &now_ms)) {
        fail_all(link, task, reply);
        return;
    }
    int64_t received_ms = clock_now_ms();
    client->server_clock_ms = now_ms - (command->sent_ms + received_ms) / 2;
    client->is_server_clock_known = true;

    /* A job that is in no list, and due, although it was not when we thought it would be read. */
    int64_t due_ms = next_due_ms(library, reply->element[PARTS + 1]);
    bool is_misjudged = due_ms <= now_ms || command->until_ms > now_ms + MAX_AHEAD_MS;
    if (is_misjudged && command->tries < MAX_TRIES && received_ms < task->deadline_ms) {
        /* The next one is read as much later as this one took, and a little more. */
        int64_t ahead_ms = MIN_AHEAD_MS;
        for (int i = 0; i < command->tries; i++)
            ahead_ms *= AHEAD_GROWTH;
        read_library(client, link, task, command->tries,
                     now_ms + (received_ms - command->sent_ms) + ahead_ms);
        return;
    }
    if (is_misjudged) {
        task_failf(task,
                   command->until_ms < now_ms
                       ? "queue \"%s\": Redis at %s replies too slowly to count the jobs that fall "
                         "due meanwhile, in %d attempts"
                       : "queue \"%s\": the clock of Redis at %s could not be followed in %d "
                         "attempts",
                   query->queue_name, link->server->address, command->tries);
        return;
    }
    struct reading reading = READING_UNKNOWN;
    if (!add_parts(link, task, (const redisReply *const *)&reply->element[1], &reading))
        return;
    if (due_ms != CLOCK_NEVER)
        redis_subscriptions_set_time(&client->subscriber.subscriptions, task->notifier.id,
                                     received_ms + due_ms - now_ms);
    task_answer(task, &reading);
}

/* The server's time when it will read what is sent now, or a little later. */
static int64_t reading_ms(const struct redis_client *client, int64_t now_ms)
{
    double offset_ms =
        client->is_server_clock_known ? (double)client->server_clock_ms : clock_unix_offset_ms();
    int64_t ahead_ms = client->server.round_trip_ms;
    ahead_ms = ahead_ms < MIN_AHEAD_MS ? MIN_AHEAD_MS : clock_earlier(ahead_ms, MAX_AHEAD_MS);
    return now_ms + (int64_t)offset_ms + ahead_ms;
}

/* Jobs count as due up to this time of the server. */
static void read_library(struct redis_client *client, struct redis_link *link, struct task *task,
                         int tries, int64_t until_ms)
{
    const struct redis_list_query *query = task->query;
    const struct library *library = &libraries[query->library];
    _cleanup_(names_done) struct names names = names_of(query);
    char last[NUMBER_SIZE];
    _cleanup_(memory_free) char *behind = NULL;
    snprintf(last, sizeof(last), "%" PRId64,
             (until_ms / library->unit_ms + 1) * library->scale - 1);
    behind = text_format("(%s", last);

    redis_words commands[PARTS + 2] = {{"TIME"}};
    for (size_t i = 0; i < PARTS; i++) {
        const struct part *part = &library->parts[i];
        const char **words = commands[1 + i];
        words[0] = part->command;
        words[1] = names.keys[i];
        words[2] = part->field;
        if (part->meaning != DELAYED)
            continue;
        words[2] = "-inf";
        words[3] = last;
        memcpy(commands[PARTS + 1],
               (redis_words){"ZRANGEBYSCORE", names.keys[i], behind, "+inf", "WITHSCORES", "LIMIT",
                             "0", "1"},
               sizeof(redis_words));
    }
    struct redis_request request = {
        .transaction = commands, .transaction_count = ARRAY_LENGTH(commands), .on_reply = on_parts};
    struct redis_command *command = redis_subscriber_read_keys(&client->subscriber, link, request,
                                                               (const char *const *)names.keys,
                                                               (struct task *const[]){task, NULL});
    command->tries = tries + 1;
    command->sent_ms = clock_now_ms();
    command->until_ms = until_ms;
}

void redis_queue_read(struct redis_client *client, struct redis_link *link, struct task *task)
{
    const struct redis_list_query *query = task->query;
    int64_t now_ms = clock_now_ms();
    if (query->library == REDIS_NO_LIBRARY) {
        read_keys(client, link, task, 0);
        return;
    }
    task->deadline_ms = now_ms + task->timeout_ms; /* of all attempts together */
    read_library(client, link, task, 0, reading_ms(client, now_ms));
}
