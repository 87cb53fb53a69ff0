#include "cli/subcommands.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/flags.h"
#include "cli/operands.h"
#include "cli/plot.h"
#include "cli/simulate_settings.h"
#include "scale/simulation.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static const char about[] =
    "Usage: backlog simulate TRACE.csv --rate NUMBER [--FLAG VALUE ...]\n\n"
    "What KEDA and the HPA would do with a trace of work (time,arrivals per second), for one or\n"
    "several settings side by side: what it costs, how long work waits, how often it changes.";

struct simulate_flags {
    const char *file;
    const char *set;
    double rate;
    int64_t startup_ms;
    double prefetch;
    bool counts_in_flight;
    double noise;
    int64_t seed;
    int64_t objective_ms;
    int64_t sync_ms;
    int64_t sync_offset_ms;
    const char *plot;
    int output;
};

enum output { OUTPUT_TEXT, OUTPUT_JSON };
static const char *const outputs[] = {"text", "json", NULL};

#define FLAG(name, kind, field, standard, ...)                                                     \
    {.key = (name),                                                                                \
     .type = (kind),                                                                               \
     .offset = offsetof(struct simulate_flags, field),                                             \
     .default_value = (standard),                                                                  \
     __VA_ARGS__}

static const struct option table[] = {
    FLAG("rate", OPTION_FLOAT, rate, NULL, .limits = {1e-6, 1e9},
         .doc = "work that one replica does per second; needed"),
    FLAG("file", OPTION_STRING, file, NULL, .doc = "ScaledObjects to compare (YAML); also -f"),
    FLAG("set", OPTION_STRING, set, NULL,
         .doc = "settings to compare, such as \"threshold=600; threshold=100\""),
    FLAG("startup", OPTION_DURATION, startup_ms, "10s", .limits = {0, 3600 * 1000.0},
         .doc = "from the start of a replica until it works"),
    FLAG("prefetch", OPTION_FLOAT, prefetch, "0", .limits = {0, 1e9},
         .doc = "messages that a replica takes in advance; they are in flight, not waiting"),
    FLAG("count-in-flight", OPTION_BOOL, counts_in_flight, "false",
         .doc = "the metric has what is in flight, too"),
    FLAG("noise", OPTION_FLOAT, noise, "0", .limits = {0, 10},
         .doc = "standard deviation of arrivals and of the rate, as a share of them"),
    FLAG("seed", OPTION_INT, seed, "1", .limits = {0, 1e15}, .doc = "of the noise"),
    FLAG("objective", OPTION_DURATION, objective_ms, "60s", .limits = {0, 24 * 3600 * 1000.0},
         .doc = "nobody should wait longer"),
    FLAG("sync-period", OPTION_DURATION, sync_ms, "15s", .limits = {1000, 3600 * 1000.0},
         .doc = "of the HPA"),
    FLAG("sync-offset", OPTION_DURATION, sync_offset_ms, "0s", .limits = {0, 3600 * 1000.0},
         .doc = "of the HPA's first sync behind KEDA's first poll"),
    FLAG("plot", OPTION_STRING, plot, NULL, .doc = "SVG file to write"),
    FLAG("output", OPTION_CHOICE, output, "text", .choices = outputs, .doc = "of the results"),
    {0},
};

struct results {
    const char *path; /* of the trace */
    const struct trace *trace;
    const struct simulate_flags *flags;
    const struct simulate_settings *settings;
    struct simulation *simulations; /* one for each setting */
    double elapsed_ms;
};

static struct simulation_settings common_settings(const struct simulate_flags *flags)
{
    struct simulation_settings settings = {
        .model = model_default_settings(),
        .is_push = true,
        .counts_in_flight = flags->counts_in_flight,
        .sync_offset_s = flags->sync_offset_ms / 1000,
        .objective_s = flags->objective_ms / 1000,
        .workers = {.rate = flags->rate,
                    .startup_s = (flags->startup_ms + 999) / 1000,
                    .prefetch = flags->prefetch,
                    .noise = flags->noise,
                    .seed = (uint64_t)flags->seed},
    };
    settings.model.sync_ms = flags->sync_ms;
    return settings;
}

/* ---- text ---- */

static void print_text(const struct results *results)
{
    int width = (int)sizeof("setting");
    for (size_t i = 0; i < results->settings->count; i++) {
        int length = (int)text_cut(results->settings->items[i].name, 60);
        width = length > width ? length : width;
    }
    _cleanup_(memory_free) char *over =
        text_format("over %lld s", (long long)(results->flags->objective_ms / 1000));
    printf("%s: %zu s, %.10g arrived\n\n", results->path, results->trace->seconds,
           results->simulations[0].arrived);
    printf("%-*s  %13s  %12s  %9s  %12s  %7s  %12s  %11s\n", width, "setting", "replica-hours",
           "longest wait", "mean wait", over, "changes", "max replicas", "left undone");
    for (size_t i = 0; i < results->settings->count; i++) {
        const struct simulation *one = &results->simulations[i];
        printf("%-*.60s  %13.2f  %10.0f s  %7.1f s  %10lld s  %7lld  %12lld  %11.0f\n", width,
               results->settings->items[i].name, one->replica_hours, one->max_wait_s,
               one->mean_wait_s, (long long)one->seconds_over, (long long)one->changes,
               (long long)one->max_replicas, one->arrived - one->done);
    }
}

/* ---- JSON ---- */

