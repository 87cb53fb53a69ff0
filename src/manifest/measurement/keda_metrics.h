/*
 * What KEDA's operator measured: keda_scaler_metrics_value of its /metrics (KEDA,
 * pkg/metricscollector/prommetrics.go).
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_MANIFEST_MEASUREMENT_KEDA_METRICS_H
#define BACKLOG_MANIFEST_MEASUREMENT_KEDA_METRICS_H

#include <stdbool.h>
#include <stddef.h>

struct keda_metric {
    char *namespace;
    char *name; /* of the ScaledObject or ScaledJob */
    bool is_job;
    size_t index; /* of the trigger */
    double value;
};

struct keda_metrics {
    struct keda_metric *items; /* sorted */
    size_t count, capacity;
};

/* Of a page in Prometheus' text format; other metrics and lines that cannot be read are passed
 * over. */
void keda_metrics_parse(const char *page, struct keda_metrics *ret_metrics);
void keda_metrics_done(struct keda_metrics *metrics);

/* NULL: there is none. */
const struct keda_metric *keda_metrics_find(const struct keda_metrics *metrics,
                                            const char *namespace, const char *name, bool is_job,
                                            size_t index);

#endif
