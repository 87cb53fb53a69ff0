#include "lab/rehearsal_output.h"

#include "base/memory.h"
#include "base/text.h"
#include "cli/console.h"
#include "lab/plot.h"
#include "scale/answer/answer.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The trigger that needs the most replicas, which is the one that the HPA follows. */
static size_t leading_trigger(const struct rehearsal_object *one)
{
    size_t leading = 0;
    double largest = -1;
    for (size_t i = 0; i < one->object->trigger_count; i++) {
        const struct model_answer *answer = &one->answers[i];
        double ratio =
            answer->is_failed || answer->target <= 0 ? -1 : answer->value / answer->target;
        if (ratio > largest) {
            largest = ratio;
            leading = i;
        }
    }
    return leading;
}

/* The replicas by the metrics alone; -1 where they are unknown. */
static int64_t wanted_of(const struct rehearsal_object *one)
{
    const struct model *model = &one->model;
    const struct model_answer *answer = &one->answers[leading_trigger(one)];
    bool within = false;
    if (answer->is_failed || !answer->has_target)
        return -1;
    const struct hpa_metric metric = {
        .type = model->settings.types[leading_trigger(one)],
        .value_milli = answer_milli(answer->value),
        .target_milli = answer_milli(answer->target),
    };
    const struct hpa_replicas replicas = {model->replicas, model->pods, model->ready_pods};
    return metric.target_milli <= 0
               ? -1
               : hpa_metric_replicas(&metric, &model->settings.hpa, &replicas, &within);
}

static const char *error_of(const struct rehearsal_object *one)
{
    for (size_t i = 0; i < one->object->trigger_count; i++)
        if (one->triggers[i].answer.is_failed)
            return error_text(&one->triggers[i].answer.error);
    return NULL;
}

/* The HPA rests without replicas; and that KEDA finds it active is nothing new. */
static char *why_of(const struct rehearsal_object *one)
{
    if (one->model.replicas == 0 || one->hpa_text[0] == '\0')
        return text_copy(one->keda_text);
    if (one->keda_text[0] == '\0' || one->keda_reason == MODEL_ACTIVE ||
        one->keda_reason == MODEL_ACTIVATED || one->keda_reason == MODEL_PUSHED)
        return text_copy(one->hpa_text);
    return text_format("%s; %s", one->keda_text, one->hpa_text);
}

/* ---- JSON lines ---- */

static void print_json(json_t *object)
{
    console_print_json(object);
    fflush(stdout);
}

static void print_line_json(const struct rehearsal *rehearsal, const struct rehearsal_object *one,
                            const char *why, int64_t now_ms)
{
    const struct model_answer *answer = &one->answers[leading_trigger(one)];
    double in_flight = one->triggers[leading_trigger(one)].in_flight;
    int64_t wanted = wanted_of(one);
    json_t *line =
        json_pack("{s:s, s:f, s:s, s:I, s:I, s:s, s:s?}", "type", "state", "time",
                  rehearsal_time_s(rehearsal, now_ms), "object", one->label, "replicas",
                  (json_int_t)one->model.replicas, "ready",
                  (json_int_t)rehearsal_ready(one, now_ms), "why", why, "error", error_of(one));
    json_object_set_new(line, "value", answer->is_failed ? json_null() : json_real(answer->value));
    json_object_set_new(line, "inFlight", isnan(in_flight) ? json_null() : json_real(in_flight));
    json_object_set_new(line, "target",
                        answer->has_target ? json_real(answer->target) : json_null());
    json_object_set_new(line, "active",
                        answer->is_failed ? json_null() : json_boolean(answer->is_active));
    json_object_set_new(line, "wanted", wanted < 0 ? json_null() : json_integer(wanted));
    print_json(line);
}

/* ---- lines for people ---- */

static int label_width(const struct rehearsal *rehearsal)
{
    size_t width = 0;
    for (size_t i = 0; rehearsal->count > 1 && i < rehearsal->count; i++) {
        size_t length = text_cut(rehearsal->items[i].label, 40);
        width = length > width ? length : width;
    }
    return (int)width;
}

