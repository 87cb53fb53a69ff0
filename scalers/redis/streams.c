/*
 * redis-streams: the entries of a Redis stream, or of one of its consumer groups those that are
 * pending (delivered, and not acknowledged) or those that it has not been given yet (its lag).
 */
#include "measure/scaler.h"

#include "base/memory.h"
#include "base/text.h"
#include "redis/arm.h"
#include "redis/client.h"
#include "redis/options.h"
#include "redis/pipeline.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Where the server tells of no changes, and of pending entries; 1,000 streams cost it about a hundredth of
 * a core. */
enum { IDLE_INTERVAL_MS = 100 };

struct stream_query {
    const char *stream;
    const char *consumer_group;
    int64_t lag_count; /* here, not in the target: it decides what is asked */
};

struct stream_target {
    int64_t pending_entries_count;
    int64_t stream_length;
    int64_t activation_lag_count;
};

static const struct option table[] = {
    REDIS_CONNECTION_OPTIONS,
    {.key = "stream",
     .scope = OPTION_QUERY,
     .type = OPTION_STRING,
     OPTION_FIELD(struct stream_query, stream),
     .flags = OPTION_REQUIRED,
     .doc = "the key of the stream"},
    {.key = "consumerGroup",
     .scope = OPTION_QUERY,
     .type = OPTION_STRING,
     OPTION_FIELD(struct stream_query, consumer_group),
     .doc = "the group whose pending entries, or whose lag, counts; without it all entries of the "
            "stream do"},
    {.key = "lagCount",
     .scope = OPTION_QUERY,
     .type = OPTION_INT,
     OPTION_FIELD(struct stream_query, lag_count),
     .fallback = "0",
     .limits = {0, INFINITY},
     .doc = "with consumerGroup: entries of lag a replica, instead of pending ones; needs Redis 7; "
            "0: not the lag"},
    {.key = "pendingEntriesCount",
     .scope = OPTION_TARGET,
     .type = OPTION_INT,
     OPTION_FIELD(struct stream_target, pending_entries_count),
     .fallback = "5",
     .limits = {1, INFINITY},
     .doc = "with consumerGroup: pending entries a replica"},
    {.key = "streamLength",
     .scope = OPTION_TARGET,
     .type = OPTION_INT,
     OPTION_FIELD(struct stream_target, stream_length),
     .fallback = "5",
     .limits = {1, INFINITY},
     .doc = "without consumerGroup: entries a replica; only deleting and trimming lowers their "
            "number"},
    {.key = "activationLagCount",
     .scope = OPTION_TARGET,
     .type = OPTION_INT,
     OPTION_FIELD(struct stream_target, activation_lag_count),
     .fallback = "0",
     .doc = "active above this many entries, whichever of the three count"},
    {0},
};

enum mode { MODE_LENGTH, MODE_PENDING, MODE_LAG };

static enum mode mode_of(const struct stream_query *query)
{
    if (query->consumer_group == NULL)
        return MODE_LENGTH;
    return query->lag_count == 0 ? MODE_PENDING : MODE_LAG;
}

static void plan(const struct options *options, struct plan *ret_plan)
{
    const struct stream_query *query = options->query;
    const struct stream_target *target = options->target;
    const int64_t targets[] = {
        [MODE_LENGTH] = target->stream_length,
        [MODE_PENDING] = target->pending_entries_count,
        [MODE_LAG] = query->lag_count,
    };
    *ret_plan = (struct plan){
        .metric_name = text_format("redis-streams-%s", query->stream),
        .target = (double)targets[mode_of(query)],
        .idle_interval_ms = IDLE_INTERVAL_MS,
    };
}

static bool judge(const struct options *options, const struct reading *reading,
                  struct judgement *ret_judgement, struct error *error)
{
    const struct stream_target *target = options->target;
    bool pending = mode_of(options->query) == MODE_PENDING;
    double entries = pending ? reading->in_flight : reading->waiting;
    if (isnan(entries))
        return error_unavailable(error, "the reading lacks the %s entries",
                                 pending ? "pending" : "waiting");
    *ret_judgement = (struct judgement){
        .value = entries,
        .active = entries > (double)target->activation_lag_count,
    };
    return true;
}

