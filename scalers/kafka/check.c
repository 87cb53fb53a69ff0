#include "kafka/check.h"

#include "base/text.h"
#include "kafka/login/kerberos.h"
#include "kafka/login/oauth.h"
#include "kafka/options.h"
#include "kafka/selection.h"
#include "shared/address.h"

#include <stdlib.h>
#include <string.h>

static void check_sasl(const struct kafka_connection_options *connection, struct error *mistakes)
{
    switch ((enum kafka_sasl)connection->sasl) {
    case KAFKA_SASL_NONE:
    case KAFKA_SASL_AWS_MSK_IAM: /* reported already */
        return;
    case KAFKA_SASL_OAUTHBEARER:
        if (connection->token_provider == KAFKA_TOKEN_BEARER)
            kafka_oauth_check(connection, mistakes);
        return;
    case KAFKA_SASL_GSSAPI:
        kafka_kerberos_check(connection, mistakes);
        return;
    case KAFKA_SASL_PLAINTEXT:
    case KAFKA_SASL_SHA256:
    case KAFKA_SASL_SHA512:
        if (connection->username == NULL || connection->password == NULL)
            error_add(mistakes, "sasl \"%s\" needs username and password",
                      kafka_sasl_names[connection->sasl]);
    }
}

/* librdkafka takes all of fd00::1:9092 for the address, and adds the default port, as it should to
 * fd00::1. What has 3 to 5 digits behind the last colon looks like a port, unless the address has
 * all of its eight groups. */
static bool hides_port(const char *server)
{
    enum { GROUPS = 8 };
    size_t groups = 1;
    const char *scheme = strstr(server, "://");
    const char *address = scheme == NULL ? server : scheme + strlen("://");
    const size_t length = strcspn(address, "/");
    for (size_t i = 0; i < length; i++)
        groups += address[i] == ':';
    const char *last = (const char *)memrchr(address, ':', length) + 1;
    const size_t digits = strspn(last, "0123456789");
    const bool is_last = last + digits == address + length;
    const bool is_short = memmem(address, length, "::", 2) != NULL;
    return groups > GROUPS ||
           (is_last && digits >= 3 && digits <= 5 && (is_short || groups < GROUPS));
}

static void check_brackets(const char *servers, struct error *mistakes)
{
    char *server;
    for (size_t i = 1; (server = text_take_piece(&servers, ",")) != NULL; i++) {
        if (address_lacks_brackets(server) && hides_port(server))
            error_add(mistakes,
                      "bootstrapServers: number %zu is an IPv6 address without brackets: write "
                      "[fd00::1]:9092",
                      i);
        free(server);
    }
}

void kafka_check_connection(const void *connection_options, struct error *mistakes)
{
    const struct kafka_connection_options *connection = connection_options;
    /* Hosts are shown, and with them what stands before an @. */
    if (connection->bootstrap_servers != NULL && strchr(connection->bootstrap_servers, '@') != NULL)
        error_add(mistakes, "bootstrapServers are host:port, without user and password: set "
                            "username and password");
    else if (connection->bootstrap_servers != NULL)
        check_brackets(connection->bootstrap_servers, mistakes);
    if (connection->tls.enable) /* as KEDA does */
        tls_options_check(&connection->tls, mistakes);
    if (connection->sasl == KAFKA_SASL_AWS_MSK_IAM ||
        connection->token_provider == KAFKA_TOKEN_AWS_MSK_IAM)
        error_add(mistakes, "aws_msk_iam is not supported here: " KAFKA_NO_AWS);
    check_sasl(connection, mistakes);
}

/* Whether the text is `count` numbers with dots between them. */
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

void kafka_check_apache(const struct options *options, struct error *mistakes)
{
    const struct kafka_query *query = options->query;
    const struct kafka_target *target = options->target;
    kafka_selection_check(query->topic, mistakes);
    /* As in KEDA's client: old versions, which begin with 0, have four numbers. */
    if (target->version != NULL && !is_dotted(target->version, target->version[0] == '0' ? 4 : 3))
        error_add(mistakes, "version must be one such as 2.8.0");
    if (target->limit_to_partitions_with_lag && target->allow_idle_consumers)
        error_add(mistakes,
                  "limitToPartitionsWithLag excludes allowIdleConsumers: set one of them");
    if (target->limit_to_partitions_with_lag && query->topic == NULL)
        error_add(mistakes, "limitToPartitionsWithLag needs topic");
}

void kafka_check_trigger(const struct options *options, struct error *mistakes)
{
    const struct kafka_query *query = options->query;
    const struct kafka_target *target = options->target;
    kafka_check_apache(options, mistakes);
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
