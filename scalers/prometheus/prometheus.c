/*
 * prometheus: the result of a PromQL query, from Prometheus or from what speaks its API (Thanos,
 * Mimir, VictoriaMetrics). Identical queries are sent once, where KEDA's built-in sends one per
 * trigger, and twice (keda #2918).
 *
 * Read the folder in this order: options.h, url.h (what is requested), client.h (one server),
 * measure.h (the loop), answer.h (from JSON to a reading).
 */
#include "measure/scaler.h"

#include "base/text.h"
#include "prometheus/check.h"
#include "prometheus/client.h"
#include "prometheus/measure.h"
#include "prometheus/options.h"

#include <curl/curl.h>
#include <math.h>

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

static void libraries(struct text *text)
{
    text_addf(text, "libcurl %s", curl_version_info(CURLVERSION_NOW)->version);
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
    .connect = prometheus_client_connect,
    .measure = prometheus_measure,
    .libraries = libraries,
    .disconnect = prometheus_client_disconnect,
    .zero_settles_ms = 0, /* while it starts, status 503 */
    .timeout_ms = PROMETHEUS_TIMEOUT_MS,
    .max_tasks = PROMETHEUS_DEFAULT_TASKS,
    .isolated = PROMETHEUS_DEFAULT_TASKS / PROMETHEUS_ISOLATED_SHARE,
};
