#include "redis/requests/lists.h"

#include "base/memory.h"
#include "base/text.h"
#include "redis/measure.h"
#include "redis/options.h"
#include "redis/requests/queue.h"

#include <utlist.h>

static void answer(struct task *task, double length)
{
    struct reading reading = READING_UNKNOWN;
    reading.waiting = length;
    task_answer(task, &reading);
}

static const char *key_of(const struct task *task)
{
    const struct redis_list_query *query = task->query;
    return query->list_name;
}

static void fail(struct redis_link *link, struct task *task, const redisReply *reply)
{
    _cleanup_(error_done) struct error error = {0};
    if (redis_cluster_redirect(link, task, reply))
        return;
    redis_server_explain(link->server, reply, &error);
    error_prefix(&error, "key \"%s\"", key_of(task));
    task_fail(task, &error);
}

static void on_length(struct redis_link *link, struct redis_command *command,
                      const redisReply *reply);

static void read_length(struct redis_client *client, struct redis_link *link, struct task *task,
                        int tries)
{
    const char *key = key_of(task);
    const struct redis_key_type *type = redis_key_types_find(&client->key_types, key);
    redis_subscriber_read(&client->subscriber, link,
                          (struct redis_request){{type->length_command, key}, on_length}, key,
                          (struct task *const[]){task, NULL})
        ->tries = tries + 1;
}

static void take_type(struct redis_link *link, struct task *task, const redisReply *reply,
                      int tries)
{
    struct redis_client *client = link->owner.self;
    if (reply->type != REDIS_REPLY_STATUS) {
        fail(link, task, reply);
        return;
    }
    _cleanup_(error_done) struct error error = {0};
    if (redis_key_type_is_missing(reply->str))
        answer(task, 0);
    else if (redis_key_types_learn(&client->key_types, key_of(task), reply->str, &error))
        read_length(client, link, task, tries);
    else
        task_fail(task, &error);
}

static void on_type(struct redis_link *link, struct redis_command *command, const redisReply *reply)
{
    struct task *task = redis_command_take_task(command);
    if (task != NULL)
        take_type(link, task, reply, command->tries);
}

static void read_type(struct redis_link *link, struct task *task, int tries)
{
    struct redis_command *command =
        redis_link_send(link, &(struct redis_request){{"TYPE", key_of(task)}, on_type});
    command->tries = tries;
    redis_command_add_task(command, task);
}

static void on_length(struct redis_link *link, struct redis_command *command,
                      const redisReply *reply)
{
    struct task *task = redis_command_take_task(command);
    if (task == NULL)
        return;
    if (redis_reply_is_count(reply))
        answer(task, (double)reply->integer);
    else if (redis_reply_is_error(reply, "WRONGTYPE") && command->tries < REDIS_KEY_TYPE_TRIES)
        read_type(link, task, command->tries);
    else
        fail(link, task, reply);
}

static void send_tasks(struct redis_client *client, struct redis_link *link, struct task **waiting)
{
    while (*waiting != NULL && redis_link_has_capacity(link)) {
        struct task *task = *waiting;
        DL_DELETE(*waiting, task);
        if (key_of(task) != NULL)
            read_length(client, link, task, 0);
        else
            redis_queue_read(client, link, task);
    }
}

bool redis_lists_measure(void *client, struct feed *feed, struct error *error)
{
    return redis_measure(client, feed, send_tasks, error);
}

static const char *route_of(const struct task *task)
{
    return redis_queue_route(task->query);
}

bool redis_lists_measure_in_cluster(void *cluster, struct feed *feed, struct error *error)
{
    return redis_measure_cluster(cluster, feed, send_tasks, route_of, error);
}
