/*
 * Kafka: the lag of a consumer group on a topic, as KEDA's kafka scaler evaluates it, but for what
 * is in DIFFERENCES.
 *
 * Read the folder in this order:
 *
 *     options.h, check.h     the keys, and the rules across keys
 *     selection.h            which topics the key `topic` selects
 *     lag.h                  what a partition counts
 *     log_start.h            when to find out what was removed from it
 *     memory.h               what limits topics and groups
 *     client/client.h        a cluster and its handles, and what works around librdkafka. The other
 *                            files of client/ and login/ help it
 *     requests/              one file per request; topics.h and patterns.h have what is known
 *     session.h              all that outlives a measurement, and which handles a cluster has.
 *                            space.h, known_groups.h and persistence.h are parts of it
 *     measure/measure.h      from a task to its reading, and which file of measure/ does what
 *
 * The tests of a module are in test/scalers/kafka/test_MODULE.c. Those of check.h are the rows of
 * test/keys/kafka.h, which both scalers share, and of test_kafka.c and test_apache_kafka.c beside
 * it. Those of login/kerberos.h are in test/kerberos.
 */
#include "measure/scaler.h"

#include "base/memory.h"
#include "base/text.h"
#include "kafka/check.h"
#include "kafka/measure/measure.h"
#include "kafka/memory.h"
#include "kafka/options.h"
#include "kafka/selection.h"
#include "kafka/session.h"

#include <librdkafka/rdkafka.h>

/* How often an idle query without a subscription is measured. To measure 1,000 groups takes 50 ms
 * of CPU time here and 100 ms at the broker; a single group takes 0.3 ms. */
enum { IDLE_MS = 500 };

static void metric_spec(const struct options *options, struct metric_spec *ret_spec)
{
    const struct kafka_query *query = options->query;
    const struct kafka_target *target = options->target;
    _cleanup_(memory_free) char *topics = kafka_selection_text(query->topic);
    *ret_spec = (struct metric_spec){
        .metric_name = topics == NULL ? text_format("kafka-%s-topics", query->consumer_group)
                                      : text_format("kafka-%s", topics),
        .target = (double)target->lag_threshold,
        .idle_interval_ms = IDLE_MS,
    };
}

/* The fewest replicas, among the divisors of `partitions`, that leave each at most `threshold`. */
static double even_replicas(double lag, double partitions, double threshold)
{
    double fewest = partitions;
    if (lag <= 0)
        return 0;
    for (int64_t divisor = 1; (double)divisor * (double)divisor <= partitions; divisor++) {
        double pair[] = {(double)divisor, partitions / (double)divisor};
        for (size_t i = 0; (int64_t)partitions % divisor == 0 && i < ARRAY_LENGTH(pair); i++)
            if (pair[i] * threshold >= lag && pair[i] < fewest)
                fewest = pair[i];
    }
    return fewest;
}

/* More replicas than these have nothing to do. INFINITY: there is no limit. An even distribution
 * overrides allowIdleConsumers, as in KEDA. */
static double useful_replicas(const struct kafka_target *target, const struct reading *reading)
{
    if (target->limit_to_partitions_with_lag)
        return reading->partitions_with_lag;
    if (target->allow_idle_consumers && !target->ensure_even_distribution)
        return INFINITY;
    return reading->partitions;
}

static bool evaluate(const struct options *options, const struct reading *reading,
                     struct evaluation *ret_evaluation, struct error *error)
{
    const struct kafka_target *target = options->target;
    if (isnan(reading->waiting) || isnan(reading->waiting_for_activation) ||
        isnan(reading->partitions) || isnan(reading->partitions_with_lag))
        return error_set(error, ERROR_INTERNAL, "the reading of Kafka lacks the lag");

    double threshold = (double)target->lag_threshold;
    double value = reading->waiting;
    if (target->ensure_even_distribution)
        value = threshold * even_replicas(value, reading->partitions, threshold);
    double limit = useful_replicas(target, reading);
    *ret_evaluation = (struct evaluation){
        .value = fmin(value, threshold * limit),
        .active = reading->waiting_for_activation > (double)target->activation_lag_threshold,
        .has_max_useful = isfinite(limit),
        .max_useful = limit,
    };
    return true;
}

/* Messages that are being worked on are not committed yet: they are part of the lag. */
static unsigned reports(const struct options *options, const char **ret_advice)
{
    (void)options;
    *ret_advice = "the lag has them until they are committed, so that the last replica stays; for "
                  "all of them set minReplicaCount or a long cooldownPeriod";
    return READING_WANT_RATES | READING_WANT_CONSUMERS;
}