static bool is_count(const redisReply *reply)
{
    return reply != NULL && reply->type == REDIS_REPLY_INTEGER && reply->integer >= 0;
}

static void answer_waiting(struct probe *probe, double waiting)
{
    struct reading reading = READING_UNKNOWN;
    reading.waiting = waiting;
    probe_answer(probe, &reading);
}

/* The error says what stream and group it is about. Takes the error. */
static void fail(struct probe *probe, struct error *error)
{
    const struct stream_query *query = probe->query;
    if (query->consumer_group == NULL)
        error_prefix(error, "stream \"%s\"", query->stream);
    else
        error_prefix(error, "stream \"%s\", group \"%s\"", query->stream, query->consumer_group);
    probe_fail(probe, error);
    error_done(error);
}

static void refuse(const struct redis_client *client, struct probe *probe, const redisReply *reply)
{
    struct error error = {0};
    redis_client_explain(client, reply, &error);
    fail(probe, &error);
}

static const char *stream_of(const struct probe *probe)
{
    const struct stream_query *query = probe->query;
    return query->stream;
}

static void ask_length(struct redis_pipeline *pipeline, struct probe *probe)
{
    redis_arm_ask(pipeline, probe, stream_of(probe));
    redis_pipeline_ask(pipeline, (struct redis_command){{"XLEN", stream_of(probe)}, probe});
}

static void ask_pending(struct redis_pipeline *pipeline, struct probe *probe)
{
    const struct stream_query *query = probe->query;
    redis_pipeline_ask(pipeline, (struct redis_command){
                                     {"XPENDING", query->stream, query->consumer_group}, probe});
}

static int compare_streams(const void *left, const void *right)
{
    return strcmp(stream_of(*(struct probe *const *)left),
                  stream_of(*(struct probe *const *)right));
}

/* The answer has all groups of a stream, so that it is asked once for all of them. The probes are
 * sorted, end with NULL, and outlive the run: a command's asker is the first of its stream. */
static void ask_lags(struct redis_pipeline *pipeline, struct probe **probes, size_t count)
{
    qsort(probes, count, sizeof(*probes), compare_streams);
    for (size_t i = 0; i < count;) {
        struct probe **first = &probes[i];
        for (; i < count && compare_streams(first, &probes[i]) == 0; i++)
            redis_arm_ask(pipeline, probes[i], stream_of(probes[i]));
        redis_pipeline_ask(pipeline,
                           (struct redis_command){{"XINFO", "GROUPS", stream_of(*first)}, first});
    }
}

static void take_length(struct redis_pipeline *pipeline, struct probe *probe,
                        const redisReply *reply)
{
    if (is_count(reply))
        answer_waiting(probe, (double)reply->integer);
    else
        refuse(pipeline->client, probe, reply);
}

/* The count, the first and last pending entry, the consumers. */
static void take_pending(struct redis_pipeline *pipeline, struct probe *probe,
                         const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0 || !is_count(reply->element[0])) {
        refuse(pipeline->client, probe, reply);
        return;
    }
    struct reading reading = READING_UNKNOWN;
    reading.in_flight = (double)reply->element[0]->integer;
    probe_answer(probe, &reading);
}

/* Of one group of XINFO GROUPS, whose names and values take turns; NULL where it lacks the name. */
static const redisReply *field(const redisReply *group, const char *name)
{
    for (size_t i = 0; group->type == REDIS_REPLY_ARRAY && i + 1 < group->elements; i += 2)
        if (group->element[i]->type == REDIS_REPLY_STRING &&
            text_equal(group->element[i]->str, name))
            return group->element[i + 1];
    return NULL;
}

static const redisReply *find_group(const redisReply *groups, const char *name)
{
    for (size_t i = 0; i < groups->elements; i++) {
        const redisReply *found = field(groups->element[i], "name");
        if (found != NULL && found->type == REDIS_REPLY_STRING && text_equal(found->str, name))
            return groups->element[i];
    }
    return NULL;
}

