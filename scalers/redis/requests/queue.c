#include "redis/requests/queue.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "redis/cluster/slots.h"
#include "redis/measure.h"

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

/* ---- its keys ---- */

/* In the order of the library's parts. */
struct names {
    char *keys[PARTS + 1]; /* ending with NULL */
};

static void names_done(struct names *names)
{
    for (size_t i = 0; i < PARTS; i++)
        free(names->keys[i]);
}

static struct names names_of(const struct redis_list_query *query)
{
    struct names names = {0};
    const struct library *library = &libraries[query->library];
    const char *prefix = query->prefix == NULL ? library->prefix : query->prefix;
    for (size_t i = 0; i < PARTS; i++) {
        const struct part *part = &library->parts[i];
        bool is_of_queue = part->after != NULL;
        names.keys[i] =
            text_format("%s:%s%s%s", prefix, part->before, is_of_queue ? query->queue_name : "",
                        is_of_queue ? part->after : "");
    }
    return names;
}

char *redis_queue_name(const struct redis_list_query *query)
{
    return text_format("%s-%s", redis_library_names[query->library],
                       query->queue_name == NULL ? "" : query->queue_name);
}

char *redis_queue_quoted_name(const struct redis_list_query *query)
{
    _cleanup_(memory_free) char *name = redis_queue_name(query);
    return text_format("queue \"%s\"", name);
}

const char *redis_queue_route(const struct redis_list_query *query)
{
    bool is_in_prefix = query->prefix != NULL && strchr(query->prefix, '{') != NULL;
    return is_in_prefix ? query->prefix : query->queue_name;
}

void redis_queue_add_hash(const struct redis_list_query *query, struct hash *hash)
{
    const char *prefix = query->prefix == NULL ? "" : query->prefix;
    const char *library = redis_library_names[query->library];
    hash_add(hash, library, strlen(library));
    hash_add(hash, prefix, strlen(prefix));
    hash_add(hash, query->queue_name, strlen(query->queue_name));
}

void redis_queue_check_slots(const struct redis_list_query *query, struct error *mistakes)
{
    if (query->queue_name == NULL)
        return;
    _cleanup_(names_done) struct names names = names_of(query);
    size_t slot = redis_slot_of(redis_queue_route(query));
    size_t i = 0;
    while (i < PARTS && redis_slot_of(names.keys[i]) == slot)
        i++;
    if (i < PARTS)
        error_add(mistakes,
                  "prefix must have a {hash tag}, such as {%s}: without it the keys of the queue "
                  "are in different slots of the Cluster",
                  libraries[query->library].prefix);
}

/* ---- what they say ---- */

/* Not of one key: Redis does not say of which. */
static void fail(struct redis_link *link, struct task *task, const redisReply *reply)
{
    _cleanup_(memory_free) char *name = redis_queue_quoted_name(task->query);
    redis_measure_fail(link, task, reply, name);
}

/* The server's time. False: the reply is not one. */
static bool parse_time(const redisReply *reply, int64_t *ret_ms)
{
    if (!redis_reply_is_array(reply, 2) || reply->element[0]->type != REDIS_REPLY_STRING ||
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
            _cleanup_(memory_free) char *what = text_format("key \"%s\"", names.keys[i]);
            redis_measure_fail(link, task, counts[i], what);
            return false;
        }
        if (part->meaning == PAUSED)
            is_paused = counts[i]->integer > 0;
        else
            *(part->meaning == IN_FLIGHT ? &reading->in_flight : &reading->waiting) +=
                (double)counts[i]->integer;
    }
    if (is_paused) {
        reading->waiting = 0;
        task_note(task, "the queue is paused: its waiting jobs, which nobody gets, count 0");
    }
    return true;
}

static void read_parts(struct redis_client *client, struct redis_link *link, struct task *task,
                       int tries, int64_t until_ms);

/* As much later as this reply came after its command, and a little more. */
static void read_again(struct redis_link *link, const struct redis_command *command,
                       struct task *task, int64_t server_ms, int64_t received_ms)
{
    int64_t ahead_ms = MIN_AHEAD_MS;
    for (int i = 0; i < command->tries; i++)
        ahead_ms *= AHEAD_GROWTH;
    read_parts(link->owner.self, link, task, command->tries,
               server_ms + (received_ms - command->sent_ms) + ahead_ms);
}

static void fail_misjudged(const struct redis_link *link, const struct redis_command *command,
                           struct task *task, int64_t server_ms)
{
    const struct redis_list_query *query = task->query;
    if (command->until_ms < server_ms)
        task_failf(task,
                   "queue \"%s\": Redis at %s replies too slowly to count the jobs that fall due "
                   "meanwhile, in %d attempts",
                   query->queue_name, link->server->address, command->tries);
    else
        task_failf(task,
                   "queue \"%s\": the clock of Redis at %s could not be followed in %d attempts",
                   query->queue_name, link->server->address, command->tries);
}

/* The reply has the time, the parts, and the next that falls due. */
static void on_parts(struct redis_link *link, struct redis_command *command,
                     const redisReply *reply)
{
    struct task *task = redis_command_take_task(command);
    int64_t server_ms;
    if (task == NULL)
        return;
    if (!redis_reply_is_array(reply, 1 + PARTS + 1) || !parse_time(reply->element[0], &server_ms)) {
        fail(link, task, reply);
        return;
    }
    struct redis_client *client = link->owner.self;
    const struct redis_list_query *query = task->query;
    int64_t received_ms = clock_now_ms();
    client->server_clock_ms = server_ms - (command->sent_ms + received_ms) / 2;
    client->is_server_clock_known = true;

    /* A job that is in no list, and due, although it was not when we thought it would be read. */
    int64_t due_ms = next_due_ms(&libraries[query->library], reply->element[1 + PARTS]);
    if (due_ms <= server_ms || command->until_ms > server_ms + MAX_AHEAD_MS) {
        if (command->tries < MAX_TRIES && received_ms < task->deadline_ms)
            read_again(link, command, task, server_ms, received_ms);
        else
            fail_misjudged(link, command, task, server_ms);
        return;
    }
    struct reading reading = READING_UNKNOWN;
    if (!add_parts(link, task, (const redisReply *const *)&reply->element[1], &reading))
        return;
    if (due_ms != CLOCK_NEVER)
        redis_subscriptions_set_time(&client->subscriber.subscriptions, task->notifier.id,
                                     received_ms + due_ms - server_ms);
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
static void read_parts(struct redis_client *client, struct redis_link *link, struct task *task,
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
    struct redis_command *command = redis_subscriber_read_keys(
        &client->subscriber, link, request, (const char *const *)names.keys, &task, 1);
    command->tries = tries + 1;
    command->sent_ms = clock_now_ms();
    command->until_ms = until_ms;
}

void redis_queue_read(struct redis_client *client, struct redis_link *link, struct task *task)
{
    int64_t now_ms = clock_now_ms();
    task->deadline_ms = now_ms + task->timeout_ms; /* of all attempts together */
    read_parts(client, link, task, 0, reading_ms(client, now_ms));
}