/* "1:05", and the name of the object where there are several. */
static void print_start(const struct rehearsal *rehearsal, const struct rehearsal_object *one,
                        int64_t now_ms)
{
    double seconds = rehearsal_time_s(rehearsal, now_ms);
    int width = label_width(rehearsal);
    printf("%4d:%04.1f  ", (int)seconds / 60, fmod(seconds, 60));
    if (width > 0)
        printf("%-*.*s  ", width, width, one->label);
}

void rehearsal_print_head(const struct rehearsal *rehearsal)
{
    int width = label_width(rehearsal);
    if (rehearsal->settings->is_json)
        return;
    printf("%9s  ", "time");
    if (width > 0)
        printf("%-*s  ", width, "object");
    printf("%10s  %9s  %6s  %9s  %s\n", "value", "in flight", "wanted",
           rehearsal->settings->worker == NULL ? "replicas" : "ready/all", "why");
}

void rehearsal_print_change(const struct rehearsal *rehearsal, const struct rehearsal_object *one,
                            const struct model_decision *decision, const char *why, int64_t now_ms)
{
    if (rehearsal->settings->is_json) {
        print_json(json_pack("{s:s, s:f, s:s, s:I, s:I, s:s}", "type", "change", "time",
                             rehearsal_time_s(rehearsal, now_ms), "object", one->label, "from",
                             (json_int_t)decision->before, "to", (json_int_t)decision->replicas,
                             "why", why));
        return;
    }
    print_start(rehearsal, one, now_ms);
    printf("%lld -> %lld replicas (%s)\n", (long long)decision->before,
           (long long)decision->replicas, why);
    fflush(stdout);
}

void rehearsal_print_push(const struct rehearsal *rehearsal, const struct rehearsal_object *one,
                          int64_t now_ms)
{
    if (rehearsal->settings->is_json)
        print_json(json_pack("{s:s, s:f, s:s}", "type", "push", "time",
                             rehearsal_time_s(rehearsal, now_ms), "object", one->label));
}

void rehearsal_print_line(const struct rehearsal *rehearsal, const struct rehearsal_object *one,
                          int64_t now_ms)
{
    char value[32] = "?", in_flight[32] = "-", wanted[32] = "?", replicas[48];
    size_t leading = leading_trigger(one);
    const struct model_answer *answer = &one->answers[leading];
    const char *error = error_of(one);
    _cleanup_(memory_free) char *why = why_of(one);
    if (rehearsal->settings->is_json) {
        print_line_json(rehearsal, one, why, now_ms);
        return;
    }
    if (!answer->is_failed)
        snprintf(value, sizeof(value), "%.10g", answer->value);
    if (!isnan(one->triggers[leading].in_flight))
        snprintf(in_flight, sizeof(in_flight), "%.10g", one->triggers[leading].in_flight);
    if (wanted_of(one) >= 0)
        snprintf(wanted, sizeof(wanted), "%lld", (long long)wanted_of(one));
    if (one->workers == NULL)
        snprintf(replicas, sizeof(replicas), "%lld", (long long)one->model.replicas);
    else
        snprintf(replicas, sizeof(replicas), "%lld/%lld", (long long)rehearsal_ready(one, now_ms),
                 (long long)one->model.replicas);
    print_start(rehearsal, one, now_ms);
    printf("%10s  %9s  %6s  %9s  %s%s%s\n", value, in_flight, wanted, replicas, why,
           error == NULL || why[0] == '\0' ? "" : "; ", error == NULL ? "" : error);
    fflush(stdout);
}

/* ---- the end ---- */