static json_t *result_json(const char *name, const struct simulation *one)
{
    return json_pack("{s:s, s:f, s:f, s:f, s:I, s:I, s:I, s:f, s:f}", "name", name, "replicaHours",
                     one->replica_hours, "longestWaitSeconds", one->max_wait_s, "meanWaitSeconds",
                     one->mean_wait_s, "secondsOverObjective", (json_int_t)one->seconds_over,
                     "changes", (json_int_t)one->changes, "maxReplicas",
                     (json_int_t)one->max_replicas, "arrived", one->arrived, "done", one->done);
}

static void print_json(const struct results *results)
{
    json_t *list = json_array();
    for (size_t i = 0; i < results->settings->count; i++)
        json_array_append_new(
            list, result_json(results->settings->items[i].name, &results->simulations[i]));
    json_t *root = json_pack("{s:s, s:I, s:I, s:f, s:o}", "trace", results->path, "seconds",
                             (json_int_t)results->trace->seconds, "objectiveSeconds",
                             (json_int_t)(results->flags->objective_ms / 1000), "elapsedMs",
                             results->elapsed_ms, "settings", list);
    json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(10));
    printf("\n");
    json_decref(root);
}

/* ---- the plot ---- */

enum panel { PANEL_ARRIVALS, PANEL_WAITING, PANEL_WAIT, PANEL_REPLICAS, PANELS };

static double panel_value(const struct simulation_sample *sample, enum panel panel)
{
    switch (panel) {
    case PANEL_ARRIVALS:
        return sample->arrivals;
    case PANEL_WAITING:
        return sample->waiting + sample->in_flight;
    case PANEL_WAIT:
        return sample->wait_s;
    default:
        return (double)sample->replicas;
    }
}

static void fill_panel(const struct results *results, enum panel index, struct plot_panel *panel,
                       double *values)
{
    size_t seconds = results->trace->seconds;
    /* What arrives is the same for all of them. */
    panel->series_count = index == PANEL_ARRIVALS ? 1 : results->settings->count;
    for (size_t i = 0; i < panel->series_count; i++) {
        const struct simulation_sample *samples = results->simulations[i].samples;
        double *series = values + i * seconds;
        for (size_t second = 0; second < seconds; second++)
            series[second] = panel_value(&samples[second], index);
        panel->series[i] = (struct plot_series){results->settings->items[i].name, series};
    }
}

static bool write_plot(const struct results *results, struct error *error)
{
    struct plot_panel panels[PANELS] = {
        [PANEL_ARRIVALS] = {.title = "arrivals per second"},
        [PANEL_WAITING] = {.title = "waiting and in flight"},
        [PANEL_WAIT] = {.title = "age of the oldest, seconds"},
        [PANEL_REPLICAS] = {.title = "replicas"},
    };
    size_t per_panel = results->settings->count * results->trace->seconds;
    _cleanup_(memory_free) double *values = memory_array(PANELS * per_panel, sizeof(*values));
    for (size_t i = 0; i < PANELS; i++)
        fill_panel(results, (enum panel)i, &panels[i], values + i * per_panel);
    const struct plot plot = {results->path, results->trace->seconds, panels, PANELS};
    return plot_write(&plot, results->flags->plot, error);
}

/* ---- the command ---- */

static bool report(struct results *results, struct error *error)
{
    int64_t began_us = clock_now_us();
    for (size_t i = 0; i < results->settings->count; i++)
        simulation_run(&results->settings->items[i].settings, results->trace,
                       &results->simulations[i]);
    results->elapsed_ms = (double)(clock_now_us() - began_us) / 1000;
    if (results->flags->output == OUTPUT_JSON)
        print_json(results);
    else
        print_text(results);
    return results->flags->plot == NULL || write_plot(results, error);
}

static void trace_release(struct trace **trace)
{
    trace_free(*trace);
}

static bool run(const struct simulate_flags *flags, const char *path, struct error *error)
{
    if (flags->rate <= 0)
        return error_invalid(error, "--rate is missing: how much work one replica does per second");
    _cleanup_(trace_release) struct trace *trace = NULL;
    _cleanup_(simulate_settings_done) struct simulate_settings settings = {0};
    const struct simulation_settings common = common_settings(flags);
    if (!trace_load(path, &trace, error) ||
        !simulate_settings_read(flags->file, flags->set, &common, &settings, error))
        return false;
    struct results results = {
        .path = path,
        .trace = trace,
        .flags = flags,
        .settings = &settings,
        .simulations = memory_array(settings.count, sizeof(struct simulation)),
    };
    bool good = report(&results, error);
    for (size_t i = 0; i < settings.count; i++)
        simulation_done(&results.simulations[i]);
    free(results.simulations);
    return good;
}

int simulate_main(int argc, char **argv)
{
    _cleanup_(error_done) struct error error = {0};
    struct option_values *values = NULL;
    bool helped = false;
    _cleanup_(operands_done) struct operands operands;
    operands_split(argc, argv, &operands);
    if (!flags_parse(operands.argc, operands.argv, table, sizeof(struct simulate_flags), about,
                     &values, &helped, &error)) {
        fprintf(stderr, "backlog simulate: %s\n", error_text(&error));
        return 2;
    }
    int code = 0;
    if (helped)
        simulate_settings_print_keys();
    else if (operands.count != 1) {
        fprintf(stderr, "backlog simulate: one trace is needed: backlog simulate TRACE.csv\n");
        code = 2;
    } else if (!run(values->data, operands.items[0], &error)) {
        fprintf(stderr, "backlog simulate: %s\n", error_text(&error));
        code = 1;
    }
    option_values_free(values);
    return code;
}
