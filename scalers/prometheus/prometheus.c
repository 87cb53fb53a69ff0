/*
 * prometheus: the result of a PromQL query, from Prometheus or from what speaks its API (Thanos,
 * Mimir, VictoriaMetrics). Identical queries are sent once, where KEDA's built-in sends one per
 * trigger, and twice (keda #2918).
 *
 * Read the folder in this order: options.h, url.h (what is requested), answer.h (from JSON to a
 * reading); kit/http_source.h has the loop.
 */
#include "measure/scaler.h"

#include "base/memory.h"
#include "base/text.h"
#include "kit/auth_modes.h"
#include "kit/http_source.h"
#include "prometheus/answer.h"
#include "prometheus/check.h"
#include "prometheus/options.h"
#include "prometheus/url.h"

#include <math.h>

enum {
    /* Prometheus runs 20 queries at a time by default (--query.max-concurrency), for all its users.
     */
    FEW_QUERIES = 8,
    MOST_QUERIES = 32,
    ISOLATED_SHARE = 4,          /* a quarter of them */
    MAX_BODY_BYTES = 512 * 1024, /* a query returns one series */
    MAX_TREE_BYTES = 8 * MAX_BODY_BYTES,
    TIMEOUT_MS = 10 * 1000,
};

static void metric_spec(const struct options *options, struct metric_spec *ret_spec)
{
    const struct prometheus_target *target = options->target;
    *ret_spec = (struct metric_spec){
        .metric_name = text_copy("prometheus"),
        .target = target->threshold,
        .idle_interval_ms = 0, /* it scrapes only every few seconds itself */
    };
}

static bool evaluate(const struct options *options, const struct reading *reading,
                     struct evaluation *ret_evaluation, struct error *error)
{
    const struct prometheus_target *target = options->target;
    double value = reading->value;
    if (isnan(value) && !target->ignore_null_values)
        return error_unavailable(error, "the query returned no data or NaN, which is an error with "
                                        "ignoreNullValues false");
    if (isnan(value))
        value = 0;
    *ret_evaluation = (struct evaluation){
        .value = value,
        .active = value > target->activation_threshold,
    };
    return true;
}

static unsigned reports(const struct options *options, const char **ret_advice)
{
    const struct prometheus_query *query = options->query;
    *ret_advice = "set inFlightQuery, arrivalQuery or consumptionQuery";
    bool has_rates = query->arrival_query != NULL || query->consumption_query != NULL;
    return (query->in_flight_query != NULL ? READING_WANT_IN_FLIGHT : 0) |
           (has_rates ? READING_WANT_RATES : 0);
}

static void add_headers(const struct prometheus_connection_options *options,
                        struct curl_slist **headers)
{
    for (size_t i = 0; i < options->custom_headers.count; i++) {
        _cleanup_(prometheus_pair_done) struct prometheus_pair pair = {0};
        if (prometheus_pair_split(options->custom_headers.items[i], &pair))
            http_add_header(headers, pair.name, pair.value);
    }
    if (auth_has_mode(&options->auth_modes, "custom"))
        http_add_header(headers, options->custom_auth_header, options->custom_auth_value);
}

static bool log_in(const void *connection, struct http_login *ret_login, struct error *error)
{
    const struct prometheus_connection_options *options = connection;
    bool basic = auth_has_mode(&options->auth_modes, "basic");
    _cleanup_(http_url_done) struct http_url address = {0};
    if (!prometheus_address_parse(options->server_address, &address, error))
        return false;
    ret_login->tls = &options->tls;
    ret_login->timeout_ms = options->timeout_ms;
    ret_login->user = basic ? text_copy(options->username) : TAKE(address.user);
    ret_login->password = basic ? text_copy(options->password) : TAKE(address.password);
    if (auth_has_mode(&options->auth_modes, "bearer"))
        ret_login->bearer = text_copy(options->bearer_token);
    add_headers(options, &ret_login->headers);
    return true;
}

static bool request(const void *connection, const void *query, struct http_request *ret_request,
                    struct error *error)
{
    const struct prometheus_connection_options *options = connection;
    _cleanup_(http_url_done) struct http_url address = {0};
    if (!prometheus_address_parse(options->server_address, &address, error))
        return false;
    ret_request->url = prometheus_query_url(&address, query);
    return true;
}

/* The cheapest query. */
static bool ping(const void *connection, struct http_request *ret_request, struct error *error)
{
    static const struct prometheus_query one = {.query = "1"};
    return request(connection, &one, ret_request, error);
}

static const struct http_source source = {
    .service = "Prometheus",
    .few_gets = FEW_QUERIES,
    .most_gets = MOST_QUERIES,
    .isolated_share = ISOLATED_SHARE,
    .max_body_bytes = MAX_BODY_BYTES,
    .max_tree_bytes = MAX_TREE_BYTES,
    .log_in = log_in,
    .request = request,
    .parse = prometheus_answer_parse,
    .refuse = prometheus_answer_refuse,
    .ping = ping,
};

static bool connect_client(const void *connection_options, int64_t deadline_ms, void **ret_client,
                           struct error *error)
{
    return http_source_connect(&source, connection_options, deadline_ms, ret_client, error);
}

static const char differences[] =
    "Infinity is an error, not 0: what would need endless replicas must not lose its last "
    "one.\n"
    "A value that is null is an error, not 0, and so are a range and an answer without a "
    "result.\n"
    "No data, or 0, about which the server warns (a part of it failed) is an error, not 0.\n"
    "A scalar is a result.\n"
    "`bearer` and `custom` are both sent; `ca` counts without `authModes`; a key that no mode "
    "uses is a mistake.\n"
    "`apiKey`, which the built-in takes and does not apply, is refused, and so are `oauth` and "
    "the keys of AWS, Azure and GCP identities.\n"
    "In `queryParameters` a `time` or `query`, or a `namespace` beside the key `namespace`, is a "
    "mistake; the built-in sends it twice, and the server takes the first.\n"
    "No redirection is followed: it could take credentials elsewhere.\n";

const struct scaler scaler_prometheus = {
    .name = "prometheus",
    .summary = "The result of a Prometheus query",
    .differences = differences,
    .options = prometheus_options,
    .sizes = {sizeof(struct prometheus_connection_options), sizeof(struct prometheus_query),
              sizeof(struct prometheus_target)},
    .check = prometheus_check_trigger,
    .check_connection = prometheus_check_connection,
    .reports = reports,
    .metric_spec = metric_spec,
    .evaluate = evaluate,
    .connect = connect_client,
    .measure = http_source_measure,
    .libraries = http_source_libraries,
    .disconnect = http_source_disconnect,
    .zero_settles_ms = 0, /* while it starts, status 503 */
    .timeout_ms = TIMEOUT_MS,
    .max_tasks = FEW_QUERIES,
    .isolated = FEW_QUERIES / ISOLATED_SHARE,
};
