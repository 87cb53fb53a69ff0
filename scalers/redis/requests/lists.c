#include "redis/requests/lists.h"

#include "base/hash.h"
#include "base/memory.h"
#include "base/text.h"
#include "redis/cluster/slots.h"
#include "redis/measure.h"
#include "redis/requests/queue.h"

#include <string.h>

/* ---- the keys ---- */

/* Those that the trigger lists; the names are the query's. A library's queue has others. */
struct list_keys {
    const char *names[OPTION_MAX_PIECES + 1]; /* ending with NULL */
    size_t count;
};

static struct list_keys keys_of(const struct redis_list_query *query)
{
    struct list_keys keys = {0};
    if (query->list_name != NULL)
        keys.names[keys.count++] = query->list_name;
    else
        while (keys.count < query->keys.count) {
            keys.names[keys.count] = query->keys.items[keys.count];
            keys.count++;
        }
    return keys;
}

char *redis_list_name(const struct redis_list_query *query)
{
    if (query->library != REDIS_NO_LIBRARY)
        return redis_queue_name(query);
    struct list_keys keys = keys_of(query);
    return text_copy(keys.count == 0 ? "" : keys.names[0]);
}

void redis_list_check_slots(const struct redis_list_query *query, struct error *mistakes)
{
    if (query->library != REDIS_NO_LIBRARY) {
        redis_queue_check_slots(query, mistakes);
        return;
    }
    struct list_keys keys = keys_of(query);
    size_t i = 0;
    while (i < keys.count && redis_slot_of(keys.names[i]) == redis_slot_of(keys.names[0]))
        i++;
    if (i < keys.count)
        error_add(mistakes,
                  "keys: number 1 and number %zu are in different slots of the Cluster, and a job "
                  "that moves between two reads would be seen by neither: give them one {hash tag}",
                  i + 1);
}

static const char *key_of(const struct task *task)
{
    const struct redis_list_query *query = task->query;
    return query->library == REDIS_NO_LIBRARY ? keys_of(query).names[0] : redis_queue_route(query);
}

static uint64_t hash_of(const struct task *task)
{
    const struct redis_list_query *query = task->query;
    struct list_keys keys = keys_of(query);
    struct hash hash;
    hash_begin(&hash);
    for (size_t i = 0; i < keys.count; i++)
        hash_add(&hash, keys.names[i], strlen(keys.names[i]));
    if (query->library != REDIS_NO_LIBRARY)
        redis_queue_add_hash(query, &hash);
    return hash_end(&hash);
}

static char *name_of(const struct task *task)
{
    const struct redis_list_query *query = task->query;
    if (query->library != REDIS_NO_LIBRARY)
        return redis_queue_quoted_name(query);
    struct list_keys keys = keys_of(query);
    return text_format("key \"%s\"%s", keys.names[0], keys.count > 1 ? " and others" : "");
}

/* ---- their lengths ---- */

static void answer(struct task *task, double length)
{
    struct reading reading = READING_UNKNOWN;
    reading.waiting = length;
    task_answer(task, &reading);
}

static void fail(struct redis_link *link, struct task *task, const char *key,
                 const redisReply *reply)
{
    _cleanup_(memory_free) char *what = text_format("key \"%s\"", key);
    redis_measure_fail(link, task, reply, what);
}

/* One command is sent alone: that takes no right to MULTI. */
static struct redis_request request_of(redis_words *commands, size_t count,
                                       redis_on_reply *on_reply)
{
    struct redis_request request = {.on_reply = on_reply};
    if (count == 1) {
        memcpy(request.words, commands[0], sizeof(redis_words));
    } else {
        request.transaction = commands;
        request.transaction_count = count;
    }
    return request;
}

/* Takes the command's task, and the reply for each of its keys. NULL: there is none any more, or it
 * has failed, as the reply is that of a transaction that has. */