static void print_summary_json(const struct rehearsal *rehearsal,
                               const struct rehearsal_object *one, int64_t now_ms)
{
    const struct rehearsal_summary *summary = &one->summary;
    print_json(json_pack(
        "{s:s, s:f, s:s, s:f, s:I, s:I, s:I, s:f, s:I, s:I, s:I, s:I}", "type", "summary", "time",
        rehearsal_time_s(rehearsal, now_ms), "object", one->label, "replicaHours",
        summary->replica_seconds / 3600, "changes", (json_int_t)summary->changes, "minReplicas",
        (json_int_t)summary->min_replicas, "maxReplicas", (json_int_t)summary->max_replicas,
        "activeWithoutReplicaSeconds", summary->without_replica_s, "pushes",
        (json_int_t)summary->pushes, "readings", (json_int_t)summary->answers, "failedReadings",
        (json_int_t)summary->failed_answers, "crashes",
        (json_int_t)(one->workers == NULL ? 0 : worker_group_crashes(one->workers))));
}

static void print_summary_text(const struct rehearsal *rehearsal,
                               const struct rehearsal_object *one, int64_t now_ms)
{
    const struct rehearsal_summary *summary = &one->summary;
    printf("%s: %.0f s: %lld change%s between %lld and %lld replicas, %.3f replica-hours, "
           "%.0f s active without a replica, %lld push%s, %lld of %lld readings failed",
           one->label, rehearsal_time_s(rehearsal, now_ms), (long long)summary->changes,
           summary->changes == 1 ? "" : "s", (long long)summary->min_replicas,
           (long long)summary->max_replicas, summary->replica_seconds / 3600,
           summary->without_replica_s, (long long)summary->pushes, summary->pushes == 1 ? "" : "es",
           (long long)summary->failed_answers, (long long)summary->answers);
    if (one->workers != NULL)
        printf(", %lld worker%s ended by %s", (long long)worker_group_crashes(one->workers),
               worker_group_crashes(one->workers) == 1 ? "" : "s",
               worker_group_crashes(one->workers) == 1 ? "itself" : "themselves");
    printf("\n");
}

void rehearsal_print_summary(const struct rehearsal *rehearsal, int64_t now_ms)
{
    if (!rehearsal->settings->is_json)
        printf("\n");
    for (size_t i = 0; i < rehearsal->count; i++)
        if (rehearsal->settings->is_json)
            print_summary_json(rehearsal, &rehearsal->items[i], now_ms);
        else
            print_summary_text(rehearsal, &rehearsal->items[i], now_ms);
}

/* A series per trigger; the name has the metric where the object has several. */
static void add_triggers(const struct rehearsal_object *one, struct plot_panel *values,
                         struct plot_panel *in_flights)
{
    for (size_t i = 0; i < one->object->trigger_count && values->series_count < PLOT_MAX_SERIES;
         i++) {
        const struct rehearsal_trigger *trigger = &one->triggers[i];
        const char *name = one->object->trigger_count == 1 || trigger->answer.metric_name == NULL
                               ? one->label
                               : trigger->answer.metric_name;
        values->series[values->series_count++] = (struct plot_series){name, trigger->values};
        in_flights->series[in_flights->series_count++] =
            (struct plot_series){name, trigger->in_flights};
    }
}

bool rehearsal_plot(const struct rehearsal *rehearsal, const char *path, struct error *error)
{
    struct plot_panel panels[] = {
        {.title = "value"}, {.title = "replicas"}, {.title = "in flight"}};
    for (size_t i = 0; i < rehearsal->count && i < PLOT_MAX_SERIES; i++) {
        const struct rehearsal_object *one = &rehearsal->items[i];
        add_triggers(one, &panels[0], &panels[2]);
        panels[1].series[panels[1].series_count++] =
            (struct plot_series){one->label, one->replica_counts};
    }
    const struct plot plot = {
        .title = "backlog rehearse",
        .values = rehearsal->items[0].lines,
        .value_seconds = rehearsal->settings->speed, /* a line is a second of the real time */
        .panels = panels,
        .panel_count = rehearsal->settings->in_flight == NULL ? 2 : 3,
    };
    return plot_write(&plot, path, error);
}
