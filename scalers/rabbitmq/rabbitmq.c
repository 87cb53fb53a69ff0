/*
 * RabbitMQ: the messages of a queue, or of all that match a pattern, over AMQP (ready ones) or over
 * the management API (ready and unacknowledged ones, and rates). Keys and rules as KEDA's rabbitmq
 * scaler has them.
 *
 * Read the folder in this order: options.h, url.h (where the broker is), then amqp/amqp.h or
 * management/management.h, which say what is in theirs.
 */
#include "measure/scaler.h"

#include "base/memory.h"
#include "base/text.h"
#include "rabbitmq/amqp/amqp.h"
#include "rabbitmq/check.h"
#include "rabbitmq/management/management.h"
#include "rabbitmq/options.h"
#include "rabbitmq/url.h"

#include <math.h>
#include <rabbitmq-c/amqp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    AMQP_IDLE_MS = 200,  /* the first message is seen within 300 ms, with 1,000 idle queues too */
    HTTP_IDLE_MS = 1000, /* a listing of 1,000 queues costs the broker 40 ms of CPU */
};

/*
 * Over AMQP a quorum queue without a leader is 0 and 0 at once. RabbitMQ 4.0 with three nodes on a
 * busy machine of two cores had another leader 30 to 380 ms after a node was stopped or killed;
 * with many queues elections queue up. A leader that hangs is an error of declarer.c, for as long
 * as it does: with the node of the leader stopped (SIGSTOP) the 0 lasted for more than 39 s. Zeros
 * of the management API are errors there, as statistics have them for 6 s (management.h).
 */
enum { ZERO_SETTLES_MS = 2000 };

#define DEFAULT_QUEUE_LENGTH 20

static int64_t idle_interval_ms(const struct options *options)
{
    if (rabbitmq_needs_rates(options->query))
        return 0; /* the broker itself takes them every few seconds: measuring more often adds
                     nothing */
    return rabbitmq_is_http(options->connection) ? HTTP_IDLE_MS : AMQP_IDLE_MS;
}

static void metric_spec(const struct options *options, struct metric_spec *ret_spec)
{
    const struct rabbitmq_query *query = options->query;
    const struct rabbitmq_target *target = options->target;
    _cleanup_(memory_free) char *queue = rabbitmq_url_query_escaped(query->queue_name);
    ret_spec->metric_name = text_format("rabbitmq-%s", queue);
    ret_spec->target = DEFAULT_QUEUE_LENGTH;
    if (target->value != 0)
        ret_spec->target = target->value;
    else if (target->queue_length != 0)
        ret_spec->target = target->queue_length;
    ret_spec->idle_interval_ms = idle_interval_ms(options);
}

/* The value of a mode, from messages and the rates per second at which they are published and are
 * delivered or got. As in KEDA, where a ratio has no denominator, the value is the activation
 * value. */
static struct evaluation evaluate_mode(enum rabbitmq_mode mode, double messages, double published,
                                       double delivered, double activation)
{
    struct evaluation evaluation = {.value = messages};
    bool stuck = false; /* active at any value */
    switch (mode) {
    case RABBITMQ_MODE_UNKNOWN:
    case RABBITMQ_MODE_QUEUE_LENGTH:
        break;
    case RABBITMQ_MODE_MESSAGE_RATE:
        evaluation.value = published;
        stuck = messages > activation;
        break;
    case RABBITMQ_MODE_DELIVER_GET_RATE:
        evaluation.value = delivered;
        break;
    case RABBITMQ_MODE_PUBLISHED_TO_DELIVERED_RATIO:
        stuck = published > 0 && delivered == 0;
        evaluation.value = stuck ? activation : published > 0 ? published / delivered : 0;
        break;
    case RABBITMQ_MODE_EXPECTED_QUEUE_CONSUMPTION_TIME:
        stuck = messages > 0 && delivered == 0;
        evaluation.value = stuck          ? activation
                           : messages > 0 ? (published - delivered + messages) / delivered
                                          : 0;
        break;
    }
    evaluation.active = stuck || evaluation.value > activation;
    evaluation.value = fmax(evaluation.value, 0); /* KEDA takes no negative one */
    return evaluation;
}

static bool evaluate(const struct options *options, const struct reading *reading,
                     struct evaluation *ret_evaluation, struct error *error)
{
    const struct rabbitmq_query *query = options->query;
    const struct rabbitmq_target *target = options->target;
    double messages = reading->waiting;
    if (rabbitmq_is_http(options->connection) && !target->exclude_unacknowledged)
        messages += reading->in_flight;
    if (isnan(messages))
        return error_unavailable(
            error, "queue '%s': the broker did not report its %s", query->queue_name,
            isnan(reading->waiting) ? "messages_ready" : "messages_unacknowledged");
    if (rabbitmq_needs_rates(query) &&
        (isnan(reading->arrival_rate) || isnan(reading->consumption_rate)))
        return error_unavailable(error, "queue '%s': the broker did not report its rates",
                                 query->queue_name);
    *ret_evaluation =
        evaluate_mode((enum rabbitmq_mode)query->mode, messages, reading->arrival_rate,
                      reading->consumption_rate, target->activation_value);
    return true;
}

