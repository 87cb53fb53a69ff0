/*
 * redis: how many items a list, set, sorted set or hash of Redis has.
 *
 * KEDA's built-in sends a script (EVAL), which users with few rights and proxies are refused. Here
 * each key's length is read with the command of its kind, known from the last time; a key
 * of another kind answers WRONGTYPE, and its kind is read.
 */
#include "measure/scaler.h"

#include "base/memory.h"
#include "base/text.h"
#include "redis/client.h"
#include "redis/connect.h"
#include "redis/measure.h"
#include "redis/options.h"
#include "redis/queue.h"

#include <math.h>
#include <utlist.h>

enum {
    /* Where it reports no changes; 1,000 keys cost the server less than a hundredth of a core. */
    IDLE_INTERVAL_MS = 100,
    MAX_TRIES = 3, /* of a key that changes its type between two commands */
    MAX_TYPE = 40,
};

struct list_target {
    int64_t list_length;
    int64_t activation_list_length;
};

#define LIST_OPTIONS                                                                               \
    {.key = "listName",                                                                            \
     .scope = OPTION_QUERY,                                                                        \
     .type = OPTION_STRING,                                                                        \
     OPTION_FIELD(struct redis_queue, list_name),                                                  \
     .doc = "the key of a list, set, sorted set or hash; one that does not exist has no items; "   \
            "must be set unless keys or library is"},                                              \
        {.key = "keys",                                                                            \
         .scope = OPTION_QUERY,                                                                    \
         .type = OPTION_LIST,                                                                      \
         OPTION_FIELD(struct redis_queue, keys),                                                   \
         .doc = "instead of listName: up to 64 such keys, whose items are added; they are read "   \
                "at one moment"},                                                                  \
        {.key = "library",                                                                         \
         .scope = OPTION_QUERY,                                                                    \
         .type = OPTION_CHOICE,                                                                    \
         OPTION_FIELD(struct redis_queue, library),                                                \
         .choices = redis_library_names,                                                           \
         .default_value = "none",                                                                  \
         .doc = "instead of listName: the job library of the queue queueName. Jobs count that "    \
                "wait or whose delay is over, none while the queue is paused; jobs in progress "   \
                "are in flight"},                                                                  \
        {.key = "queueName",                                                                       \
         .scope = OPTION_QUERY,                                                                    \
         .type = OPTION_STRING,                                                                    \
         OPTION_FIELD(struct redis_queue, queue_name),                                             \
         .doc = "with library: the name of the queue, as the library has it"},                     \
        {.key = "prefix",                                                                          \
         .scope = OPTION_QUERY,                                                                    \
         .type = OPTION_STRING,                                                                    \
         OPTION_FIELD(struct redis_queue, prefix),                                                 \
         .doc = "with library: what its keys begin with, without the colon; default: bull, or "    \
                "rq"},                                                                             \
        {.key = "listLength",                                                                      \
         .scope = OPTION_TARGET,                                                                   \
         .type = OPTION_INT,                                                                       \
         .flags = OPTION_THRESHOLD,                                                                \
         OPTION_FIELD(struct list_target, list_length),                                            \
         .default_value = "5",                                                                     \
         .limits = {1, INFINITY},                                                                  \
         .doc = "items per replica"},                                                              \
        {.key = "activationListLength",                                                            \
         .scope = OPTION_TARGET,                                                                   \
         .type = OPTION_INT,                                                                       \
         OPTION_FIELD(struct list_target, activation_list_length),                                 \
         .default_value = "0",                                                                     \
         .doc = "active above this many items"}

static const struct option table[] = {REDIS_SERVER_OPTIONS, LIST_OPTIONS, {0}};
static const struct option sentinel_table[] = {REDIS_SENTINEL_OPTIONS, LIST_OPTIONS, {0}};
static const struct option cluster_table[] = {REDIS_CLUSTER_OPTIONS, LIST_OPTIONS, {0}};

static void check(const struct options *options, struct error *mistakes)
{
    redis_queue_check(options->query, mistakes);
}

static void check_cluster(const struct options *options, struct error *mistakes)
{
    redis_queue_check(options->query, mistakes);
    redis_queue_check_slots(options->query, mistakes);
}

static void metric_spec(const struct options *options, struct metric_spec *ret_spec)
{
    const struct list_target *target = options->target;
    _cleanup_(memory_free) char *name = redis_queue_name(options->query);
    *ret_spec = (struct metric_spec){
        .metric_name = text_format("redis-%s", name),
        .target = (double)target->list_length,
        .idle_interval_ms = IDLE_INTERVAL_MS,
    };
}

static bool evaluate(const struct options *options, const struct reading *reading,
                     struct evaluation *ret_evaluation, struct error *error)
{
    const struct list_target *target = options->target;
    if (isnan(reading->waiting))
        return error_unavailable(error, "the reading lacks the length");
    *ret_evaluation = (struct evaluation){
        .value = reading->waiting,
        .active = reading->waiting > (double)target->activation_list_length,
    };
    return true;
}

static void answer(struct task *task, double length)
{
    struct reading reading = READING_UNKNOWN;
    reading.waiting = length;
    task_answer(task, &reading);
}

static const char *key_of(const struct task *task)
{
    const struct redis_queue *queue = task->query;
    return queue->list_name;
}

static void fail(struct redis_channel *channel, struct task *task, const redisReply *reply)
{
    _cleanup_(error_done) struct error error = {0};
    if (redis_cluster_redirect(channel, task, reply))
        return;
    redis_server_explain(channel->server, reply, &error);
    error_prefix(&error, "key \"%s\"", key_of(task));
    task_fail(task, &error);
}

static void on_length(struct redis_channel *channel, struct redis_command *command,
                      const redisReply *reply);

