#include "base/metric.h"

#include "base/memory.h"

#include <math.h>
#include <stdio.h>

static const double bounds[HISTOGRAM_BUCKETS] = {0.0001, 0.0005, 0.001, 0.0025, 0.01, 0.025,
                                                 0.1,    0.25,   1,     2.5,    10};

void metric_family(struct text *page, const char *name, enum metric_type type, const char *help)
{
    static const char *const types[] = {
        [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};
    text_addf(page, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, types[type]);
}

static void add_sample(struct text *page, const char *name, const char *suffix, const char *labels,
                       double value)
{
    bool has_labels = labels != NULL && labels[0] != '\0';
    text_addf(page, "%s%s%s%s%s ", name, suffix, has_labels ? "{" : "", has_labels ? labels : "",
              has_labels ? "}" : "");
    if (isnan(value))
        text_add(page, "NaN\n");
    else
        text_addf(page, "%.15g\n", value);
}

void metric_sample(struct text *page, const char *name, const char *labels, double value)
{
    add_sample(page, name, "", labels, value);
}

void metric_add_label(struct text *labels, const char *name, const char *value)
{
    text_addf(labels, "%s%s=\"", labels->length == 0 ? "" : ",", name);
    for (; *value != '\0'; value++)
        if (*value == '\n')
            text_add(labels, "\\n");
        else
            text_addf(labels, "%s%c", *value == '"' || *value == '\\' ? "\\" : "", *value);
    text_add(labels, "\"");
}

void metric_single(struct text *page, const char *name, enum metric_type type, const char *help,
                   double value)
{
    metric_family(page, name, type, help);
    metric_sample(page, name, NULL, value);
}

void histogram_add(struct histogram *histogram, double seconds)
{
    size_t bucket = 0;
    while (bucket < HISTOGRAM_BUCKETS && seconds > bounds[bucket])
        bucket++;
    histogram->counts[bucket]++;
    histogram->sum += seconds;
}

void histogram_join(struct histogram *histogram, const struct histogram *other)
{
    for (size_t i = 0; i < ARRAY_LENGTH(histogram->counts); i++)
        histogram->counts[i] += other->counts[i];
    histogram->sum += other->sum;
}

void metric_histogram(struct text *page, const char *name, const char *labels,
                      const struct histogram *histogram)
{
    const char *comma = labels == NULL || labels[0] == '\0' ? "" : ",";
    const char *own = labels == NULL ? "" : labels;
    uint64_t count = 0;
    for (size_t i = 0; i <= HISTOGRAM_BUCKETS; i++) {
        char bound[32] = "+Inf";
        if (i < HISTOGRAM_BUCKETS)
            snprintf(bound, sizeof(bound), "%g", bounds[i]);
        _cleanup_(memory_free) char *all = text_format("%s%sle=\"%s\"", own, comma, bound);
        count += histogram->counts[i];
        add_sample(page, name, "_bucket", all, (double)count);
    }
    add_sample(page, name, "_sum", labels, histogram->sum);
    add_sample(page, name, "_count", labels, (double)count);
}
