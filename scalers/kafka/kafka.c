/*
 * Kafka: the lag of a consumer group on a topic, as KEDA's kafka scaler judges it.
 *
 * Two things are deliberately other than there. The cap is min(lag, bound * lagThreshold); KEDA's
 * integer division lets almost one lagThreshold more through, and so one replica more than there are
 * partitions. And ensureEvenDistributionOfPartitions leaves a lag of 0 at 0; KEDA makes it one replica.
 */
#include "base/text.h"
#include "client.h"
#include "measure.h"
#include "measure/scaler.h"
#include "options.h"

#include <string.h>

static const char *const sasl_choices[] = {"none", "plaintext", "scram_sha256", "scram_sha512",
                                           NULL};
static const char *const reset_choices[] = {"latest", "earliest", NULL};

#define CONNECTION(field) .scope = OPTION_CONNECTION, OPTION_FIELD(struct kafka_connection, field)
#define QUERY(field) .scope = OPTION_QUERY, OPTION_FIELD(struct kafka_query, field)
#define TARGET(field) .scope = OPTION_TARGET, OPTION_FIELD(struct kafka_target, field)

static const struct option kafka_options[] = {
    {.key = "bootstrapServers",
     CONNECTION(bootstrap_servers),
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED,
     .doc = "brokers to begin with, host:port, separated by commas"},
    TLS_OPTIONS(offsetof(struct kafka_connection, tls)),
    {.key = "sasl",
     CONNECTION(sasl),
     .type = OPTION_CHOICE,
     .fallback = "none",
     .choices = sasl_choices,
     .doc = "how to authenticate"},
    {.key = "username",
     CONNECTION(username),
     .type = OPTION_STRING,
     .doc = "for sasl other than none"},
    {.key = "password",
     CONNECTION(password),
     .type = OPTION_STRING,
     .flags = OPTION_SECRET,
     .doc = "for sasl other than none"},

    {.key = "consumerGroup",
     QUERY(consumer_group),
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED,
     .doc = "the group whose commits count"},
    {.key = "topic",
     QUERY(topic),
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED,
     .doc = "the topic; one that does not exist is an error, and is never created"},
    {.key = "partitionLimitation",
     QUERY(partition_limitation),
     .type = OPTION_RANGES,
     .doc = "only these partitions, such as 1,2,10-20"},
    {.key = "offsetResetPolicy",
     QUERY(offset_reset_policy),
     .type = OPTION_CHOICE,
     .fallback = "latest",
     .choices = reset_choices,
     .doc =
         "what a partition without a valid commit counts: latest 1, so that the group can start; "
         "earliest all that is in it"},
    {.key = "scaleToZeroOnInvalidOffset",
     QUERY(scale_to_zero_on_invalid_offset),
     .type = OPTION_BOOL,
     .fallback = "false",
     .doc = "a partition without a valid commit counts 0"},

    {.key = "lagThreshold",
     TARGET(lag_threshold),
     .type = OPTION_INT,
     .fallback = "10",
     .limits = {1, INFINITY},
     .doc = "messages of lag a replica"},
    {.key = "activationLagThreshold",
     TARGET(activation_lag_threshold),
     .type = OPTION_INT,
     .fallback = "0",
     .limits = {0, INFINITY},
     .doc = "active while the lag, before any cap, is above this"},
    {.key = "allowIdleConsumers",
     TARGET(allow_idle_consumers),
     .type = OPTION_BOOL,
     .fallback = "false",
     .doc = "let there be more replicas than partitions"},
    {.key = "limitToPartitionsWithLag",
     TARGET(limit_to_partitions_with_lag),
     .type = OPTION_BOOL,
     .fallback = "false",
     .doc = "at most a replica for each partition that has lag"},
    {.key = "ensureEvenDistributionOfPartitions",
     TARGET(ensure_even_distribution),
     .type = OPTION_BOOL,
     .fallback = "false",
     .doc = "replicas in numbers that divide the partitions evenly; overrides allowIdleConsumers"},
    /* Triggers that come from KEDA have these. They separate nothing, hence the scope. */
    {.key = "version",
     TARGET(version),
     .type = OPTION_STRING,
     .doc = "accepted, not needed: the client agrees on the protocol with each broker"},
    {.key = "fullMetadata",
     TARGET(full_metadata),
     .type = OPTION_BOOL,
     .fallback = "true",
     .doc = "accepted, not needed: only topics that a trigger names are asked for"},
    {0},
};

