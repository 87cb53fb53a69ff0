#include "manifest/measurement/keda_metrics.h"

#include "base/memory.h"
#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char metric[] = "keda_scaler_metrics_value{";

static void metric_done(struct keda_metric *item)
{
    free(item->namespace);
    free(item->name);
}

/* The value of a label behind its opening quote, unescaped; `*at` moves behind its closing one.
 * NULL where there is none. */
static char *read_label(const char **at)
{
    struct text text = {0};
    for (; **at != '"'; (*at)++) {
        if (**at == '\\' && (*at)[1] != '\0')
            (*at)++;
        if (**at == '\0' || **at == '\n') {
            text_done(&text);
            return NULL;
        }
        text_add_bytes(&text, *at, 1);
    }
    (*at)++;
    return text_take(&text);
}

static void take_label(struct keda_metric *item, const char *key, size_t length, char **value,
                       bool *is_composite)
{
    char *end = NULL;
    _cleanup_(memory_free) char *name = text_copy_bytes(key, length);
    if (text_equal(name, "namespace") && item->namespace == NULL)
        item->namespace = *value;
    else if (text_equal(name, "scaledObject") && item->name == NULL)
        item->name = *value;
    else {
        if (text_equal(name, "type"))
            item->is_job = text_equal(*value, "scaledjob");
        if (text_equal(name, "triggerIndex"))
            item->index = strtoul(*value, &end, 10);
        if (text_equal(name, "scaler")) /* of scalingModifiers */
            *is_composite = text_equal(*value, "composite-metric");
        free(*value);
    }
    *value = NULL;
}

/* `line` is behind the opening bracket. */
static bool read_line(const char *line, struct keda_metric *ret)
{
    bool is_composite = false;
    *ret = (struct keda_metric){0};
    while (*line != '}') {
        size_t length = strcspn(line, "=\n");
        if (line[length] != '=' || line[length + 1] != '"')
            return false;
        const char *at = line + length + 2;
        char *value = read_label(&at);
        if (value == NULL)
            return false;
        take_label(ret, line, length, &value, &is_composite);
        line = *at == ',' ? at + 1 : at;
    }
    char *end = NULL;
    ret->value = strtod(line + 1, &end);
    return end != line + 1 && isfinite(ret->value) && !is_composite && ret->namespace != NULL &&
           ret->name != NULL;
}

static int compare(const void *left, const void *right)
{
    const struct keda_metric *one = left, *other = right;
    int order = strcmp(one->namespace, other->namespace);
    if (order == 0)
        order = strcmp(one->name, other->name);
    if (order == 0)
        order = (int)one->is_job - (int)other->is_job;
    return order != 0 ? order : one->index < other->index ? -1 : one->index > other->index;
}

void keda_metrics_parse(const char *page, struct keda_metrics *ret_metrics)
{
    *ret_metrics = (struct keda_metrics){0};
    for (const char *line = page; *line != '\0';) {
        const char *end = line + strcspn(line, "\n");
        struct keda_metric item;
        if (text_starts_with(line, metric)) {
            if (read_line(line + strlen(metric), &item)) {
                ret_metrics->items = memory_grow(ret_metrics->items, &ret_metrics->capacity,
                                                 ret_metrics->count + 1, sizeof(item));
                ret_metrics->items[ret_metrics->count++] = item;
            } else
                metric_done(&item);
        }
        line = *end == '\0' ? end : end + 1;
    }
    if (ret_metrics->count > 0)
        qsort(ret_metrics->items, ret_metrics->count, sizeof(*ret_metrics->items), compare);
}

void keda_metrics_done(struct keda_metrics *metrics)
{
    for (size_t i = 0; i < metrics->count; i++)
        metric_done(&metrics->items[i]);
    free(metrics->items);
    *metrics = (struct keda_metrics){0};
}

const struct keda_metric *keda_metrics_find(const struct keda_metrics *metrics,
                                            const char *namespace, const char *name, bool is_job,
                                            size_t index)
{
    const struct keda_metric key = {(char *)namespace, (char *)name, is_job, index, 0};
    return metrics->count == 0
               ? NULL
               : bsearch(&key, metrics->items, metrics->count, sizeof(*metrics->items), compare);
}
