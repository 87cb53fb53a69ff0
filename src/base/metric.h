/*
 * Metrics in Prometheus' text format
 * (https://prometheus.io/docs/instrumenting/exposition_formats/).
 *
 * Each part of the program writes its own families onto the page. Labels are ours (a method, a
 * scaler, a limit), or the administrator's (a connection of the connections file). What a user can
 * name could grow without bound, so it is a label only where there is a limit
 * (--metrics-per-trigger).
 *
 * Threads: whoever has the text.
 */
#ifndef BACKLOG_BASE_METRIC_H
#define BACKLOG_BASE_METRIC_H

#include "base/text.h"

#include <stdint.h>

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* Comes before the family's samples. */
void metric_family(struct text *page, const char *name, enum metric_type type, const char *help);

/* `labels` as in  method="GetMetrics",code="OK"  or NULL. */
void metric_sample(struct text *page, const char *name, const char *labels, double value);

/* Adds  name="value"  to labels, with what the format wants escaped. */
void metric_add_label(struct text *labels, const char *name, const char *value);

/* A family of one sample. */
void metric_single(struct text *page, const char *name, enum metric_type type, const char *help,
                   double value);

/* Durations from a tenth of a millisecond to ten seconds. Start from {0}; guarded by whoever has
 * it. */
enum { HISTOGRAM_BUCKETS = 11 };

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS + 1]; /* the last: above all bounds */
    double sum;                             /* seconds */
};

void histogram_add(struct histogram *histogram, double seconds);
void histogram_join(struct histogram *histogram, const struct histogram *other);
void metric_histogram(struct text *page, const char *name, const char *labels,
                      const struct histogram *histogram);

#endif