static void read_length(struct redis_client *client, struct redis_channel *channel,
                        struct task *task, int tries)
{
    const char *key = key_of(task);
    const struct redis_key_type *type = redis_key_types_find(&client->key_types, key);
    redis_subscriber_read(&client->subscriber, channel,
                          (struct redis_request){{type->length_command, key}, on_length}, key,
                          (struct task *const[]){task, NULL})
        ->tries = tries + 1;
}

static void take_type(struct redis_channel *channel, struct task *task, const redisReply *reply,
                      int tries)
{
    struct redis_client *client = channel->owner;
    if (reply->type != REDIS_REPLY_STATUS) {
        fail(channel, task, reply);
        return;
    }
    if (text_equal(reply->str, "none")) {
        answer(task, 0);
        return;
    }
    const struct redis_key_type *type = redis_key_type_named(reply->str);
    if (type != NULL) {
        redis_key_types_set(&client->key_types, key_of(task), type);
        read_length(client, channel, task, tries);
        return;
    }
    task_failf(task, "key \"%s\" is a %.*s: it must be a list, set, zset or hash%s", key_of(task),
               (int)text_cut(reply->str, MAX_TYPE), reply->str,
               text_equal(reply->str, "stream") ? " (for a stream use scaler redis-streams)" : "");
}

static void on_type(struct redis_channel *channel, struct redis_command *command,
                    const redisReply *reply)
{
    struct task *task = redis_command_take_task(command);
    if (task != NULL)
        take_type(channel, task, reply, command->tries);
}

static void read_type(struct redis_channel *channel, struct task *task, int tries)
{
    struct redis_command *command =
        redis_channel_send(channel, &(struct redis_request){{"TYPE", key_of(task)}, on_type});
    command->tries = tries;
    redis_command_add_task(command, task);
}

static void on_length(struct redis_channel *channel, struct redis_command *command,
                      const redisReply *reply)
{
    struct task *task = redis_command_take_task(command);
    if (task == NULL)
        return;
    if (reply->type == REDIS_REPLY_INTEGER && reply->integer >= 0)
        answer(task, (double)reply->integer);
    else if (redis_reply_is_error(reply, "WRONGTYPE") && command->tries < MAX_TRIES)
        read_type(channel, task, command->tries);
    else
        fail(channel, task, reply);
}

static void send_tasks(struct redis_client *client, struct redis_channel *channel,
                       struct task *tasks)
{
    while (tasks != NULL) {
        struct task *task = tasks;
        DL_DELETE(tasks, task);
        if (key_of(task) != NULL)
            read_length(client, channel, task, 0);
        else
            redis_queue_read(client, channel, task);
    }
}

static bool measure(void *client, struct feed *feed, struct error *error)
{
    return redis_measure(client, feed, send_tasks, error);
}

static const char *route_of(const struct task *task)
{
    return redis_queue_route(task->query);
}

static bool measure_cluster(void *cluster, struct feed *feed, struct error *error)
{
    return redis_measure_cluster(cluster, feed, send_tasks, route_of, error);
}

static unsigned reports(const struct options *options, const char **ret_advice)
{
    *ret_advice = "a list has only what waits: use redis-streams with consumerGroup and lagCount";
    return redis_queue_has_in_flight(options->query) ? READING_IN_FLIGHT : 0;
}

#define DIFFERENCES                                                                                \
    "No script is sent: the user needs no right to EVAL, but to LLEN (#7758).\n"                   \
    "Of a set, sorted set or hash it needs those to TYPE and SCARD, ZCARD or HLEN, too.\n"         \
    "All keys are read in one round trip, with two more where a key is new and not a list.\n"      \
    "listLength must be at least 1; KEDA accepts 0 and negative ones.\n"                           \
    "username without password is a mistake; KEDA logs in as the default user.\n"

static const char differences[] = DIFFERENCES;
static const char sentinel_differences[] = DIFFERENCES REDIS_SENTINEL_DIFFERENCES;
static const char cluster_differences[] = DIFFERENCES REDIS_CLUSTER_DIFFERENCES;

/* What the scalers of lists share, however the server is found. */
#define LISTS                                                                                      \
    .sizes = {sizeof(struct redis_connection), sizeof(struct redis_queue),                         \
              sizeof(struct list_target)},                                                         \
    .check_connection = redis_connection_check, .reports = reports, .metric_spec = metric_spec,    \
    .evaluate = evaluate, .libraries = redis_libraries, .subscribes = true

const struct scaler scaler_redis = {
    .name = "redis",
    .summary = "Items of a Redis list, set, sorted set or hash",
    .differences = differences,
    .options = table,
    LISTS,
    .check = check,
    .connect = redis_connect,
    .measure = measure,
    .disconnect = redis_client_disconnect,
    .isolated = 1,
};

const struct scaler scaler_redis_sentinel = {
    .name = "redis-sentinel",
    .summary = "Items of a Redis list, set, sorted set or hash, at the master that Sentinels name",
    .differences = sentinel_differences,
    .options = sentinel_table,
    LISTS,
    .check = check,
    .connect = redis_connect_to_master,
    .measure = measure,
    .disconnect = redis_client_disconnect,
    .isolated = 1,
};

const struct scaler scaler_redis_cluster = {
    .name = "redis-cluster",
    .summary = "Items of a list, set, sorted set or hash, in a Redis Cluster",
    .differences = cluster_differences,
    .options = cluster_table,
    LISTS,
    .check = check_cluster,
    .connect = redis_cluster_connect,
    .measure = measure_cluster,
    .disconnect = redis_cluster_disconnect,
    .isolated = REDIS_CLUSTER_ISOLATED,
};
