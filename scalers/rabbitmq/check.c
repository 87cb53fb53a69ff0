#include "rabbitmq/check.h"

#include "base/memory.h"
#include "base/text.h"
#include "kit/auth.h"
#include "rabbitmq/management/pattern.h"
#include "rabbitmq/options.h"
#include "rabbitmq/url.h"

#include <string.h>
#include <strings.h>

enum {
    MAX_QUEUE_NAME_BYTES = 255, /* AMQP's short string */
    MAX_VHOST_BYTES = 255,      /* another */
    MAX_PATTERN_BYTES = 2000,   /* of a request line's 8,000, each may become three */
};

/* Parameters go into a form as they are. */
static bool is_url_query(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text > '~' ||
            (*text == '%' && text_percent_byte(text, strnlen(text, 3)) < 0))
            return false;
    return true;
}

static const char needs_amqp[] = "needs a host that starts with amqp:// or amqps://: it cannot be "
                                 "in a path of the management API";

/* In a path they lead elsewhere: libcurl takes them out, and RabbitMQ the encoded ones. */
static bool is_dots(const char *name)
{
    return text_equal(name, ".") || text_equal(name, "..");
}

static void check_vhost(const struct rabbitmq_url *url, struct error *mistakes)
{
    if (url->is_http && is_dots(url->vhost))
        error_add(mistakes, "a virtual host named . or .. %s", needs_amqp);
    if (!url->is_http && strlen(url->vhost) > MAX_VHOST_BYTES)
        error_add(mistakes, "a virtual host's name has at most %d bytes over AMQP",
                  MAX_VHOST_BYTES);
}

static void check_oauth(const struct rabbitmq_connection_options *connection,
                        struct error *mistakes)
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
    if (uri)
        auth_check_endpoint("oauthTokenURI", connection->oauth_token_uri, mistakes);
    if (uri && connection->username != NULL)
        error_add(mistakes, "oauthTokenURI excludes username and password: set one of them");
}

void rabbitmq_check_connection(const void *connection_options, struct error *mistakes)
{
    const struct rabbitmq_connection_options *connection = connection_options;
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(rabbitmq_url_done) struct rabbitmq_url url = {0};
    bool good = rabbitmq_url_parse(connection, &url, &error);
    if (!good && connection->host[0] != '\0') /* a missing host is already reported */
        error_add(mistakes, "%s", error_text(&error));
    if (good)
        check_vhost(&url, mistakes);
    if (good && connection->protocol == RABBITMQ_PROTOCOL_AMQP && url.is_http)
        error_add(mistakes, "protocol amqp needs a host that starts with amqp:// or amqps://");
    if (good && connection->protocol == RABBITMQ_PROTOCOL_HTTP && !url.is_http)
        error_add(mistakes, "protocol http needs a host that starts with http:// or https://");
    if (good && connection->tls.enable && !url.has_tls)
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
        error_add(mistakes, "mode needs a value above 0; with scalingModifiers any serves");
    else if (value && !mode)
        error_add(mistakes, "value needs a mode, such as QueueLength");
    if (value && target->value < OPTION_MIN_TARGET)
        error_add(mistakes, "value must be at least %g", OPTION_MIN_TARGET);
    if (target->queue_length != 0 && target->queue_length < OPTION_MIN_TARGET)
        error_add(mistakes, "queueLength must be at least %g", OPTION_MIN_TARGET);
}

static void check_amqp(const struct options *options, struct error *mistakes)
{
    const struct rabbitmq_connection_options *connection = options->connection;
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
        error_add(mistakes, "mode %s %s: AMQP reports no rates", rabbitmq_modes[query->mode], http);
    /* KEDA passes it over where queueLength is given. */
    if (connection->timeout_ms != 0 && query->mode != RABBITMQ_MODE_UNKNOWN)
        error_add(mistakes, "timeout %s", http);
}

static void check_pattern(const char *text, struct error *mistakes)
{
    _cleanup_(rabbitmq_pattern_free) struct rabbitmq_pattern *pattern = NULL;
    _cleanup_(error_done) struct error error = {0};
    if (!rabbitmq_pattern_compile(text, &pattern, &error))
        error_add(mistakes, "queueName %s", error_text(&error));
}

void rabbitmq_check_trigger(const struct options *options, struct error *mistakes)
{
    const struct rabbitmq_connection_options *connection = options->connection;
    const struct rabbitmq_query *query = options->query;
    check_target(query, options->target, mistakes);
    if (strncasecmp(connection->host, "amqp", strlen("amqp")) == 0)
        check_amqp(options, mistakes);

    int max_bytes = query->use_regex ? MAX_PATTERN_BYTES : MAX_QUEUE_NAME_BYTES;
    if (strlen(query->queue_name) > (size_t)max_bytes)
        error_add(mistakes, "queueName must have at most %d bytes", max_bytes);
    else if (query->use_regex)
        check_pattern(query->queue_name, mistakes);
    if (rabbitmq_is_http(connection) && !query->use_regex && is_dots(query->queue_name))
        error_add(mistakes, "a queue named . or .. %s", needs_amqp);
    /* Over AMQP the broker would answer for the name without it, as for another queue. */
    if (strpbrk(query->queue_name, "\r\n") != NULL)
        error_add(mistakes, "queueName must have no line break: RabbitMQ drops it");
}