/* KEDA's built-in answers 0 for both of these, and the workers are gone. */
static void explain_lag(const struct redis_client *client, struct probe *probe,
                        const redisReply *lag)
{
    struct error error = {0};
    if (lag == NULL)
        error_unavailable(&error,
                          "Redis at %s has version %s and tells no lag: lagCount needs Redis 7 or "
                          "newer; without it pending entries count",
                          client->address, client->version == NULL ? "unknown" : client->version);
    else
        error_unavailable(
            &error,
            "Redis at %s cannot tell the lag: entries that the group has not read were "
            "deleted, or its position was set (XGROUP SETID); it can again once the "
            "group has read to the end",
            client->address);
    fail(probe, &error);
}

static void take_lag(struct redis_pipeline *pipeline, struct probe *probe, const redisReply *reply)
{
    const struct stream_query *query = probe->query;
    if (redis_reply_is_error(reply, "ERR no such key")) {
        answer_waiting(probe, 0);
        return;
    }
    if (reply->type != REDIS_REPLY_ARRAY) {
        refuse(pipeline->client, probe, reply);
        return;
    }
    const redisReply *group = find_group(reply, query->consumer_group);
    /* As KEDA: workers make their group when they start, so before the first one all entries wait. */
    if (group == NULL) {
        ask_length(pipeline, probe);
        return;
    }
    const redisReply *lag = field(group, "lag");
    const redisReply *pending = field(group, "pending");
    if (!is_count(lag)) {
        explain_lag(pipeline->client, probe, lag);
        return;
    }
    struct reading reading = READING_UNKNOWN;
    reading.waiting = (double)lag->integer;
    if (is_count(pending))
        reading.in_flight = (double)pending->integer;
    probe_answer(probe, &reading);
}

static void take_lags(struct redis_pipeline *pipeline, struct redis_command command,
                      const redisReply *reply)
{
    const char *stream = command.words[2];
    for (struct probe **at = command.asker; *at != NULL && text_equal(stream_of(*at), stream); at++)
        take_lag(pipeline, *at, reply);
}

static void answered(struct redis_pipeline *pipeline, struct redis_command command,
                     const redisReply *reply)
{
    if (redis_arm_answered(pipeline, command, reply))
        return;
    if (text_equal(command.words[0], "XLEN"))
        take_length(pipeline, command.asker, reply);
    else if (text_equal(command.words[0], "XPENDING"))
        take_pending(pipeline, command.asker, reply);
    else
        take_lags(pipeline, command, reply);
}

static bool measure(void *client, struct probe *const *probes, size_t count, int64_t deadline_ms,
                    struct error *error)
{
    if (!redis_client_refresh(client, deadline_ms, error) ||
        !redis_arm_prepare(client, probes, count, deadline_ms, error))
        return false;

    _cleanup_(redis_pipeline_done) struct redis_pipeline pipeline = {.client = client,
                                                                     .answered = answered};
    _cleanup_(memory_free) struct probe **lags = memory_array(count + 1, sizeof(*lags));
    size_t lags_count = 0;
    for (size_t i = 0; i < count; i++) {
        enum mode mode = mode_of(probes[i]->query);
        if (mode == MODE_LENGTH)
            ask_length(&pipeline, probes[i]);
        else if (mode == MODE_PENDING)
            ask_pending(&pipeline, probes[i]);
        else
            lags[lags_count++] = probes[i];
    }
    ask_lags(&pipeline, lags, lags_count);
    return redis_pipeline_run(&pipeline, deadline_ms, error);
}

static const char differences[] =
    "A lag that Redis cannot tell (after XDEL or XGROUP SETID) is an error; KEDA answers 0.\n"
    "An error of XINFO GROUPS is an error; KEDA answers the length of the stream instead.\n"
    "As in KEDA a missing stream has lag 0, and a missing group that of the whole stream.\n"
    "All streams of a connection are asked in one round trip, or two where a group is "
    "missing.\n"
    "TLS, Redis Sentinel and Redis Cluster are not supported, and told so.\n"
    "lagCount must not be negative, pendingEntriesCount and streamLength must be at least 1.\n"
    "username without password is a mistake; KEDA logs in as the default user.\n";

const struct scaler scaler_redis_streams = {
    .name = "redis-streams",
    .summary = "Entries of a Redis stream: all, or a consumer group's pending ones, or its lag",
    .differences = differences,
    .options = table,
    .sizes = {sizeof(struct redis_connection), sizeof(struct stream_query),
              sizeof(struct stream_target)},
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
