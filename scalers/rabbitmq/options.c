#include "rabbitmq/options.h"

#include "base/memory.h"
#include "rabbitmq/url.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum {
    MAX_QUEUE_NAME_BYTES = 255, /* AMQP's short string */
    MAX_PATTERN_BYTES = 2000,   /* of a request line's 8,000, each may become three */
};

#define MIN_TARGET 0.001 /* the HPA's resolution */
#define MAX_TARGET 1e12

static const char *const protocols[] = {"auto", "amqp", "http", NULL};
static const char *const operations[] = {"sum", "avg", "max", NULL};
static const char *const modes[] = {
    [RABBITMQ_MODE_UNKNOWN] = "Unknown",
    [RABBITMQ_QUEUE_LENGTH] = "QueueLength",
    [RABBITMQ_MESSAGE_RATE] = "MessageRate",
    [RABBITMQ_DELIVER_GET_RATE] = "DeliverGetRate",
    [RABBITMQ_PUBLISHED_TO_DELIVERED_RATIO] = "PublishedToDeliveredRatio",
    [RABBITMQ_EXPECTED_QUEUE_CONSUMPTION_TIME] = "ExpectedQueueConsumptionTime",
    NULL,
};

#define CONNECTION(field)                                                                          \
    .scope = OPTION_CONNECTION, OPTION_FIELD(struct rabbitmq_connection, field)
#define QUERY(field) .scope = OPTION_QUERY, OPTION_FIELD(struct rabbitmq_query, field)
#define TARGET(field) .scope = OPTION_TARGET, OPTION_FIELD(struct rabbitmq_target, field)

const struct option rabbitmq_options[] = {
    {.key = "host",
     CONNECTION(host),
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED | OPTION_URL,
     .doc = "amqp(s)://user:password@host:port/vhost, or the management API as "
            "http(s)://user:password@host:port/path/vhost"},
    {.key = "protocol",
     CONNECTION(protocol),
     .type = OPTION_CHOICE,
     .default_value = "auto",
     .choices = protocols,
     .doc = "the protocol of host; auto: by its scheme"},
    {.key = "vhostName",
     CONNECTION(vhost_name),
     .type = OPTION_STRING,
     .doc = "the virtual host; overrides the one in host"},
    {.key = "username",
     CONNECTION(username),
     .type = OPTION_STRING,
     .flags = OPTION_CREDENTIAL,
     .doc = "overrides the one in host; needs password; over amqps with tls enable, cert and no "
            "password anywhere, the certificate identifies the user (EXTERNAL)"},
    {.key = "password",
     CONNECTION(password),
     .type = OPTION_STRING,
     .flags = OPTION_SECRET,
     .doc = "overrides the one in host; needs username"},
    {.key = "timeout",
     CONNECTION(timeout_ms),
     .type = OPTION_DURATION,
     .doc =
         "how long a request to the management API may take: 10s where it is not set; http only"},
    {.key = "oauthTokenURI",
     CONNECTION(oauth_token_uri),
     .type = OPTION_STRING,
     .flags = OPTION_URL,
     .doc = "the OAuth 2.0 token endpoint for clientID and clientSecret, instead of username and "
            "password; http only"},
    {.key = "clientID",
     CONNECTION(client_id),
     .type = OPTION_STRING,
     .flags = OPTION_CREDENTIAL,
     .doc = "the OAuth client"},
    {.key = "clientSecret",
     CONNECTION(client_secret),
     .type = OPTION_STRING,
     .flags = OPTION_SECRET,
     .doc = "the secret of clientID"},
    {.key = "scopes",
     .alias = "scope",
     CONNECTION(scopes),
     .type = OPTION_LIST,
     .doc = "the OAuth scopes to request"},
    {.key = "endpointParams",
     CONNECTION(endpoint_params),
     .type = OPTION_STRING,
     .flags = OPTION_SECRET,
     .doc = "more form fields for oauthTokenURI, as in a URL: audience=rabbitmq&resource=a%2Fb"},
    {.key = "workloadIdentityResource",
     .scope = OPTION_CONNECTION,
     .type = OPTION_UNSUPPORTED,
     .doc = "set username and password: Azure identities are not supported"},
    TLS_OPTIONS(offsetof(struct rabbitmq_connection, tls)),

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
     .doc = "with useRegex: queues per request; every page is read"},
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
     .choices = modes,
     .doc = "QueueLength (the only one of AMQP): messages; MessageRate: published per second; "
            "DeliverGetRate: delivered or got per second; PublishedToDeliveredRatio; "
            "ExpectedQueueConsumptionTime: seconds until the queue is empty; needs value"},

    {.key = "value",
     TARGET(value),
     .type = OPTION_FLOAT,
     .default_value = "0",
     .limits = {0, MAX_TARGET},
     .doc = "the target per replica, in the unit of mode; needs mode"},
    {.key = "queueLength",
     TARGET(queue_length),
     .type = OPTION_FLOAT,
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

bool rabbitmq_is_http(const struct rabbitmq_connection *connection)
{
    return strncasecmp(connection->host, "http", strlen("http")) == 0;
}

bool rabbitmq_needs_rates(const struct rabbitmq_query *query)
{
    return query->mode >= RABBITMQ_MESSAGE_RATE;
}

/* Parameters go into a form as they are. */
static bool is_url_query(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text > '~' ||
            (*text == '%' &&
             !(isxdigit((unsigned char)text[1]) && isxdigit((unsigned char)text[2]))))
            return false;
    return true;
}

