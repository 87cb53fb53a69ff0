/*
 * redis: how many items a list, set, sorted set or hash of Redis has.
 *
 * KEDA's built-in sends a script (EVAL), which users with few rights and proxies are refused. Here
 * each key is asked for its length with the command of its kind, remembered from the last time; a key
 * of another kind answers WRONGTYPE, and is asked which it is.
 */
#include "measure/scaler.h"

#include "base/memory.h"
#include "base/text.h"
#include "redis/arm.h"
#include "redis/client.h"
#include "redis/kind.h"
#include "redis/options.h"
#include "redis/pipeline.h"

#include <math.h>

enum {
    /* Where it tells of no changes; 1,000 keys cost the server less than a hundredth of a core. */
    IDLE_INTERVAL_MS = 100,
    TRIES_MOST = 3, /* of a key that changes its kind between two questions */
    LONGEST_TYPE = 40,
};

struct list_query {
    const char *list_name;
};

struct list_target {
    int64_t list_length;
    int64_t activation_list_length;
};

static const struct option table[] = {
    REDIS_CONNECTION_OPTIONS,
    {.key = "listName",
     .scope = OPTION_QUERY,
     .type = OPTION_STRING,
     OPTION_FIELD(struct list_query, list_name),
     .flags = OPTION_REQUIRED,
     .doc = "the key of a list, set, sorted set or hash; one that does not exist has no items"},
    {.key = "listLength",
     .scope = OPTION_TARGET,
     .type = OPTION_INT,
     OPTION_FIELD(struct list_target, list_length),
     .fallback = "5",
     .limits = {1, INFINITY},
     .doc = "items a replica"},
    {.key = "activationListLength",
     .scope = OPTION_TARGET,
     .type = OPTION_INT,
     OPTION_FIELD(struct list_target, activation_list_length),
     .fallback = "0",
     .doc = "active above this many items"},
    {0},
};

static void plan(const struct options *options, struct plan *ret_plan)
{
    const struct list_query *query = options->query;
    const struct list_target *target = options->target;
    *ret_plan = (struct plan){
        .metric_name = text_format("redis-%s", query->list_name),
        .target = (double)target->list_length,
        .idle_interval_ms = IDLE_INTERVAL_MS,
    };
}

static bool judge(const struct options *options, const struct reading *reading,
                  struct judgement *ret_judgement, struct error *error)
{
    const struct list_target *target = options->target;
    if (isnan(reading->waiting))
        return error_unavailable(error, "the reading lacks the length");
    *ret_judgement = (struct judgement){
        .value = reading->waiting,
        .active = reading->waiting > (double)target->activation_list_length,
    };
    return true;
}

struct question {
    struct probe *probe;
    const char *list_name;
    int tries;
};

static void answer(const struct question *question, double length)
{
    struct reading reading = READING_UNKNOWN;
    reading.waiting = length;
    probe_answer(question->probe, &reading);
}

static void fail(const struct redis_client *client, const struct question *question,
                 const redisReply *reply)
{
    _cleanup_(error_done) struct error error = {0};
    redis_client_explain(client, reply, &error);
    error_prefix(&error, "key \"%s\"", question->list_name);
    probe_fail(question->probe, &error);
}

static void ask_length(struct redis_pipeline *pipeline, struct question *question)
{
    const char *command = kind_recall(pipeline->client, question->list_name)->length;
    question->tries++;
    redis_arm_ask(pipeline, question->probe, question->list_name);
    redis_pipeline_ask(pipeline, (struct redis_command){{command, question->list_name}, question});
}

static void take_length(struct redis_pipeline *pipeline, struct question *question,
                        const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_INTEGER && reply->integer >= 0)
        answer(question, (double)reply->integer);
    else if (redis_reply_is_error(reply, "WRONGTYPE") && question->tries < TRIES_MOST)
        redis_pipeline_ask(pipeline,
                           (struct redis_command){{"TYPE", question->list_name}, question});
    else
        fail(pipeline->client, question, reply);
}

static void take_type(struct redis_pipeline *pipeline, struct question *question,
                      const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_STATUS) {
        fail(pipeline->client, question, reply);
        return;
    }
    if (text_equal(reply->str, "none")) {
        answer(question, 0);
        return;
    }
    const struct kind *kind = kind_of(reply->str);
    if (kind != NULL) {
        kind_remember(pipeline->client, question->list_name, kind);
        ask_length(pipeline, question);
        return;
    }
    probe_failf(question->probe, "key \"%s\" is a %.*s: it must be a list, set, zset or hash%s",
                question->list_name, (int)text_cut(reply->str, LONGEST_TYPE), reply->str,
                text_equal(reply->str, "stream") ? " (for a stream there is scaler redis-streams)"
                                                 : "");
}

static void answered(struct redis_pipeline *pipeline, struct redis_command command,
                     const redisReply *reply)
{
    if (redis_arm_answered(pipeline, command, reply))
        return;
    if (text_equal(command.words[0], "TYPE"))
        take_type(pipeline, command.asker, reply);
    else
        take_length(pipeline, command.asker, reply);
}

static bool measure(void *client, struct probe *const *probes, size_t count, int64_t deadline_ms,
                    struct error *error)
{
    if (!redis_client_refresh(client, deadline_ms, error) ||
        !redis_arm_prepare(client, probes, count, deadline_ms, error))
        return false;

    _cleanup_(memory_free) struct question *questions = memory_array(count, sizeof(*questions));
    _cleanup_(redis_pipeline_done) struct redis_pipeline pipeline = {.client = client,
                                                                     .answered = answered};
    for (size_t i = 0; i < count; i++) {
        const struct list_query *query = probes[i]->query;
        questions[i] = (struct question){.probe = probes[i], .list_name = query->list_name};
        ask_length(&pipeline, &questions[i]);
    }
    return redis_pipeline_run(&pipeline, deadline_ms, error);
}

static const char differences[] =
    "No script is sent: the user needs no right to EVAL, but to LLEN (#7758).\n"
    "Of a set, sorted set or hash it needs those to TYPE and SCARD, ZCARD or HLEN, too.\n"
    "All keys are asked in one round trip, two more where a key is new and no list.\n"
    "TLS, Redis Sentinel and Redis Cluster are not supported, and told so.\n"
    "listLength must be at least 1; KEDA accepts 0 and negative ones.\n"
    "username without password is a mistake; KEDA logs in as the default user.\n";

const struct scaler scaler_redis = {
    .name = "redis",
    .summary = "Items of a Redis list, set, sorted set or hash",
    .differences = differences,
    .options = table,
    .sizes = {sizeof(struct redis_connection), sizeof(struct list_query),
              sizeof(struct list_target)},
    .check_connection = redis_connection_check,
    .plan = plan,
    .judge = judge,
    .connect = redis_client_connect,
    .measure = measure,
    .disconnect = redis_client_disconnect,
    .disarm = redis_arm_disarm,
    .descriptor = redis_arm_descriptor,
    .hear = redis_arm_hear,
};
