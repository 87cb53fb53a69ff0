/*
 * Redis: how many items a list, set, sorted set or hash has (redis), or how many entries a stream
 * has, or one of its consumer groups (redis-streams); of one server, of the master that Sentinels
 * name, or in a Redis Cluster.
 *
 * KEDA's built-in sends a script (EVAL) for lists, which users with few rights and proxies are
 * refused. Here each key's length is read with the command of its type.
 *
 * Read the folder in this order: options.h; link/link.h (one connection, its replies in order; in
 * its folder what connects it, and its deadlines), client.h (the links to one node), connect.h and
 * sentinel.h (which node), measure.h (the loop), waiting.h (what is not sent yet), requests/ (what
 * is sent for a task), links.h and slow_requests.h (who does not reply), subscriber.h (push);
 * cluster/cluster.h (many nodes).
 */
#include "measure/scaler.h"

#include "base/memory.h"
#include "base/text.h"
#include "redis/check.h"
#include "redis/cluster/cluster.h"
#include "redis/connect.h"
#include "redis/options.h"
#include "redis/requests/lists.h"
#include "redis/requests/streams.h"

#include <hiredis/hiredis.h>
#include <math.h>

/* Where the server reports no changes, and for pending entries; 1,000 keys cost it about a
 * hundredth of a core. */
enum { IDLE_INTERVAL_MS = 100 };

/* ---- lists ---- */

static void list_metric_spec(const struct options *options, struct metric_spec *ret_spec)
{
    const struct redis_list_target *target = options->target;
    _cleanup_(memory_free) char *name = redis_list_name(options->query);
    *ret_spec = (struct metric_spec){
        .metric_name = text_format("redis-%s", name),
        .target = (double)target->list_length,
        .idle_interval_ms = IDLE_INTERVAL_MS,
    };
}

static bool list_evaluate(const struct options *options, const struct reading *reading,
                          struct evaluation *ret_evaluation, struct error *error)
{
    const struct redis_list_target *target = options->target;
    if (isnan(reading->waiting))
        return error_unavailable(error, "the reading lacks the length");
    *ret_evaluation = (struct evaluation){
        .value = reading->waiting,
        .active = reading->waiting > (double)target->activation_list_length,
    };
    return true;
}

static unsigned list_reports(const struct options *options, const char **ret_advice)
{
    const struct redis_list_query *query = options->query;
    *ret_advice = "a list has only what waits: use redis-streams with consumerGroup and lagCount";
    return query->library != REDIS_NO_LIBRARY ? READING_WANT_IN_FLIGHT : 0;
}

static enum scaler_in_work list_in_work(const struct options *options)
{
    (void)options;
    return SCALER_IN_WORK_NOT_COUNTED;
}

/* ---- streams ---- */

static void stream_metric_spec(const struct options *options, struct metric_spec *ret_spec)
{
    const struct redis_stream_query *query = options->query;
    const struct redis_stream_target *target = options->target;
    const int64_t targets[] = {
        [REDIS_STREAM_LENGTH] = target->stream_length,
        [REDIS_STREAM_PENDING] = target->pending_entries_count,
        [REDIS_STREAM_LAG] = query->lag_count,
    };
    *ret_spec = (struct metric_spec){
        .metric_name = text_format("redis-streams-%s", query->stream),
        .target = (double)targets[redis_stream_mode(query)],
        .idle_interval_ms = IDLE_INTERVAL_MS,
    };
}

static bool stream_evaluate(const struct options *options, const struct reading *reading,
                            struct evaluation *ret_evaluation, struct error *error)
{
    const struct redis_stream_target *target = options->target;
    bool pending = redis_stream_mode(options->query) == REDIS_STREAM_PENDING;
    double entries = pending ? reading->in_flight : reading->waiting;
    if (isnan(entries))
        return error_unavailable(error, "the reading lacks the %s entries",
                                 pending ? "pending" : "waiting");
    *ret_evaluation = (struct evaluation){
        .value = entries,
        .active = entries > (double)target->activation_lag_count,
    };
    return true;
}

/* One XINFO GROUPS has the lag of all groups of a stream. */
static char *stream_bundle(const void *connection_options, const void *query_options)
{
    (void)connection_options;
    const struct redis_stream_query *query = query_options;
    return redis_stream_mode(query) == REDIS_STREAM_LAG ? text_copy(query->stream) : NULL;
}

static unsigned stream_reports(const struct options *options, const char **ret_advice)
{
    *ret_advice = "set consumerGroup and lagCount (Redis 7 or newer)";
    return redis_stream_mode(options->query) == REDIS_STREAM_LAG
               ? READING_WANT_IN_FLIGHT | READING_WANT_RATES | READING_WANT_CONSUMERS
               : 0;
}

/* Entries of a whole stream stay when they are done. */
static enum scaler_in_work stream_in_work(const struct options *options)
{
    static const enum scaler_in_work modes[] = {
        [REDIS_STREAM_LENGTH] = SCALER_IN_WORK_UNKNOWN,
        [REDIS_STREAM_PENDING] = SCALER_IN_WORK_COUNTED,
        [REDIS_STREAM_LAG] = SCALER_IN_WORK_NOT_COUNTED,
    };
    return modes[redis_stream_mode(options->query)];
}

/* ---- the scalers ---- */

static void libraries(struct text *text)
{
    text_addf(text, "hiredis %d.%d.%d", HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH);
}

#define LIST_DIFFERENCES                                                                           \
    "No script is sent: the user needs no right to EVAL, but to LLEN (#7758).\n"                   \
    "Of a set, sorted set or hash it needs those to TYPE and SCARD, ZCARD or HLEN, too.\n"         \
    "All keys are read in one round trip, with two more where a key is new and not a list.\n"      \
    "listLength must be at least 1; KEDA accepts 0 and negative ones.\n"                           \
    "username without password is a mistake; KEDA logs in as the default user.\n"