static void check_oauth(const struct rabbitmq_connection *connection, struct error *mistakes)
{
    bool uri = connection->oauth_token_uri != NULL;
    if (uri != (connection->client_id != NULL) || uri != (connection->client_secret != NULL))
        error_add(mistakes,
                  "oauthTokenURI, clientID and clientSecret go together: set all or none");
    if (!uri && connection->scopes.count > 0)
        error_add(mistakes, "scopes needs oauthTokenURI");
    if (!uri && connection->endpoint_params != NULL)
        error_add(mistakes, "endpointParams needs oauthTokenURI");
    if (connection->endpoint_params != NULL && !is_url_query(connection->endpoint_params))
        error_add(mistakes, "endpointParams must be written as in a URL: name=value&name=value, "
                            "percent-encoded");
    if (uri && strncasecmp(connection->oauth_token_uri, "http://", strlen("http://")) != 0 &&
        strncasecmp(connection->oauth_token_uri, "https://", strlen("https://")) != 0)
        error_add(mistakes, "oauthTokenURI must begin with http:// or https://");
    if (uri && connection->username != NULL)
        error_add(mistakes, "oauthTokenURI excludes username and password: set one of them");
}

void rabbitmq_connection_check(const void *connection_options, struct error *mistakes)
{
    const struct rabbitmq_connection *connection = connection_options;
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(rabbitmq_url_done) struct rabbitmq_url url = {0};
    bool good = rabbitmq_url_parse(connection, &url, &error);
    if (!good && connection->host[0] != '\0') /* a missing host is already reported */
        error_add(mistakes, "%s", error_text(&error));
    if (good && connection->protocol == RABBITMQ_AMQP && url.http)
        error_add(mistakes, "protocol amqp needs a host that starts with amqp:// or amqps://");
    if (good && connection->protocol == RABBITMQ_HTTP && !url.http)
        error_add(mistakes, "protocol http needs a host that starts with http:// or https://");
    if (good && connection->tls.enable && !url.tls)
        error_add(mistakes, "tls enable needs a host that starts with amqps:// or https://");
    if ((connection->username == NULL) != (connection->password == NULL))
        error_add(mistakes, "username and password go together: set both or none");
    check_oauth(connection, mistakes);
    tls_options_check(&connection->tls, mistakes);
}

static void check_target(const struct rabbitmq_query *query, const struct rabbitmq_target *target,
                         struct error *mistakes)
{
    bool mode = query->mode != RABBITMQ_MODE_UNKNOWN;
    bool value = target->value != 0;
    if (target->queue_length != 0 && (mode || value))
        error_add(mistakes, "queueLength is deprecated and excludes mode and value: set mode "
                            "QueueLength and value instead of it");
    else if (mode && !value)
        error_add(mistakes, "mode needs a value above 0");
    else if (value && !mode)
        error_add(mistakes, "value needs a mode, such as QueueLength");
    if (value && target->value < MIN_TARGET)
        error_add(mistakes, "value must be at least %g", MIN_TARGET);
    if (target->queue_length != 0 && target->queue_length < MIN_TARGET)
        error_add(mistakes, "queueLength must be at least %g", MIN_TARGET);
}

static void check_amqp(const struct options *options, struct error *mistakes)
{
    const struct rabbitmq_connection *connection = options->connection;
    const struct rabbitmq_query *query = options->query;
    const struct rabbitmq_target *target = options->target;
    static const char http[] = "needs a host that starts with http:// or https://";
    if (target->exclude_unacknowledged)
        error_add(mistakes, "excludeUnacknowledged %s: AMQP counts ready messages only", http);
    if (connection->oauth_token_uri != NULL)
        error_add(mistakes, "oauthTokenURI %s", http);
    if (query->use_regex)
        error_add(mistakes, "useRegex %s: AMQP cannot list queues", http);
    if (rabbitmq_needs_rates(query))
        error_add(mistakes, "mode %s %s: AMQP reports no rates", modes[query->mode], http);
    /* KEDA passes it over where queueLength is given. */
    if (connection->timeout_ms != 0 && query->mode != RABBITMQ_MODE_UNKNOWN)
        error_add(mistakes, "timeout %s", http);
}

void rabbitmq_options_check(const struct options *options, struct error *mistakes)
{
    const struct rabbitmq_connection *connection = options->connection;
    const struct rabbitmq_query *query = options->query;
    check_target(query, options->target, mistakes);
    if (strncasecmp(connection->host, "amqp", strlen("amqp")) == 0)
        check_amqp(options, mistakes);

    int max_bytes = query->use_regex ? MAX_PATTERN_BYTES : MAX_QUEUE_NAME_BYTES;
    if (strlen(query->queue_name) > (size_t)max_bytes)
        error_add(mistakes, "queueName must have at most %d bytes", max_bytes);
}
