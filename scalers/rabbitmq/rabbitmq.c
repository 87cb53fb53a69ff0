/*
 * RabbitMQ: the messages of a queue, over AMQP (ready ones) or over the management API (ready and
 * unacknowledged ones). Keys and rules as KEDA's rabbitmq scaler has them.
 */
#include "measure/scaler.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "rabbitmq/amqp.h"
#include "rabbitmq/management.h"
#include "rabbitmq/options.h"
#include "rabbitmq/url.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    QUEUE_NAME_BYTES_MOST = 255, /* AMQP's short string */
    AMQP_IDLE_MS = 250,
    HTTP_IDLE_MS = 1000, /* a listing of 1,000 queues costs the broker 40 ms of CPU */
};

#define QUEUE_LENGTH_DEFAULT 20
#define TARGET_MOST 1e12

static const char *const protocols[] = {"auto", "amqp", "http", NULL};
static const char *const modes[] = {"Unknown", "QueueLength", NULL};

static const struct option table[] = {
    {.key = "host",
     .scope = OPTION_CONNECTION,
     .type = OPTION_STRING,
     OPTION_FIELD(struct rabbitmq_connection, host),
     .flags = OPTION_REQUIRED | OPTION_URL,
     .doc = "amqp(s)://user:password@host:port/vhost, or the management API as "
            "http(s)://user:password@host:port/vhost"},
    {.key = "protocol",
     .scope = OPTION_CONNECTION,
     .type = OPTION_CHOICE,
     OPTION_FIELD(struct rabbitmq_connection, protocol),
     .fallback = "auto",
     .choices = protocols,
     .doc = "what host speaks; auto: as its scheme says"},
    {.key = "vhostName",
     .scope = OPTION_CONNECTION,
     .type = OPTION_STRING,
     OPTION_FIELD(struct rabbitmq_connection, vhost_name),
     .doc = "the virtual host, instead of the one in host"},
    {.key = "username",
     .scope = OPTION_CONNECTION,
     .type = OPTION_STRING,
     OPTION_FIELD(struct rabbitmq_connection, username),
     .doc = "instead of the one in host; needs password"},
    {.key = "password",
     .scope = OPTION_CONNECTION,
     .type = OPTION_STRING,
     OPTION_FIELD(struct rabbitmq_connection, password),
     .flags = OPTION_SECRET,
     .doc = "instead of the one in host; needs username"},
    {.key = "timeout",
     .scope = OPTION_CONNECTION,
     .type = OPTION_DURATION,
     OPTION_FIELD(struct rabbitmq_connection, timeout_ms),
     .doc = "the most that one request to the management API may take; http only"},
    TLS_OPTIONS(offsetof(struct rabbitmq_connection, tls)),
    {.key = "queueName",
     .scope = OPTION_QUERY,
     .type = OPTION_STRING,
     OPTION_FIELD(struct rabbitmq_query, queue_name),
     .flags = OPTION_REQUIRED,
     .doc = "the queue"},
    {.key = "mode",
     .scope = OPTION_TARGET,
     .type = OPTION_CHOICE,
     OPTION_FIELD(struct rabbitmq_target, mode),
     .fallback = "Unknown",
     .choices = modes,
     .doc = "QueueLength: the messages in the queue; needs value"},
    {.key = "value",
     .scope = OPTION_TARGET,
     .type = OPTION_FLOAT,
     OPTION_FIELD(struct rabbitmq_target, value),
     .fallback = "0",
     .limits = {0, TARGET_MOST},
     .doc = "messages a replica; needs mode"},
    {.key = "queueLength",
     .scope = OPTION_TARGET,
     .type = OPTION_FLOAT,
     OPTION_FIELD(struct rabbitmq_target, queue_length),
     .fallback = "0",
     .limits = {0, TARGET_MOST},
     .doc = "deprecated: mode QueueLength with this value; without any of the three it is 20"},
    {.key = "activationValue",
     .scope = OPTION_TARGET,
     .type = OPTION_FLOAT,
     OPTION_FIELD(struct rabbitmq_target, activation_value),
     .fallback = "0",
     .doc = "active above this many messages"},
    {.key = "excludeUnacknowledged",
     .scope = OPTION_TARGET,
     .type = OPTION_BOOL,
     OPTION_FIELD(struct rabbitmq_target, exclude_unacknowledged),
     .fallback = "false",
     .doc = "true: ready messages only; http only, AMQP counts no others"},
    {0},
};

