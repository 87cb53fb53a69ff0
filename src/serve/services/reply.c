#include "serve/services/reply.h"

#include "externalscaler.pb-c.h"
#include "serve/services/message.h"

#include <math.h>

static int64_t rounded_up(double value)
{
    return value >= (double)INT64_MAX ? INT64_MAX : (int64_t)ceil(value);
}

void reply_specs(struct call *call, const char *metric_name, double target)
{
    Externalscaler__MetricSpec spec = EXTERNALSCALER__METRIC_SPEC__INIT;
    Externalscaler__MetricSpec *specs[] = {&spec};
    Externalscaler__GetMetricSpecResponse response = EXTERNALSCALER__GET_METRIC_SPEC_RESPONSE__INIT;
    spec.metricname = (char *)metric_name;
    spec.targetsizefloat = target;
    spec.targetsize = rounded_up(target);
    response.metricspecs = specs;
    response.n_metricspecs = 1;
    message_send(call, &response.base);
}

void reply_metrics(struct call *call, const char *metric_name, double value)
{
    Externalscaler__MetricValue metric = EXTERNALSCALER__METRIC_VALUE__INIT;
    Externalscaler__MetricValue *metrics[] = {&metric};
    Externalscaler__GetMetricsResponse response = EXTERNALSCALER__GET_METRICS_RESPONSE__INIT;
    metric.metricname = (char *)metric_name;
    metric.metricvaluefloat = value;
    metric.metricvalue = rounded_up(value);
    response.metricvalues = metrics;
    response.n_metricvalues = 1;
    message_send(call, &response.base);
}

bool reply_active(struct call *call, bool active)
{
    Externalscaler__IsActiveResponse response = EXTERNALSCALER__IS_ACTIVE_RESPONSE__INIT;
    response.result = active;
    return message_send(call, &response.base);
}

enum status reply_status(enum error_code code)
{
    switch (code) {
    case ERROR_NONE:
        return STATUS_OK;
    case ERROR_INVALID:
        return STATUS_INVALID_ARGUMENT;
    case ERROR_DENIED:
        return STATUS_PERMISSION_DENIED;
    case ERROR_LIMIT:
        return STATUS_RESOURCE_EXHAUSTED;
    case ERROR_UNAVAILABLE:
    case ERROR_COSTLY:
    case ERROR_NOT_STARTED:
        return STATUS_UNAVAILABLE;
    case ERROR_INTERNAL:
    case ERROR_CANCELLED: /* no call gets it */
        return STATUS_INTERNAL;
    }
    return STATUS_INTERNAL;
}
