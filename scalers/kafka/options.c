#include "options.h"

#include "kerberos.h"
#include "oauth.h"
#include "selection.h"
#include "shared/cloud_options.h"

#include <string.h>

static const char *const sasl_choices[] = {"none",         "plaintext",   "scram_sha256",
                                           "scram_sha512", "oauthbearer", "gssapi",
                                           "aws_msk_iam",  NULL};
static const char *const provider_choices[] = {"bearer", "aws_msk_iam", NULL};
static const char *const reset_choices[] = {"latest", "earliest", NULL};

#define CONNECTION(field) .scope = OPTION_CONNECTION, OPTION_FIELD(struct kafka_connection, field)
#define QUERY(field) .scope = OPTION_QUERY, OPTION_FIELD(struct kafka_query, field)
#define TARGET(field) .scope = OPTION_TARGET, OPTION_FIELD(struct kafka_target, field)
#define TEXT(field) CONNECTION(field), .type = OPTION_STRING
#define SECRET(field) TEXT(field), .flags = OPTION_SECRET
#define NO_AWS                                                                                     \
    "AWS identities are not; let the cluster take SASL/SCRAM or client certificates, and set "     \
    "sasl, "                                                                                       \
    "username and password, or cert and key"

const struct option kafka_options[] = {
    {.key = "bootstrapServers",
     TEXT(bootstrap_servers),
     .flags = OPTION_REQUIRED,
     .doc = "brokers to begin with, host:port, separated by commas"},
    TLS_OPTIONS(offsetof(struct kafka_connection, tls)),
    {.key = "sasl",
     CONNECTION(sasl),
     .type = OPTION_CHOICE,
     .fallback = "none",
     .choices = sasl_choices,
     .doc = "how to authenticate; aws_msk_iam is refused"},
    {.key = "username",
     TEXT(username),
     .flags = OPTION_CREDENTIAL,
     .doc = "for sasl other than none; of oauthbearer the client's id"},
    {.key = "password",
     SECRET(password),
     .doc = "for plaintext and scram; of oauthbearer the client's secret"},
    {.key = "saslTokenProvider",
     CONNECTION(token_provider),
     .type = OPTION_CHOICE,
     .fallback = "bearer",
     .choices = provider_choices,
     .doc = "where the token of oauthbearer comes from; aws_msk_iam is refused"},
    {.key = "oauthTokenEndpointUri",
     TEXT(token_endpoint),
     .flags = OPTION_URL,
     .doc = "of oauthbearer: the http(s) URL that gives tokens for client credentials; over https "
            "it must be of the system's authorities or of ca"},
    {.key = "scopes",
     TEXT(scopes),
     .doc = "of oauthbearer: the scopes to ask for, separated by commas"},
    {.key = "oauthExtensions",
     TEXT(oauth_extensions),
     .doc = "of oauthbearer: SASL extensions, as name=value,name2=value2"},
    {.key = "keytab",
     SECRET(keytab),
     .doc = "of gssapi: the keytab file, in base64; its first principal is used"},
    {.key = "realm", TEXT(realm), .doc = "of gssapi: the realm"},
    {.key = "kerberosConfig", TEXT(kerberos_config), .doc = "of gssapi: the content of krb5.conf"},
    {.key = "kerberosServiceName",
     TEXT(kerberos_service),
     .fallback = "kafka",
     .doc = "of gssapi: the first part of the brokers' principal"},
    {.key = "kerberosDisableFAST",
     CONNECTION(kerberos_disable_fast),
     .type = OPTION_BOOL,
     .fallback = "false",
     .doc = "accepted, not needed: FAST is used only where the keytab needs it"},
    AWS_OPTIONS(NO_AWS),

    {.key = "consumerGroup",
     QUERY(consumer_group),
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED,
     .doc = "the group whose commits count"},
    {.key = "topic",
     QUERY(topic),
     .type = OPTION_STRING,
     .doc =
         "one topic, several between commas, or a POSIX extended regular expression that begins "
         "with ^ (at most 10,000 topics); absent: all that the group has committed. A topic that "
         "does not exist is an error, and is never created"},
    {.key = "partitionLimitation",
     QUERY(partition_limitation),
     .type = OPTION_RANGES,
     .doc =
         "only these partitions of each topic, such as 1,2,10-20; without topic it limits nothing"},
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
    {.key = "excludePersistentLag",
     QUERY(exclude_persistent_lag),
     .type = OPTION_BOOL,
     .fallback = "false",
     .doc = "lag that nobody works on adds no replicas: that of a partition whose commit has not "
            "moved "
            "for persistentLagTime; it still counts for activity"},
    {.key = "persistentLagTime",
     QUERY(persistent_lag_ms),
     .type = OPTION_DURATION,
     .fallback = "30s",
     .limits = {1000, 24 * 3600 * 1000.0},
     .doc = "for excludePersistentLag; longer than a message takes to be processed"},

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

static void check_sasl(const struct kafka_connection *connection, struct error *mistakes)
{
    switch ((enum kafka_sasl)connection->sasl) {
    case KAFKA_SASL_NONE:
    case KAFKA_SASL_AWS_MSK_IAM: /* told already */
        return;
    case KAFKA_SASL_OAUTHBEARER:
        if (connection->token_provider == KAFKA_TOKEN_BEARER)
            oauth_check(connection, mistakes);
        return;
    case KAFKA_SASL_GSSAPI:
        kerberos_check(connection, mistakes);
        return;
    case KAFKA_SASL_PLAINTEXT:
    case KAFKA_SASL_SHA256:
    case KAFKA_SASL_SHA512:
        if (connection->username == NULL || connection->password == NULL)
            error_add(mistakes, "sasl \"%s\" needs username and password",
                      sasl_choices[connection->sasl]);
    }
}

void kafka_connection_check(const void *connection_options, struct error *mistakes)
{
    const struct kafka_connection *connection = connection_options;
    if (connection->tls.enable) /* KEDA looks no sooner */
        tls_options_check(&connection->tls, mistakes);
    if (connection->sasl == KAFKA_SASL_AWS_MSK_IAM ||
        connection->token_provider == KAFKA_TOKEN_AWS_MSK_IAM)
        error_add(mistakes, "aws_msk_iam is not supported here: " NO_AWS);
    check_sasl(connection, mistakes);
}

/* Whether `count` numbers with dots between them are all there is. */
static bool is_dotted(const char *text, int count)
{
    for (int i = 0; i < count; i++) {
        size_t digits = strspn(text, "0123456789");
        if (digits == 0 || text[digits] != (i == count - 1 ? '\0' : '.'))
            return false;
        text += digits + 1;
    }
    return true;
}

/* As KEDA's client has it: of old versions, which begin with 0, there were four numbers. */
static void check_version(const char *version, struct error *mistakes)
{
    if (version != NULL && !is_dotted(version, version[0] == '0' ? 4 : 3))
        error_add(mistakes, "version must be one such as 2.8.0");
}

static void check_common(const struct options *options, struct error *mistakes)
{
    const struct kafka_query *query = options->query;
    const struct kafka_target *target = options->target;
    selection_check(query->topic, mistakes);
    check_version(target->version, mistakes);
    if (target->limit_to_partitions_with_lag && target->allow_idle_consumers)
        error_add(mistakes,
                  "limitToPartitionsWithLag excludes allowIdleConsumers: set one of them");
    if (target->limit_to_partitions_with_lag && query->topic == NULL)
        error_add(mistakes, "limitToPartitionsWithLag needs topic");
}

void apache_kafka_check(const struct options *options, struct error *mistakes)
{
    check_common(options, mistakes);
}

void kafka_check(const struct options *options, struct error *mistakes)
{
    const struct kafka_query *query = options->query;
    const struct kafka_target *target = options->target;
    check_common(options, mistakes);
    if (target->limit_to_partitions_with_lag && target->ensure_even_distribution)
        error_add(mistakes, "limitToPartitionsWithLag excludes "
                            "ensureEvenDistributionOfPartitions: set one of them");
    if (query->topic != NULL)
        return;
    if (target->ensure_even_distribution)
        error_add(mistakes, "ensureEvenDistributionOfPartitions needs topic");
    if (!target->full_metadata)
        error_add(mistakes, "without topic, fullMetadata must not be off");
}
