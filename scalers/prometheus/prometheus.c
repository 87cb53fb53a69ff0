/*
 * prometheus: the number that a PromQL query answers, from Prometheus or from what speaks its API
 * (Thanos, Mimir, VictoriaMetrics). Equal queries are asked once, where KEDA's built-in asks for each
 * trigger, and twice (keda #2918).
 */
#include "prometheus/options.h"

#include "base/text.h"
#include "measure/scaler.h"
#include "prometheus/client.h"
#include "prometheus/measure.h"

#include <math.h>

static void plan(const struct options *options, struct plan *ret_plan)
{
    const struct prometheus_target *target = options->target;
    *ret_plan = (struct plan){
        .metric_name = text_copy("prometheus"),
        .target = target->threshold,
        .idle_interval_ms =
            0, /* it scrapes every few seconds itself: asking oftener tells no more */
    };
}

static bool judge(const struct options *options, const struct reading *reading,
                  struct judgement *ret_judgement, struct error *error)
{
    const struct prometheus_target *target = options->target;
    double value = reading->value;
    if (isnan(value) && !target->ignore_null_values)
        return error_unavailable(error, "the query answered no data or NaN, which is an error with "
                                        "ignoreNullValues false");
    if (isnan(value))
        value = 0;
    *ret_judgement = (struct judgement){
        .value = value,
        .active = value > target->activation_threshold,
    };
    return true;
}

static const char differences[] =
    "Infinity is an error, not 0: what would need endless replicas must not lose its last "
    "one.\n"
    "A value that is null is an error, not 0, and so are a range and an answer without a "
    "result.\n"
    "No data about which the server warns (a part of it failed) is an error, not 0.\n"
    "A scalar is an answer.\n"
    "`bearer` and `custom` are both sent; `ca` counts without `authModes`; a key that no mode "
    "uses is a mistake.\n"
    "`apiKey`, which the built-in takes and does not apply, is refused, and so are `oauth` and "
    "the keys of AWS, Azure and GCP identities.\n"
    "No redirection is followed: it could take credentials elsewhere.\n";

const struct scaler scaler_prometheus = {
    .name = "prometheus",
    .summary = "The number that a Prometheus query answers",
    .differences = differences,
    .options = prometheus_options,
    .sizes = {sizeof(struct prometheus_connection), sizeof(struct prometheus_query),
              sizeof(struct prometheus_target)},
    .check = prometheus_options_check,
    .check_connection = prometheus_connection_check,
    .plan = plan,
    .judge = judge,
    .connect = prometheus_client_connect,
    .measure = prometheus_measure,
    .disconnect = prometheus_client_disconnect,
};