/* A host that is not known yet may be one of either protocol. */
static unsigned reports(const struct options *options, const char **ret_advice)
{
    const struct rabbitmq_connection_options *connection = options->connection;
    *ret_advice = "over AMQP RabbitMQ reports only what is ready: use an http:// host (management "
                  "API)";
    return strncasecmp(connection->host, "amqp", strlen("amqp")) == 0
               ? READING_WANT_CONSUMERS
               : READING_WANT_IN_FLIGHT | READING_WANT_CONSUMERS | READING_WANT_RATES;
}

/* A rate is no number of messages. A host that is not known may have named its protocol. */
static enum scaler_in_work in_work(const struct options *options)
{
    const struct rabbitmq_connection_options *connection = options->connection;
    const struct rabbitmq_target *target = options->target;
    bool is_amqp = strncasecmp(connection->host, "amqp", strlen("amqp")) == 0;
    bool is_http = rabbitmq_is_http(connection);
    if (rabbitmq_needs_rates(options->query))
        return SCALER_IN_WORK_UNKNOWN;
    if (is_amqp || target->exclude_unacknowledged ||
        (!is_http && connection->protocol == RABBITMQ_PROTOCOL_AMQP))
        return SCALER_IN_WORK_NOT_COUNTED;
    return is_http || connection->protocol == RABBITMQ_PROTOCOL_HTTP ? SCALER_IN_WORK_COUNTED
                                                                     : SCALER_IN_WORK_UNKNOWN;
}

/* One listing answers all queues of a virtual host, and patterns, that are counted in the same way,
 * however few are needed. */
static char *bundle(const void *connection_options, const void *query_options)
{
    const struct rabbitmq_query *query = query_options;
    if (!rabbitmq_is_http(connection_options))
        return NULL;
    return text_copy(rabbitmq_needs_rates(query) ? "rates" : "counts");
}

/* Has one of the two. */
struct rabbitmq_client {
    struct rabbitmq_amqp *amqp;
    struct rabbitmq_management *management;
};

static bool connect_client(const void *connection_options, int64_t deadline_ms, void **ret_client,
                           struct error *error)
{
    _cleanup_(rabbitmq_url_done) struct rabbitmq_url url = {0};
    if (!rabbitmq_url_parse(connection_options, &url, error))
        return false;
    struct rabbitmq_client client = {0};
    bool connected =
        url.is_http
            ? rabbitmq_management_connect(connection_options, &url, deadline_ms, &client.management,
                                          error)
            : rabbitmq_amqp_connect(connection_options, &url, deadline_ms, &client.amqp, error);
    if (!connected)
        return false;
    struct rabbitmq_client *kept = memory_new(sizeof(*kept));
    *kept = client;
    *ret_client = kept;
    return true;
}

static bool measure(void *opaque, struct feed *feed, struct error *error)
{
    struct rabbitmq_client *client = opaque;
    return client->amqp != NULL ? rabbitmq_amqp_measure(client->amqp, feed, error)
                                : rabbitmq_management_measure(client->management, feed, error);
}

static void disconnect(void *opaque)
{
    struct rabbitmq_client *client = opaque;
    if (client->amqp != NULL)
        rabbitmq_amqp_disconnect(client->amqp);
    if (client->management != NULL)
        rabbitmq_management_disconnect(client->management);
    free(client);
}

static void libraries(struct text *text)
{
    text_addf(text, "rabbitmq-c %s", amqp_version());
}

static const char differences[] =
    "A count or a rate that the management API does not report (statistics disabled, or "
    "`rates_mode` `none`) is an error, not 0 (#7180).\n"
    "An empty quorum queue counts 0 over HTTP once its leader has reported that. AMQP also reports "
    "0 for a queue without a leader: that counts after 2 s, longer than an election. A leader that "
    "is busy is an error. In KEDA all are 0.\n"
    "What a quorum queue keeps until it is dead-lettered (`at-least-once`) does not count: no "
    "consumer gets it. KEDA counts it over HTTP.\n"
    "Names of queues and virtual hosts can contain spaces, slashes and percent signs.\n"
    "A missing queue fails alone; in KEDA it closes the trigger's connection each time (#6266).\n"
    "With `useRegex` all queues count, up to 10,000, whatever `pageSize` is; in KEDA more than one "
    "page is an error (#7143).\n"
    "With `operation: avg` the result keeps its fraction; in KEDA one message in two queues is 0.\n"
    "An invalid `operation` or `pageSize` is reported at once, whether or not a queue matches.\n";

const struct scaler scaler_rabbitmq = {
    .name = "rabbitmq",
    .summary = "Messages or rates of RabbitMQ queues, over AMQP or the management API",
    .differences = differences,
    .options = rabbitmq_options,
    .sizes = {sizeof(struct rabbitmq_connection_options), sizeof(struct rabbitmq_query),
              sizeof(struct rabbitmq_target)},
    .check = rabbitmq_check_trigger,
    .check_connection = rabbitmq_check_connection,
    .reports = reports,
    .in_work = in_work,
    .metric_spec = metric_spec,
    .evaluate = evaluate,
    .bundle = bundle,
    .bundle_costs_the_same = true,
    .connect = connect_client,
    .measure = measure,
    .libraries = libraries,
    .disconnect = disconnect,
    .zero_settles_ms = ZERO_SETTLES_MS,
    .isolated = 16, /* channels for one request at a time; over HTTP fewer */
};