static enum scaler_in_work in_work(const struct options *options)
{
    (void)options;
    return SCALER_IN_WORK_COUNTED;
}

/* One request gets all commits of a group. */
static char *bundle(const void *connection_options, const void *query_options)
{
    const struct kafka_query *query = query_options;
    (void)connection_options;
    return text_copy(query->consumer_group);
}

#define DIFFERENCES                                                                                \
    "The cap is exact: never more than lagThreshold times the number of partitions. KEDA "         \
    "allows up to one replica more.\n"                                                             \
    "`earliest` without a commit counts the messages that the topic still has, without expired "   \
    "ones, as KEDA does since 2.21 (#7937).\n"                                                     \
    "Messages that were removed beyond a commit, by retention or DeleteRecords, are no lag; in "   \
    "KEDA "                                                                                        \
    "they keep the workload active for ever.\n"                                                    \
    "A commit beyond the end of a recreated topic counts as no commit; KEDA's lag is negative.\n"  \
    "excludePersistentLag measures how long a commit has not moved while there was lag. KEDA "     \
    "compares with the previous call, which may be a second old, and excludes the first message "  \
    "of an idle partition.\n"                                                                      \
    "Without topic, a group that has committed nothing is an error, or 0 with "                    \
    "scaleToZeroOnInvalidOffset; KEDA counts the whole cluster (#8104).\n"                         \
    "A share group of Kafka 4 is an error; KEDA counts it as one that has committed nothing.\n"    \
    "A partition that cannot be measured fails only the triggers that need it.\n"                  \
    "ensureEvenDistributionOfPartitions returns 0 without lag; KEDA returns one replica.\n"        \
    "Measuring a topic never creates it.\n"                                                        \
    "`sasl: gssapi` needs a keytab, in base64; passwords are not supported.\n"                     \
    "`ca` takes the place of the system's authorities; KEDA trusts these, too.\n"                  \
    "AWS identities (aws_msk_iam) are not supported.\n"

static const char kafka_differences[] =
    DIFFERENCES "topic may be a list, or a regular expression that begins with ^ (#828).\n";

static const char apache_kafka_differences[] =
    DIFFERENCES "This scaler is `kafka` under another name, with all of its keys; KEDA has a "
                "separate implementation.\n"
                "A topic that does not exist, or a partitionLimitation without any partition, is "
                "an error; KEDA counts 0, or all partitions.\n"
                "Without topic, all topics that the group has committed count. KEDA needs group "
                "members, and counts the whole cluster.\n";

static void libraries(struct text *text)
{
    text_addf(text, "librdkafka %s", rd_kafka_version_str());
}

/* No zero_settles_ms: a leader that was just elected answers OFFSET_NOT_AVAILABLE until it knows
 * the end (KIP-207, since Kafka 2.2), and a coordinator that loads the commits an error. */
#define SCALER(the_name, the_differences, the_check, lacks)                                        \
    {                                                                                              \
        .name = (the_name),                                                                        \
        .summary = "The lag of a consumer group on Kafka topics",                                  \
        .differences = (the_differences),                                                          \
        .options = kafka_options,                                                                  \
        .not_in_keda = (lacks),                                                                    \
        .sizes = {sizeof(struct kafka_connection_options), sizeof(struct kafka_query),             \
                  sizeof(struct kafka_target)},                                                    \
        .check = (the_check),                                                                      \
        .check_connection = kafka_check_connection,                                                \
        .reports = reports,                                                                        \
        .in_work = in_work,                                                                        \
        .metric_spec = metric_spec,                                                                \
        .evaluate = evaluate,                                                                      \
        .bundle = bundle,                                                                          \
        .connect = kafka_session_connect,                                                          \
        .measure = kafka_measure,                                                                  \
        .libraries = libraries,                                                                    \
        .disconnect = kafka_session_disconnect,                                                    \
        .subscribes = true,                                                                        \
        .in_agent = true, /* workaround 1 of client.h */                                           \
        .agent_bytes = KAFKA_MEMORY_OTHERS,                                                        \
        .agent_bytes_named = KAFKA_MEMORY_NAMED,                                                   \
    }

const struct scaler scaler_kafka = SCALER("kafka", kafka_differences, kafka_check_trigger, NULL);

/* KEDA's second scaler for Kafka. Its `topic` is a list, as ours is, and it has fewer rules. It
 * always verifies the broker's certificate. */
const struct scaler scaler_apache_kafka =
    SCALER("apache-kafka", apache_kafka_differences, kafka_check_apache, "brokerUnsafeSsl");