/* Of a host that check() has seen. Every call that is answered comes through here: no more than a look. */
static bool is_http(const struct rabbitmq_connection *connection)
{
    return strncasecmp(connection->host, "http", strlen("http")) == 0;
}

static void check_connection(const struct rabbitmq_connection *connection, struct error *mistakes)
{
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(rabbitmq_url_done) struct rabbitmq_url url = {0};
    bool good = rabbitmq_url_parse(connection, &url, &error);
    if (!good && connection->host[0] != '\0') /* a missing host was told already */
        error_add(mistakes, "%s", error_text(&error));
    if (good && connection->protocol == RABBITMQ_AMQP && url.http)
        error_add(mistakes, "protocol amqp needs a host that starts with amqp:// or amqps://");
    if (good && connection->protocol == RABBITMQ_HTTP && !url.http)
        error_add(mistakes, "protocol http needs a host that starts with http:// or https://");
    if (good && connection->tls.enable && !url.tls)
        error_add(mistakes, "tls enable needs a host that starts with amqps:// or https://");
    if ((connection->username == NULL) != (connection->password == NULL))
        error_add(mistakes, "username and password go together: set both or none");
    tls_options_check(&connection->tls, mistakes);
}

static void check_target(const struct rabbitmq_target *target, struct error *mistakes)
{
    bool mode = target->mode != RABBITMQ_MODE_UNKNOWN;
    bool value = target->value != 0;
    if (target->queue_length != 0 && (mode || value))
        error_add(mistakes, "queueLength is deprecated and excludes mode and value: set mode "
                            "QueueLength and value instead of it");
    else if (mode && !value)
        error_add(mistakes, "mode needs a value above 0");
    else if (value && !mode)
        error_add(mistakes, "value needs a mode: QueueLength");
}

static void check(const struct options *options, struct error *mistakes)
{
    const struct rabbitmq_connection *connection = options->connection;
    const struct rabbitmq_query *query = options->query;
    const struct rabbitmq_target *target = options->target;
    check_connection(connection, mistakes);
    check_target(target, mistakes);
    if (strlen(query->queue_name) > QUEUE_NAME_BYTES_MOST)
        error_add(mistakes, "queueName must have at most %d bytes", QUEUE_NAME_BYTES_MOST);

    bool amqp = strncasecmp(connection->host, "amqp", strlen("amqp")) == 0;
    if (amqp && target->exclude_unacknowledged)
        error_add(mistakes, "excludeUnacknowledged needs a host that starts with http:// or "
                            "https://: AMQP counts ready messages only");
    /* KEDA passes it over where queueLength is given. */
    if (amqp && connection->timeout_ms != 0 && target->mode != RABBITMQ_MODE_UNKNOWN)
        error_add(mistakes, "timeout needs a host that starts with http:// or https://");
}

static void plan(const struct options *options, struct plan *ret_plan)
{
    const struct rabbitmq_query *query = options->query;
    const struct rabbitmq_target *target = options->target;
    _cleanup_(memory_free) char *queue = rabbitmq_url_query_escaped(query->queue_name);
    ret_plan->metric_name = text_format("rabbitmq-%s", queue);
    ret_plan->target = QUEUE_LENGTH_DEFAULT;
    if (target->value != 0)
        ret_plan->target = target->value;
    else if (target->queue_length != 0)
        ret_plan->target = target->queue_length;
    ret_plan->idle_interval_ms = is_http(options->connection) ? HTTP_IDLE_MS : AMQP_IDLE_MS;
}