static struct task *take_task(struct redis_link *link, struct redis_command *command,
                              const redisReply *const *reply, struct list_keys *ret_keys,
                              const redisReply *const **ret_replies)
{
    struct task *task = redis_command_take_task(command);
    if (task == NULL)
        return NULL;
    *ret_keys = keys_of(task->query);
    *ret_replies = reply;
    if (ret_keys->count == 1)
        return task;
    if (!redis_reply_is_array(*reply, ret_keys->count)) {
        _cleanup_(memory_free) char *what = name_of(task);
        redis_measure_fail(link, task, *reply, what);
        return NULL;
    }
    *ret_replies = (const redisReply *const *)(*reply)->element;
    return task;
}

static void read_lengths(struct redis_client *client, struct redis_link *link, struct task *task,
                         int tries);

static void on_types(struct redis_link *link, struct redis_command *command,
                     const redisReply *reply)
{
    struct redis_client *client = link->owner.self;
    struct list_keys keys;
    const redisReply *const *types;
    struct task *task = take_task(link, command, &reply, &keys, &types);
    if (task == NULL)
        return;
    size_t missing = 0;
    for (size_t i = 0; i < keys.count; i++) {
        _cleanup_(error_done) struct error error = {0};
        if (types[i]->type != REDIS_REPLY_STATUS) {
            fail(link, task, keys.names[i], types[i]);
            return;
        }
        if (!redis_key_types_learn(&client->key_types, keys.names[i], types[i]->str, &error)) {
            task_fail(task, &error);
            return;
        }
        missing += redis_key_type_is_missing(types[i]->str);
    }
    if (missing == keys.count)
        answer(task, 0);
    else
        read_lengths(client, link, task, command->tries);
}

static void read_types(struct redis_link *link, struct task *task, const struct list_keys *keys,
                       int tries)
{
    redis_words commands[OPTION_MAX_PIECES];
    for (size_t i = 0; i < keys->count; i++)
        memcpy(commands[i], (redis_words){"TYPE", keys->names[i]}, sizeof(redis_words));
    struct redis_request request = request_of(commands, keys->count, on_types);
    redis_link_send_for(link, &request, &task, 1)->tries = tries;
}

static void on_lengths(struct redis_link *link, struct redis_command *command,
                       const redisReply *reply)
{
    struct list_keys keys;
    const redisReply *const *lengths;
    struct task *task = take_task(link, command, &reply, &keys, &lengths);
    if (task == NULL)
        return;
    double sum = 0;
    for (size_t i = 0; i < keys.count; i++) {
        if (redis_reply_is_error(lengths[i], "WRONGTYPE") &&
            command->tries < REDIS_KEY_TYPE_TRIES) {
            read_types(link, task, &keys, command->tries);
            return;
        }
        if (!redis_reply_is_count(lengths[i])) {
            fail(link, task, keys.names[i], lengths[i]);
            return;
        }
        sum += (double)lengths[i]->integer;
    }
    answer(task, sum);
}

static void read_lengths(struct redis_client *client, struct redis_link *link, struct task *task,
                         int tries)
{
    struct list_keys keys = keys_of(task->query);
    redis_words commands[OPTION_MAX_PIECES];
    for (size_t i = 0; i < keys.count; i++) {
        const struct redis_key_type *type = redis_key_types_find(&client->key_types, keys.names[i]);
        memcpy(commands[i], (redis_words){type->length_command, keys.names[i]},
               sizeof(redis_words));
    }
    redis_subscriber_read_keys(&client->subscriber, link,
                               request_of(commands, keys.count, on_lengths), keys.names, &task, 1)
        ->tries = tries + 1;
}

static void send_tasks(struct redis_client *client, struct redis_link *link,
                       struct redis_waiting *waiting)
{
    while (waiting->count > 0 && redis_link_has_capacity(link)) {
        struct task *task = redis_waiting_start(waiting);
        const struct redis_list_query *query = task->query;
        if (query->library == REDIS_NO_LIBRARY)
            read_lengths(client, link, task, 0);
        else
            redis_queue_read(client, link, task);
    }
}

static const struct redis_requests requests = {send_tasks, key_of, hash_of, name_of};

bool redis_lists_measure(void *client, struct feed *feed, struct error *error)
{
    return redis_measure(client, feed, &requests, error);
}

bool redis_lists_measure_in_cluster(void *cluster, struct feed *feed, struct error *error)
{
    return redis_measure_cluster(cluster, feed, &requests, error);
}
