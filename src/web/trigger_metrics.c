#include "web/trigger_metrics.h"

#include "base/memory.h"
#include "base/metric.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

/* One trigger, copied under the turn lock. */
struct sample {
    char *labels;
    struct trigger_calls calls;
    struct object *object;
    double value; /* NAN: it was answered with an error, or nothing yet */
    double active;
    double target;
    double age_seconds;
    bool is_left_out;
    UT_hash_handle hh;
};

/* A ScaledObject, and the calls for all its triggers. */
struct object {
    char *name;
    struct trigger_calls calls;
    UT_hash_handle hh;
};

struct samples {
    struct sample *samples;
    size_t count;
    size_t capacity;
    size_t max;
    size_t omitted;
    struct object *objects;
};

static struct object *object_of(struct samples *all, const struct trigger *trigger)
{
    _cleanup_(memory_free) char *name = text_format("%s/%s", trigger->namespace, trigger->name);
    struct object *object;
    HASH_FIND_STR(all->objects, name, object);
    if (object != NULL)
        return object;
    object = memory_new(sizeof(*object));
    object->name = TAKE(name);
    object->calls = (struct trigger_calls){INT64_MIN, INT64_MIN};
    HASH_ADD_KEYPTR(hh, all->objects, object->name, strlen(object->name), object);
    return object;
}

static char *labels_of(const struct trigger *trigger)
{
    struct text labels = {0};
    metric_add_label(&labels, "namespace", trigger->namespace);
    metric_add_label(&labels, "name", trigger->name);
    metric_add_label(&labels, "scaler", trigger->scaler == NULL ? "" : trigger->scaler->name);
    metric_add_label(&labels, "metric", trigger->metric_name);
    return text_take(&labels);
}

static void add_sample(struct samples *all, const struct trigger *trigger, int64_t now_ms)
{
    all->samples = memory_grow(all->samples, &all->capacity, all->count + 1, sizeof(*all->samples));
    struct sample *sample = &all->samples[all->count++];
    const struct last_answer *last = &trigger->last_answer;
    bool is_value = last->call != NULL && last->answer.kind == ANSWER_VALUE;
    *sample = (struct sample){
        .labels = labels_of(trigger),
        .calls = trigger_calls(trigger),
        .object = object_of(all, trigger),
        .value = is_value ? last->answer.value : NAN,
        .active = is_value ? (double)last->answer.active : NAN,
        .target = trigger->target,
        .age_seconds = (double)(now_ms - last->at_ms + last->answer.age_ms) / 1000,
    };
    trigger_calls_join(&sample->object->calls, &sample->calls);
}

/* Those that came first have a place. */
static enum walk_step visit(void *context, struct trigger *trigger, int64_t now_ms)
{
    struct samples *all = context;
    if (all->count < all->max)
        add_sample(all, trigger, now_ms);
    else
        all->omitted++;
    return WALK_ON;
}

/* Two triggers of one object may have the same name; and there may be former metadata. Prometheus refuses a page on
 * which a series is twice. */
static void leave_out(struct samples *all)
{
    struct sample *series = NULL;
    for (size_t i = 0; i < all->count; i++) {
        struct sample *sample = &all->samples[i];
        struct sample *other;
        sample->is_left_out = trigger_calls_are_superseded(&sample->calls, &sample->object->calls);
        if (sample->is_left_out)
            continue;
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
    struct object *object;
    struct object *next;
    for (size_t i = 0; i < all->count; i++)
        free(all->samples[i].labels);
    free(all->samples);
    HASH_ITER(hh, all->objects, object, next)
    {
        HASH_DELETE(hh, all->objects, object);
        free(object->name);
        free(object);
    }
}

static const struct {
    const char *name;
    const char *help;
    size_t offset; /* in struct sample */
} families[] = {
    {"backlog_trigger_value", "The trigger's value in its last answer.",
     offsetof(struct sample, value)},
    {"backlog_trigger_target", "The trigger's target per replica.",
     offsetof(struct sample, target)},
    {"backlog_trigger_active", "1: the trigger was active in its last answer.",
     offsetof(struct sample, active)},
    {"backlog_trigger_reading_age_seconds", "Age of the reading behind the trigger's last value.",
     offsetof(struct sample, age_seconds)},
};

/* What is unknown is left out; a trigger without a value still has its target. */
static void write_family(const struct samples *all, size_t family, struct text *page)
{
    bool is_target = families[family].offset == offsetof(struct sample, target);
    metric_family(page, families[family].name, METRIC_GAUGE, families[family].help);
    for (size_t i = 0; i < all->count; i++) {
        const struct sample *sample = &all->samples[i];
        const char *at = (const char *)sample + families[family].offset;
        if (!sample->is_left_out && (is_target || !isnan(sample->value)))
            metric_sample(page, families[family].name, sample->labels, *(const double *)at);
    }
}

bool trigger_metrics_write(struct trigger_metrics *metrics, struct text *page)
{
    if (metrics->max == 0)
        return true;
    _cleanup_(free_samples) struct samples all = {.max = metrics->max};
    if (!walk(metrics->source, visit, &all))
        return false;
    leave_out(&all);
    metrics->omitted += all.omitted;
    for (size_t i = 0; i < ARRAY_LENGTH(families); i++)
        write_family(&all, i, page);
    metric_single(page, "backlog_trigger_metrics_omitted_total", METRIC_COUNTER,
                  "Triggers that were left out of a page, because --metrics-per-trigger is reached "
                  "or another one has the same labels.",
                  (double)metrics->omitted);
    return true;
}
