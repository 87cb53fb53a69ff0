#include "kafka/options.h"

#include "shared/cloud_options.h"

const char *const kafka_sasl_names[] = {
    [KAFKA_SASL_NONE] = "none",
    [KAFKA_SASL_PLAINTEXT] = "plaintext",
    [KAFKA_SASL_SHA256] = "scram_sha256",
    [KAFKA_SASL_SHA512] = "scram_sha512",
    [KAFKA_SASL_OAUTHBEARER] = "oauthbearer",
    [KAFKA_SASL_GSSAPI] = "gssapi",
    [KAFKA_SASL_AWS_MSK_IAM] = "aws_msk_iam",
    NULL,
};
static const char *const provider_choices[] = {
    [KAFKA_TOKEN_BEARER] = "bearer", [KAFKA_TOKEN_AWS_MSK_IAM] = "aws_msk_iam", NULL};
static const char *const reset_choices[] = {
    [KAFKA_RESET_LATEST] = "latest", [KAFKA_RESET_EARLIEST] = "earliest", NULL};

#define CONNECTION(field)                                                                          \
    .scope = OPTION_CONNECTION, OPTION_FIELD(struct kafka_connection_options, field)
#define QUERY(field) .scope = OPTION_QUERY, OPTION_FIELD(struct kafka_query, field)
#define TARGET(field) .scope = OPTION_TARGET, OPTION_FIELD(struct kafka_target, field)
#define TEXT(field) CONNECTION(field), .type = OPTION_STRING
#define SECRET(field) TEXT(field), .flags = OPTION_SECRET

