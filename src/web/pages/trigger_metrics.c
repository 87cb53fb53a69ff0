#include "web/pages/trigger_metrics.h"

#include "base/hash_table.h"
#include "base/memory.h"
#include "base/metric.h"
#include "scale/trigger/trigger_objects.h"
#include "web/content/trigger_fields.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_METRIC_NAME_BYTES = 300 };

/* One trigger, copied under the turn lock. */
struct sample {
    char *labels;
    struct trigger_figures figures;
    bool is_left_out;
    UT_hash_handle hh;
};

struct samples {
    struct sample *samples;
    size_t count;
    size_t capacity;
    size_t max;
    size_t omitted;
};

static char *labels_of(const struct trigger *trigger)
{
    struct text labels = {0};
    const char *scaler = trigger_scaler_name(trigger);
    metric_add_label(&labels, "namespace", trigger->namespace);
    metric_add_label(&labels, "name", trigger->name);
    metric_add_label(&labels, "scaler", scaler == NULL ? "" : scaler);
    _cleanup_(memory_free) char *metric = text_copy_bytes(
        trigger->parsed.metric_name, text_cut(trigger->parsed.metric_name, MAX_METRIC_NAME_BYTES));
    metric_add_label(&labels, "metric", metric);
    return text_take(&labels);
}

static void add_sample(struct samples *all, const struct trigger *trigger, int64_t now_ms)
{
    all->samples = memory_grow(all->samples, &all->capacity, all->count + 1, sizeof(*all->samples));
    struct sample *sample = &all->samples[all->count++];
    _cleanup_(trigger_report_done) struct trigger_report report;
    trigger_report(trigger, now_ms, &report);
    trigger_figures(trigger, &report, &sample->figures);
    sample->labels = labels_of(trigger);
}

/* The triggers that came first have a place; superseded ones need none. */
static void visit_for_metrics(void *context, struct trigger *trigger, int64_t now_ms)
{
    struct samples *all = context;
    if (trigger_objects_superseded(trigger, now_ms))
        return;
    if (all->count < all->max)
        add_sample(all, trigger, now_ms);
    else
        all->omitted++;
}

/* Leaves out triggers with the labels of another one: two triggers of one object may have the same
 * metric name, and Prometheus refuses a page that has a series twice. */
static void leave_out(struct samples *all)
{
    struct sample *series = NULL;
    for (size_t i = 0; i < all->count; i++) {
        struct sample *sample = &all->samples[i];
        struct sample *other;
        HASH_FIND_STR(series, sample->labels, other);
        if (other == NULL)
            HASH_ADD_KEYPTR(hh, series, sample->labels, strlen(sample->labels), sample);
        sample->is_left_out = other != NULL;
        all->omitted += other != NULL;
    }
    HASH_CLEAR(hh, series);
}

static void free_samples(struct samples *all)
{
    for (size_t i = 0; i < all->count; i++)
        free(all->samples[i].labels);
    free(all->samples);
}

/* A figure that is not known is left out: a trigger without a value still has its target. */
static void write_family(const struct samples *all, const struct trigger_field *field,
                         struct text *page)
{
    metric_family(page, field->metric, METRIC_GAUGE, field->help);
    for (size_t i = 0; i < all->count; i++) {
        const struct sample *sample = &all->samples[i];
        double value = trigger_field_number(field, &sample->figures);
        if (!sample->is_left_out && !isnan(value))
            metric_sample(page, field->metric, sample->labels, value);
    }
}

bool trigger_metrics_write(struct trigger_metrics *metrics, struct text *page)
{
    if (metrics->max == 0)
        return true;
    _cleanup_(free_samples) struct samples all = {.max = metrics->max};
    if (!trigger_walk_all(metrics->walk, visit_for_metrics, &all))
        return false;
    leave_out(&all);
    metrics->omitted += all.omitted;
    TRIGGER_FIELD_FOREACH(field, VIEW_METRICS)
        write_family(&all, field, page);
    metric_single(page, "backlog_trigger_metrics_omitted_total", METRIC_COUNTER,
                  "Triggers that were left out of a page, because --metrics-per-trigger is reached "
                  "or another one has the same labels.",
                  (double)metrics->omitted);
    return true;
}