#define STREAM_DIFFERENCES                                                                         \
    "A lag that Redis does not know (after XDEL or XGROUP SETID) is an error; KEDA answers 0.\n"   \
    "A lag is at most the stream's length, and 0 behind the last entry, whatever Redis counts.\n"  \
    "An error of XINFO GROUPS is an error; KEDA answers the length of the stream instead.\n"       \
    "As in KEDA a missing stream has lag 0, and a missing group that of the whole stream.\n"       \
    "All streams of a connection are read in one round trip, or two where a group is missing or "  \
    "has a lag.\n"                                                                                 \
    "lagCount must not be negative, pendingEntriesCount and streamLength must be at least 1.\n"    \
    "username without password is a mistake; KEDA logs in as the default user.\n"

#define SENTINEL_DIFFERENCES                                                                       \
    "All Sentinels are queried, and the newest config-epoch counts; KEDA takes the first that "    \
    "answers.\n"                                                                                   \
    "A server that is named must say by ROLE that it is the master, for which the user needs "     \
    "that right; by INFO replication where it has no ROLE.\n"                                      \
    "sentinelMaster must be set, and sentinelUsername needs sentinelPassword.\n"

#define CLUSTER_DIFFERENCES                                                                        \
    "A node must say by ROLE that it is a master, for which the user needs that right; by INFO "   \
    "replication where it has no ROLE.\n"                                                          \
    "databaseIndex counts, where the nodes have such a database (Valkey 9); KEDA ignores it.\n"

/* What is counted, and where. */
#define LISTS                                                                                      \
    .sizes = {sizeof(struct redis_connection_options), sizeof(struct redis_list_query),            \
              sizeof(struct redis_list_target)},                                                   \
    .check_connection = redis_check_connection, .reports = list_reports, .in_work = list_in_work,  \
    .metric_spec = list_metric_spec, .evaluate = list_evaluate, .libraries = libraries,            \
    .subscribes = true
#define STREAMS                                                                                    \
    .sizes = {sizeof(struct redis_connection_options), sizeof(struct redis_stream_query),          \
              sizeof(struct redis_stream_target)},                                                 \
    .check = redis_check_stream, .check_connection = redis_check_connection,                       \
    .reports = stream_reports, .in_work = stream_in_work, .metric_spec = stream_metric_spec,       \
    .evaluate = stream_evaluate, .bundle = stream_bundle, .libraries = libraries,                  \
    .subscribes = true
/* None has zero_settles_ms: a server that loads its data answers LOADING, and a replica is found by
 * ROLE. */
#define AT_SERVER .connect = redis_connect, .disconnect = redis_client_disconnect, .isolated = 1
#define AT_MASTER                                                                                  \
    .connect = redis_connect_to_master, .disconnect = redis_client_disconnect, .isolated = 1
#define IN_CLUSTER                                                                                 \
    .connect = redis_cluster_connect, .disconnect = redis_cluster_disconnect,                      \
    .isolated = REDIS_CLUSTER_ISOLATED

const struct scaler scaler_redis = {
    .name = "redis",
    .summary = "Items of a Redis list, set, sorted set or hash",
    .differences = LIST_DIFFERENCES,
    .options = redis_list_options,
    .check = redis_check_list,
    .measure = redis_lists_measure,
    LISTS,
    AT_SERVER,
};

const struct scaler scaler_redis_sentinel = {
    .name = "redis-sentinel",
    .summary = "Items of a Redis list, set, sorted set or hash, at the master that Sentinels name",
    .differences = LIST_DIFFERENCES SENTINEL_DIFFERENCES,
    .options = redis_sentinel_list_options,
    .check = redis_check_list,
    .measure = redis_lists_measure,
    LISTS,
    AT_MASTER,
};

const struct scaler scaler_redis_cluster = {
    .name = "redis-cluster",
    .summary = "Items of a list, set, sorted set or hash, in a Redis Cluster",
    .differences = LIST_DIFFERENCES CLUSTER_DIFFERENCES,
    .options = redis_cluster_list_options,
    .check = redis_check_cluster_list,
    .measure = redis_lists_measure_in_cluster,
    LISTS,
    IN_CLUSTER,
};

const struct scaler scaler_redis_streams = {
    .name = "redis-streams",
    .summary = "Entries of a Redis stream: all, or a consumer group's pending ones, or its lag",
    .differences = STREAM_DIFFERENCES,
    .options = redis_stream_options,
    .measure = redis_streams_measure,
    STREAMS,
    AT_SERVER,
};

const struct scaler scaler_redis_sentinel_streams = {
    .name = "redis-sentinel-streams",
    .summary = "Entries of a Redis stream: all, or a consumer group's pending ones, or its lag, at "
               "the master that Sentinels name",
    .differences = STREAM_DIFFERENCES SENTINEL_DIFFERENCES,
    .options = redis_sentinel_stream_options,
    .measure = redis_streams_measure,
    STREAMS,
    AT_MASTER,
};

const struct scaler scaler_redis_cluster_streams = {
    .name = "redis-cluster-streams",
    .summary = "Entries of a stream: all, or a consumer group's pending ones, or its lag, in "
               "a Redis Cluster",
    .differences = STREAM_DIFFERENCES CLUSTER_DIFFERENCES,
    .options = redis_cluster_stream_options,
    .measure = redis_streams_measure_in_cluster,
    STREAMS,
    IN_CLUSTER,
};