const struct option kafka_options[] = {
    {.key = "bootstrapServers",
     TEXT(bootstrap_servers),
     .flags = OPTION_REQUIRED | OPTION_HOSTS,
     .keda = OPTION_KEDA_METADATA | OPTION_KEDA_VARIABLE,
     .doc = "bootstrap brokers, as host:port, separated by commas"},
    TLS_OPTIONS(offsetof(struct kafka_connection_options, tls),
                OPTION_KEDA_METADATA | OPTION_KEDA_AUTHENTICATION),
    {.key = "sasl",
     CONNECTION(sasl),
     .type = OPTION_CHOICE,
     .default_value = "none",
     .choices = kafka_sasl_names,
     .keda = OPTION_KEDA_METADATA | OPTION_KEDA_AUTHENTICATION,
     .doc = "how to authenticate; aws_msk_iam is not supported"},
    {.key = "username",
     TEXT(username),
     .flags = OPTION_CREDENTIAL | OPTION_USER,
     .keda = OPTION_KEDA_AUTHENTICATION,
     .doc = "user name; with oauthbearer the client ID"},
    {.key = "password",
     SECRET(password),
     .keda = OPTION_KEDA_AUTHENTICATION,
     .doc = "password for plaintext and scram; with oauthbearer the client secret"},
    {.key = "saslTokenProvider",
     CONNECTION(token_provider),
     .type = OPTION_CHOICE,
     .default_value = "bearer",
     .choices = provider_choices,
     .keda = OPTION_KEDA_METADATA | OPTION_KEDA_AUTHENTICATION,
     .doc = "source of the oauthbearer token; aws_msk_iam is not supported"},
    {.key = "oauthTokenEndpointUri",
     TEXT(token_endpoint),
     .flags = OPTION_URL,
     .keda = OPTION_KEDA_AUTHENTICATION,
     .doc = "oauthbearer: http(s) URL of the token endpoint (client credentials grant); its "
            "certificate must be signed by ca or by an authority that the system trusts"},
    {.key = "scopes",
     TEXT(scopes),
     .keda = OPTION_KEDA_AUTHENTICATION,
     .doc = "oauthbearer: scopes to request, separated by commas"},
    {.key = "oauthExtensions",
     TEXT(oauth_extensions),
     .keda = OPTION_KEDA_AUTHENTICATION,
     .doc = "oauthbearer: SASL extensions, as name=value,name2=value2"},
    {.key = "keytab",
     SECRET(keytab),
     .keda = OPTION_KEDA_AUTHENTICATION,
     .doc = "gssapi: keytab file, in base64, with keys of username@realm"},
    {.key = "realm",
     TEXT(realm),
     .flags = OPTION_PEER,
     .keda = OPTION_KEDA_AUTHENTICATION,
     .doc = "gssapi: Kerberos realm"},
    {.key = "kerberosConfig",
     TEXT(kerberos_config),
     .flags = OPTION_PEER,
     .keda = OPTION_KEDA_AUTHENTICATION,
     .doc = "gssapi: content of krb5.conf; what includes, reads or loads files is refused"},
    {.key = "kerberosServiceName",
     TEXT(kerberos_service),
     .default_value = "kafka",
     .keda = OPTION_KEDA_AUTHENTICATION,
     .doc = "gssapi: service name in the brokers' principal"},
    {.key = "kerberosDisableFAST",
     CONNECTION(kerberos_disable_fast),
     .type = OPTION_BOOL,
     .default_value = "false",
     .keda = OPTION_KEDA_AUTHENTICATION,
     .doc = "accepted and ignored: FAST is used only where the keytab requires it"},
    AWS_OPTIONS(KAFKA_NO_AWS),

    {.key = "consumerGroup",
     QUERY(consumer_group),
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED,
     .keda = OPTION_KEDA_METADATA | OPTION_KEDA_VARIABLE,
     .doc = "consumer group whose lag is measured"},
    {.key = "topic",
     QUERY(topic),
     .type = OPTION_STRING,
     .keda = OPTION_KEDA_METADATA | OPTION_KEDA_VARIABLE | OPTION_KEDA_NAME,
     .doc = "one topic, several between commas, or a POSIX extended regular expression that begins "
            "with ^ (at most 5,000 topics); without it, all topics that the group has committed. A "
            "topic that does not exist is an error, and is never created"},
    {.key = "partitionLimitation",
     QUERY(partition_limitation),
     .type = OPTION_RANGES,
     .doc = "only these partitions of each topic, such as 1,2,10-20; ignored without topic"},
    {.key = "offsetResetPolicy",
     QUERY(offset_reset_policy),
     .type = OPTION_CHOICE,
     .default_value = "latest",
     .choices = reset_choices,
     .doc = "lag of a partition without a valid commit. latest: 1, so that the group can start; "
            "earliest: all messages in the partition"},
    {.key = "scaleToZeroOnInvalidOffset",
     QUERY(scale_to_zero_on_invalid_offset),
     .type = OPTION_BOOL,
     .default_value = "false",
     .doc = "true: the lag of a partition without a valid commit is 0"},
    {.key = "excludePersistentLag",
     QUERY(exclude_persistent_lag),
     .type = OPTION_BOOL,
     .default_value = "false",
     .doc = "true: a partition whose commit has not moved for persistentLagTime adds no replicas; "
            "its lag still keeps the workload active"},
    {.key = "persistentLagTime",
     QUERY(persistent_lag_ms),
     .type = OPTION_DURATION,
     .default_value = "30s",
     .limits = {1000, 24 * 3600 * 1000.0},
     .keda = OPTION_KEDA_NOWHERE,
     .doc = "for excludePersistentLag; set it longer than processing one message takes"},

    {.key = "lagThreshold",
     TARGET(lag_threshold),
     .type = OPTION_INT,
     .flags = OPTION_THRESHOLD,
     .default_value = "10",
     .limits = {1, INFINITY},
     .doc = "target lag per replica, in messages"},
    {.key = "activationLagThreshold",
     TARGET(activation_lag_threshold),
     .type = OPTION_INT,
     .default_value = "0",
     .limits = {0, INFINITY},
     .doc = "active while the lag, before any cap, is above this"},
    {.key = "allowIdleConsumers",
     TARGET(allow_idle_consumers),
     .type = OPTION_BOOL,
     .default_value = "false",
     .doc = "true: more replicas than partitions are allowed"},
    {.key = "limitToPartitionsWithLag",
     TARGET(limit_to_partitions_with_lag),
     .type = OPTION_BOOL,
     .default_value = "false",
     .doc = "true: at most one replica per partition with lag"},
    {.key = "ensureEvenDistributionOfPartitions",
     TARGET(ensure_even_distribution),
     .type = OPTION_BOOL,
     .default_value = "false",
     .doc = "true: only replica counts that divide the partitions evenly; overrides "
            "allowIdleConsumers"},
    /* Triggers that come from KEDA have these. They separate nothing, hence the scope. */
    {.key = "version",
     TARGET(version),
     .type = OPTION_STRING,
     .doc = "one such as 2.8.0; without effect: the protocol version is negotiated with each "
            "broker"},
    {.key = "fullMetadata",
     TARGET(full_metadata),
     .type = OPTION_BOOL,
     .default_value = "true",
     .doc = "without effect, as only the topics of triggers are requested; `false` needs "
            "`topic` (kafka)"},
    {0},
};

bool kafka_query_has_partition(const struct kafka_query *query, int32_t partition)
{
    const struct option_ranges *ranges = &query->partition_limitation;
    if (query->topic == NULL)
        return true;
    for (size_t i = 0; i < ranges->count; i++)
        if (partition >= ranges->items[i].first && partition <= ranges->items[i].last)
            return true;
    return ranges->count == 0;
}