/*
 * A thousand idle groups cost 50 ms of a core here and 100 ms at the broker (two requests each, as
 * librdkafka remembers few coordinators); one costs 0.3 ms.
 */
enum { IDLE_MS = 500 };

static void check_connection(const struct kafka_connection *connection, struct error *mistakes)
{
    if (connection->tls.enable) /* KEDA looks no sooner */
        tls_options_check(&connection->tls, mistakes);
    if (connection->sasl != KAFKA_SASL_NONE &&
        (connection->username == NULL || connection->password == NULL))
        error_add(mistakes, "sasl \"%s\" needs username and password",
                  sasl_choices[connection->sasl]);
}

static void kafka_check(const struct options *options, struct error *mistakes)
{
    const struct kafka_target *target = options->target;
    check_connection(options->connection, mistakes);
    if (target->limit_to_partitions_with_lag && target->allow_idle_consumers)
        error_add(mistakes,
                  "limitToPartitionsWithLag excludes allowIdleConsumers: set one of them");
    if (target->limit_to_partitions_with_lag && target->ensure_even_distribution)
        error_add(mistakes, "limitToPartitionsWithLag excludes "
                            "ensureEvenDistributionOfPartitions: set one of them");
}

static void kafka_plan(const struct options *options, struct plan *ret_plan)
{
    const struct kafka_query *query = options->query;
    const struct kafka_target *target = options->target;
    *ret_plan = (struct plan){
        .metric_name = text_format("kafka-%s", query->topic),
        .target = (double)target->lag_threshold,
        .idle_interval_ms = IDLE_MS,
    };
}

/* The fewest replicas, among the divisors of `partitions`, that leave each at most `threshold`. */
static double even_replicas(double lag, double partitions, double threshold)
{
    if (lag <= 0)
        return 0;
    for (int64_t replicas = 1; (double)replicas < partitions; replicas++)
        if ((int64_t)partitions % replicas == 0 && (double)replicas * threshold >= lag)
            return (double)replicas;
    return partitions;
}

static bool kafka_judge(const struct options *options, const struct reading *reading,
                        struct judgement *ret_judgement, struct error *error)
{
    const struct kafka_target *target = options->target;
    if (isnan(reading->waiting) || isnan(reading->waiting_for_activation) ||
        isnan(reading->partitions) || isnan(reading->partitions_with_lag))
        return error_set(error, ERROR_INTERNAL, "the reading of Kafka lacks the lag");

    double threshold = (double)target->lag_threshold;
    double value = reading->waiting;
    if (target->ensure_even_distribution)
        value = threshold * even_replicas(value, reading->partitions, threshold);
    else if (target->limit_to_partitions_with_lag)
        value = fmin(value, threshold * reading->partitions_with_lag);
    else if (!target->allow_idle_consumers)
        value = fmin(value, threshold * reading->partitions);

    *ret_judgement = (struct judgement){
        .value = value,
        .active = reading->waiting_for_activation > (double)target->activation_lag_threshold,
    };
    return true;
}

static const char differences[] =
    "The cap is exact: never more than lagThreshold times the partitions. KEDA lets up to one "
    "replica more through.\n"
    "`earliest` without a commit counts what the topic still has, not what has expired "
    "(#7937).\n"
    "A commit beyond the end of a topic that was made anew counts as none; KEDA's lag is "
    "negative then.\n"
    "A partition that cannot be measured is an error of its trigger alone.\n"
    "ensureEvenDistributionOfPartitions answers 0 where no lag is; KEDA answers one replica.\n"
    "A topic is never created by asking for it.\n";

const struct scaler scaler_kafka = {
    .name = "kafka",
    .summary = "The lag of a consumer group on a Kafka topic",
    .differences = differences,
    .options = kafka_options,
    .sizes = {[OPTION_CONNECTION] = sizeof(struct kafka_connection),
              [OPTION_QUERY] = sizeof(struct kafka_query),
              [OPTION_TARGET] = sizeof(struct kafka_target)},
    .check = kafka_check,
    .plan = kafka_plan,
    .judge = kafka_judge,
    .connect = kafka_connect,
    .measure = kafka_measure,
    .disconnect = kafka_disconnect,
    .isolated = true,
};
