#include "daemon/informer_metrics.h"

#include "base/metric.h"

void informer_metrics_write(struct informer *informer, struct text *page)
{
    struct informer_stats stats;
    if (informer == NULL)
        return;
    informer_stats(informer, &stats);
    metric_single(page, "backlog_kubernetes_objects", METRIC_GAUGE,
                  "Objects of the Kubernetes API that triggers need.", (double)stats.objects);
    metric_single(page, "backlog_kubernetes_failing_objects", METRIC_GAUGE,
                  "Of them, those that could not be read last; what was read stays in use.",
                  (double)stats.failing);
    metric_single(page, "backlog_kubernetes_watches", METRIC_GAUGE,
                  "Watches of the Kubernetes API, of which each notices changes at once.",
                  (double)stats.watches);
    metric_single(page, "backlog_kubernetes_live_watches", METRIC_GAUGE,
                  "Of them, those that work; objects of the others are read at intervals.",
                  (double)stats.live_watches);
    metric_single(page, "backlog_kubernetes_requests_total", METRIC_COUNTER,
                  "Requests to the Kubernetes API for triggers.", (double)stats.requests);
    metric_single(page, "backlog_kubernetes_failed_requests_total", METRIC_COUNTER,
                  "Of them, those that failed.", (double)stats.failures);
}

void informer_metrics_write_lines(struct informer *informer, struct text *page)
{
    struct informer_stats stats;
    if (informer == NULL)
        return;
    informer_stats(informer, &stats);
    if (stats.failing > 0)
        text_addf(page, "[-]%zu of %zu objects of the Kubernetes API cannot be read: %s\n",
                  stats.failing, stats.objects, stats.failure);
}
