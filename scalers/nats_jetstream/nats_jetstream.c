/*
 * nats-jetstream: how many messages of a JetStream consumer are pending, or delivered and not yet
 * acknowledged. It sends requests over the NATS client protocol, where the consumer's leader
 * answers through any node; or, where the trigger is KEDA's as it was, a monitoring port.
 *
 * Read the folder in this order: options.h, consumer_info.h (from JSON to a reading), limits.h,
 * then client/client.h or monitoring/monitoring.h, which say what is in theirs; credentials.h and
 * nkey.h help the client to log in.
 */
#include "measure/scaler.h"

#include "base/memory.h"
#include "base/text.h"
#include "nats_jetstream/check.h"
#include "nats_jetstream/client/client.h"
#include "nats_jetstream/limits.h"
#include "nats_jetstream/monitoring/monitoring.h"
#include "nats_jetstream/options.h"

#include <math.h>
#include <nats/nats.h>
#include <stdlib.h>

/* Rarer than a person notices, and one round trip for all idle consumers of the connection. */
enum { IDLE_INTERVAL_MS = 250 };

/* Of a monitoring port, which reports a whole account each time. */
enum { MONITORED_IDLE_INTERVAL_MS = 1000 };

/*
 * A node of a cluster replies for a consumer as long as raft has it for the leader, and knows the
 * counts for a part of that time only (setLeader() in nats-server's consumer.go):
 *   stepping down it drops what is unacknowledged, in newer versions what is pending, too, and
 *                 leads for 250 ms more (jsConsumerLeaderStepDownRequest());
 *   elected       until it has counted, on another thread, it reports the messages of when it last
 *                 led: 0, if it never did.
 * One may follow the other at once. NATS 2.10 on a busy machine of two cores reported no pending
 * messages beside those unacknowledged for 2 to 105 ms. Four times the longer of the two.
 */
enum { ZERO_SETTLES_MS = 1000 };

static void metric_spec(const struct options *options, struct metric_spec *ret_spec)
{
    const struct nats_connection_options *connection = options->connection;
    const struct nats_query *query = options->query;
    const struct nats_target *target = options->target;
    *ret_spec = (struct metric_spec){
        .metric_name = text_format("nats-jetstream-%s", query->stream),
        .target = (double)target->lag_threshold,
        .idle_interval_ms =
            connection->monitoring_endpoint == NULL ? IDLE_INTERVAL_MS : MONITORED_IDLE_INTERVAL_MS,
    };
}

/* Unacknowledged messages count: a consumer at work must not be scaled away (keda #3787). */
static bool evaluate(const struct options *options, const struct reading *reading,
                     struct evaluation *ret_evaluation, struct error *error)
{
    const struct nats_target *target = options->target;
    double lag = reading->waiting + reading->in_flight;
    if (isnan(lag))
        return error_unavailable(error,
                                 "the reading lacks the pending or the unacknowledged messages");
    *ret_evaluation = (struct evaluation){
        .value = lag,
        .active = lag > (double)target->activation_lag_threshold,
    };
    return true;
}

/* A monitoring port lists all consumers of the account, and a connection has one. */
static char *bundle(const void *connection_options, const void *query_options)
{
    (void)query_options;
    const struct nats_connection_options *connection = connection_options;
    return connection->monitoring_endpoint == NULL ? NULL : text_copy("account");
}

static unsigned reports(const struct options *options, const char **ret_advice)
{
    (void)options;
    *ret_advice = NULL;
    return READING_WANT_IN_FLIGHT | READING_WANT_RATES;
}

static enum scaler_in_work in_work(const struct options *options)
{
    (void)options;
    return SCALER_IN_WORK_COUNTED;
}

/* Has one of the two. */
struct nats_jetstream_client {
    struct nats_client *nats;
    struct nats_monitoring *monitoring;
};

static bool connect_client(const void *connection_options, int64_t deadline_ms, void **ret_client,
                           struct error *error)
{
    const struct nats_connection_options *options = connection_options;
    struct nats_jetstream_client client = {0};
    if (options->monitoring_endpoint == NULL)
        client.nats = nats_client_connect(options, deadline_ms, error);
    else
        nats_monitoring_connect(options, deadline_ms, &client.monitoring, error);
    if (client.nats == NULL && client.monitoring == NULL)
        return false;
    struct nats_jetstream_client *kept = memory_new(sizeof(*kept));
    *kept = client;
    *ret_client = kept;
    return true;
}

static bool measure(void *opaque, struct feed *feed, struct error *error)
{
    struct nats_jetstream_client *client = opaque;
    return client->nats != NULL ? nats_client_measure(client->nats, feed, error)
                                : nats_monitoring_measure(client->monitoring, feed, error);
}

static void disconnect(void *opaque)
{
    struct nats_jetstream_client *client = opaque;
    if (client->nats != NULL)
        nats_client_disconnect(client->nats);
    if (client->monitoring != NULL)
        nats_monitoring_disconnect(client->monitoring);
    free(client);
}

static void libraries(struct text *text)
{
    text_addf(text, "nats.c %s", nats_GetVersion());
}

static const char differences[] =
    "`servers` uses the client protocol, instead of natsServerMonitoringEndpoint, account, "
    "accountID and useHttps: no monitoring port has to be open, and any node forwards requests to "
    "the consumer's leader.\n"
    "With natsServerMonitoringEndpoint the node that leads the consumer is found as KEDA finds it, "
    "and only its reply counts. KEDA may read a follower, whose count only rises (#3860, #6042).\n"
    "While the consumer is paused (NATS 2.11) its pending messages count 0, as nobody gets them; "
    "KEDA "
    "counts them.\n"
    "Users, tokens, credentials, NKeys and TLS are supported; for a monitoring port TLS with a "
    "private authority or certificate (#6347).\n"
    "lagThreshold must be at least 1 and activationLagThreshold at least 0; KEDA accepts any.\n";

const struct scaler scaler_nats_jetstream = {
    .name = "nats-jetstream",
    .summary = "Pending and unacknowledged messages of a NATS JetStream consumer",
    .differences = differences,
    .options = nats_options,
    .sizes = {sizeof(struct nats_connection_options), sizeof(struct nats_query),
              sizeof(struct nats_target)},
    .check = nats_check_trigger,
    .check_connection = nats_check_connection,
    .reports = reports,
    .in_work = in_work,
    .metric_spec = metric_spec,
    .evaluate = evaluate,
    .bundle = bundle,
    .connect = connect_client,
    .measure = measure,
    .libraries = libraries,
    .disconnect = disconnect,
    .subscribes = true,
    .zero_settles_ms = ZERO_SETTLES_MS,
    .max_tasks = NATS_MAX_TASKS,
    .isolated = NATS_MAX_ISOLATED,
    /* nats.c believes the lengths that a server sends: it allocates them, and some make it crash.
     */
    .in_agent = true,
    .agent_bytes = NATS_AGENT_BYTES,
    .agent_bytes_named = NATS_AGENT_BYTES_NAMED,
};