static bool judge(const struct options *options, const struct reading *reading,
                  struct judgement *ret_judgement, struct error *error)
{
    const struct rabbitmq_query *query = options->query;
    const struct rabbitmq_target *target = options->target;
    double messages = reading->waiting;
    if (is_http(options->connection) && !target->exclude_unacknowledged)
        messages += reading->in_flight;
    if (isnan(messages))
        return error_unavailable(error, "queue '%s': the broker did not tell its messages",
                                 query->queue_name);
    ret_judgement->value = messages;
    ret_judgement->active = messages > target->activation_value;
    return true;
}

/* Has one of the two. */
struct client {
    const struct rabbitmq_connection *options;
    struct rabbitmq_amqp *amqp;
    struct rabbitmq_management *management;
    int64_t used_ms;
};

static bool open_client(struct client *client, int64_t deadline_ms, struct error *error)
{
    _cleanup_(rabbitmq_url_done) struct rabbitmq_url url = {0};
    if (!rabbitmq_url_parse(client->options, &url, error))
        return false;

    client->used_ms = clock_now_ms();
    return url.http
               ? rabbitmq_management_connect(client->options, &url, deadline_ms,
                                             &client->management, error)
               : rabbitmq_amqp_connect(client->options, &url, deadline_ms, &client->amqp, error);
}

static bool connect_client(const void *connection_options, int64_t deadline_ms, void **ret_client,
                           struct error *error)
{
    struct client client = {.options = connection_options};
    if (!open_client(&client, deadline_ms, error))
        return false;
    struct client *kept = memory_new(sizeof(*kept));
    *kept = client;
    *ret_client = kept;
    return true;
}

/* The broker cuts an AMQP connection from which it has heard nothing for long. */
static bool reopen_stale(struct client *client, int64_t deadline_ms, struct error *error)
{
    int64_t now_ms = clock_now_ms();
    bool stale = client->amqp != NULL && now_ms - client->used_ms > RABBITMQ_AMQP_IDLE_MS_MOST;
    client->used_ms = now_ms;
    if (!stale)
        return true;
    rabbitmq_amqp_disconnect(TAKE(client->amqp));
    return open_client(client, deadline_ms, error);
}

static bool measure(void *opaque, struct probe *const *probes, size_t count, int64_t deadline_ms,
                    struct error *error)
{
    struct client *client = opaque;
    if (!reopen_stale(client, deadline_ms, error))
        return false;
    return client->amqp != NULL
               ? rabbitmq_amqp_measure(client->amqp, probes, count, deadline_ms, error)
               : rabbitmq_management_measure(client->management, probes, count, deadline_ms, error);
}

static void disconnect(void *opaque)
{
    struct client *client = opaque;
    if (client->amqp != NULL)
        rabbitmq_amqp_disconnect(client->amqp);
    if (client->management != NULL)
        rabbitmq_management_disconnect(client->management);
    free(client);
}

static const char differences[] =
    "A count that the management API does not tell (statistics disabled) is an error, not 0 "
    "(#7180).\n"
    "Queues and virtual hosts may have spaces, slashes and percent signs in their names.\n"
    "One missing queue fails alone; in KEDA it closes the trigger's connection each time "
    "(#6266).\n"
    "A password in `host` may have any character once it is percent-encoded.\n";

const struct scaler scaler_rabbitmq = {
    .name = "rabbitmq",
    .summary = "Messages of a RabbitMQ queue, over AMQP or the management API",
    .differences = differences,
    .options = table,
    .sizes = {sizeof(struct rabbitmq_connection), sizeof(struct rabbitmq_query),
              sizeof(struct rabbitmq_target)},
    .check = check,
    .plan = plan,
    .judge = judge,
    .connect = connect_client,
    .measure = measure,
    .disconnect = disconnect,
};
