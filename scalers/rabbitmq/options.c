#include "rabbitmq/options.h"

#include "base/memory.h"

#include <string.h>
#include <strings.h>

#define MAX_TARGET 1e12

static const char *const protocols[] = {"auto", "amqp", "http", NULL};
static const char *const operations[] = {"sum", "avg", "max", NULL};
const char *const rabbitmq_modes[] = {
    [RABBITMQ_MODE_UNKNOWN] = "Unknown",
    [RABBITMQ_MODE_QUEUE_LENGTH] = "QueueLength",
    [RABBITMQ_MODE_MESSAGE_RATE] = "MessageRate",
    [RABBITMQ_MODE_DELIVER_GET_RATE] = "DeliverGetRate",
    [RABBITMQ_MODE_PUBLISHED_TO_DELIVERED_RATIO] = "PublishedToDeliveredRatio",
    [RABBITMQ_MODE_EXPECTED_QUEUE_CONSUMPTION_TIME] = "ExpectedQueueConsumptionTime",
    NULL,
};

#define CONNECTION(field)                                                                          \
    .scope = OPTION_CONNECTION, OPTION_FIELD(struct rabbitmq_connection_options, field)
#define QUERY(field) .scope = OPTION_QUERY, OPTION_FIELD(struct rabbitmq_query, field)
#define TARGET(field) .scope = OPTION_TARGET, OPTION_FIELD(struct rabbitmq_target, field)
#define TEXT(field) CONNECTION(field), .type = OPTION_STRING
#define SECRET(field) TEXT(field), .flags = OPTION_SECRET

const struct option rabbitmq_options[] = {
    {.key = "host",
     TEXT(host),
     .flags = OPTION_REQUIRED | OPTION_URL | OPTION_HOST,
     .keda = OPTION_KEDA_METADATA | OPTION_KEDA_VARIABLE | OPTION_KEDA_AUTHENTICATION,
     .doc = "amqp(s)://user:password@host:port/vhost, or the management API as "
            "http(s)://user:password@host:port/path/vhost; AMQP logs in as ?auth_mechanism=PLAIN, "
            "AMQPLAIN or EXTERNAL says, unless vhostName or username is set"},
    {.key = "protocol",
     CONNECTION(protocol),
     .type = OPTION_CHOICE,
     .default_value = "auto",
     .choices = protocols,
     .keda = OPTION_KEDA_METADATA | OPTION_KEDA_AUTHENTICATION,
     .doc = "the protocol of host; auto: by its scheme"},
    {.key = "vhostName",
     TEXT(vhost_name),
     .keda = OPTION_KEDA_METADATA | OPTION_KEDA_AUTHENTICATION,
     .doc = "the virtual host; overrides the one in host"},
    {.key = "username",
     TEXT(username),
     .flags = OPTION_CREDENTIAL | OPTION_USER,
     .keda = OPTION_KEDA_VARIABLE | OPTION_KEDA_AUTHENTICATION,
     .doc = "overrides the one in host; needs password; over amqps with tls enable, cert and no "
            "password anywhere, the certificate identifies the user (EXTERNAL)"},
    {.key = "password",
     SECRET(password),
     .keda = OPTION_KEDA_VARIABLE | OPTION_KEDA_AUTHENTICATION,
     .doc = "overrides the one in host; needs username"},
    {.key = "timeout",
     CONNECTION(timeout_ms),
     .type = OPTION_DURATION,
     .flags = OPTION_BARE_MS,
     .doc =
         "how long a request to the management API may take: 10s where it is not set; http only"},
    {.key = "oauthTokenURI",
     TEXT(oauth_token_uri),
     .flags = OPTION_URL,
     .keda = OPTION_KEDA_AUTHENTICATION,
     .doc = "the OAuth 2.0 token endpoint for clientID and clientSecret, instead of username and "
            "password; http only"},
    {.key = "clientID",
     TEXT(client_id),
     .flags = OPTION_CREDENTIAL,
     .keda = OPTION_KEDA_AUTHENTICATION,
     .doc = "the OAuth client"},
    {.key = "clientSecret",
     SECRET(client_secret),
     .keda = OPTION_KEDA_AUTHENTICATION,
     .doc = "the secret of clientID"},
    {.key = "scopes",
     .alias = "scope",
     CONNECTION(scopes),
     .type = OPTION_LIST,
     .keda = OPTION_KEDA_AUTHENTICATION,
     .doc = "the OAuth scopes to request"},
    {.key = "endpointParams",
     SECRET(endpoint_params),
     .keda = OPTION_KEDA_AUTHENTICATION,
     .doc = "more form fields for oauthTokenURI, as in a URL: audience=rabbitmq&resource=a%2Fb"},
    {.key = "workloadIdentityResource",
     .scope = OPTION_CONNECTION,
     .type = OPTION_UNSUPPORTED,
     .doc = "set username and password: Azure identities are not supported"},
    TLS_OPTIONS(offsetof(struct rabbitmq_connection_options, tls), OPTION_KEDA_AUTHENTICATION),

    {.key = "queueName",
     QUERY(queue_name),
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED,
     .doc = "the queue; with useRegex, a regular expression"},
    {.key = "useRegex",
     QUERY(use_regex),
     .type = OPTION_BOOL,
     .default_value = "false",
     .doc =
         "true: all queues of the virtual host whose name queueName matches, case-insensitively, "
         "at most 10000; http only"},
    {.key = "pageSize",
     QUERY(page_size),
     .type = OPTION_INT,
     .default_value = "100",
     .limits = {1, 500},
     .doc = "has no effect: a request lists 500 queues, or all"},
    {.key = "operation",
     QUERY(operation),
     .type = OPTION_CHOICE,
     .default_value = "sum",
     .choices = operations,
     .doc = "with useRegex: how the queues are combined"},
    {.key = "mode",
     QUERY(mode),
     .type = OPTION_CHOICE,
     .default_value = "Unknown",
     .choices = rabbitmq_modes,
     .doc = "QueueLength (the only one of AMQP): messages; MessageRate: published per second; "
            "DeliverGetRate: delivered or got per second; PublishedToDeliveredRatio; "
            "ExpectedQueueConsumptionTime: seconds until the queue is empty; needs value"},

    {.key = "value",
     TARGET(value),
     .type = OPTION_FLOAT,
     .flags = OPTION_THRESHOLD,
     .default_value = "0",
     .limits = {0, MAX_TARGET},
     .doc = "the target per replica, in the unit of mode; needs mode"},
    {.key = "queueLength",
     TARGET(queue_length),
     .type = OPTION_FLOAT,
     .flags = OPTION_THRESHOLD,
     .default_value = "0",
     .limits = {0, MAX_TARGET},
     .doc = "deprecated: mode QueueLength with this value; 20 if none of the three is set"},
    {.key = "activationValue",
     TARGET(activation_value),
     .type = OPTION_FLOAT,
     .default_value = "0",
     .doc = "active above this, in the unit of mode"},
    {.key = "excludeUnacknowledged",
     TARGET(exclude_unacknowledged),
     .type = OPTION_BOOL,
     .default_value = "false",
     .doc = "true: ready messages only; http only, AMQP never counts others"},
    {0},
};

bool rabbitmq_is_http(const struct rabbitmq_connection_options *connection)
{
    return strncasecmp(connection->host, "http", strlen("http")) == 0;
}

bool rabbitmq_needs_rates(const struct rabbitmq_query *query)
{
    return query->mode >= RABBITMQ_MODE_MESSAGE_RATE;
}
