#include "cli/command.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/common_flags.h"
#include "cli/console.h"
#include "lab/plot.h"
#include "lab/simulate_settings.h"
#include "model/simulation.h"
#include "scale/metadata/general.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct simulate_flags {
    struct option_list files;
    const char *set;
    double rate;
    int64_t start_time_ms;
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

#define FLAG(...) COMMAND_FLAG(struct simulate_flags, __VA_ARGS__)

static const struct option table[] = {
    FILES_FLAG(.flags = OPTION_REPEATED, .group = "Settings to compare",
               .doc = "ScaledObjects (YAML), - for standard input; may be repeated"),
    FLAG("set", OPTION_STRING, set, NULL, .value_name = "SETTINGS",
         .doc = "KEY=VALUE pairs, such as \"threshold=600; threshold=100, push=false\": a `,` "
                "separates the keys of a setting, a `;` the settings to compare"),

    FLAG("rate", OPTION_FLOAT, rate, NULL, .limits = {1e-6, 1e9}, .group = "Work and replicas",
         .flags = OPTION_REQUIRED, .doc = "work that one replica does per second"),
    FLAG("start-time", OPTION_DURATION, start_time_ms, "10s", .limits = {0, 3600 * 1000.0},
         .doc = "from the start of a replica until it works"),
    FLAG("prefetch", OPTION_FLOAT, prefetch, "0", .limits = {0, 1e9},
         .doc = "messages that a replica takes in advance; they are in flight, not waiting"),
    FLAG("count-in-flight", OPTION_BOOL, counts_in_flight, "false",
         .doc = "the metric includes what is in flight"),
    FLAG("noise", OPTION_FLOAT, noise, "0", .limits = {0, 10},
         .doc = "standard deviation of arrivals and of the rate, as a share of them"),
    FLAG("seed", OPTION_INT, seed, "1", .limits = {0, 1e15}, .doc = "of the noise"),
    FLAG("objective", OPTION_DURATION, objective_ms, "60s", .limits = {0, 24 * 3600 * 1000.0},
         .doc = "how long work should wait at most"),

    FLAG("sync-period", OPTION_DURATION, sync_ms, "15s", .limits = {1000, 3600 * 1000.0},
         .group = "HPA", .doc = "of the HPA"),
    FLAG("sync-offset", OPTION_DURATION, sync_offset_ms, "0s", .limits = {0, 3600 * 1000.0},
         .doc = "of the HPA's first sync behind KEDA's first poll"),

    OUTPUT_FLAG(.doc = "format of the results"),
    FLAG("plot", OPTION_STRING, plot, NULL, .value_name = "FILE", .flags = OPTION_NO_VARIABLE,
         .doc = "SVG file to write"),
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
        .interval_s = 5,
        .hold_ms = GENERAL_USUAL_HOLD_MS,
        .hold_window_ms = HOLD_WINDOW_MS,
        .workers = {.rate = flags->rate,
                    .startup_s = (flags->start_time_ms + 999) / 1000,
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
    console_print(stdout, results->path);
    printf(": %zu s, %.10g arrived\n\n", results->trace->seconds, results->simulations[0].arrived);
    printf("%-*s  %13s  %12s  %9s  %12s  %7s  %12s  %11s\n", width, "setting", "replica-hours",
           "longest wait", "mean wait", over, "changes", "max replicas", "left undone");
    for (size_t i = 0; i < results->settings->count; i++) {
        const struct simulation *one = &results->simulations[i];
        double left = fmax(0, one->arrived - one->done); /* of sums of many parts, a hair off */
        _cleanup_(memory_free) char *name = console_text(results->settings->items[i].name);
        printf("%-*.60s  %13.2f  %10.0f s  %7.1f s  %10lld s  %7lld  %12lld  %11.0f\n", width, name,
               one->replica_hours, one->max_wait_s, one->mean_wait_s, (long long)one->seconds_over,
               (long long)one->changes, (long long)one->max_replicas, left);
    }
}

/* ---- JSON ---- */

static json_t *result_json(const char *name, const struct simulation *one)
{
    return json_pack("{s:o, s:f, s:f, s:f, s:I, s:I, s:I, s:f, s:f}", "name",
                     console_json_text(name), "replicaHours", one->replica_hours,
                     "longestWaitSeconds", one->max_wait_s, "meanWaitSeconds", one->mean_wait_s,
                     "secondsOverObjective", (json_int_t)one->seconds_over, "changes",
                     (json_int_t)one->changes, "maxReplicas", (json_int_t)one->max_replicas,
                     "arrived", one->arrived, "done", one->done);
}

static void print_json(const struct results *results)
{
    json_t *list = json_array();
    for (size_t i = 0; i < results->settings->count; i++)
        json_array_append_new(
            list, result_json(results->settings->items[i].name, &results->simulations[i]));
    json_t *root = json_pack("{s:o, s:I, s:I, s:f, s:o}", "trace", console_json_text(results->path),
                             "seconds", (json_int_t)results->trace->seconds, "objectiveSeconds",
                             (json_int_t)(results->flags->objective_ms / 1000), "elapsedMs",
                             results->elapsed_ms, "settings", list);
    console_write_json(root, JSON_INDENT(2) | JSON_REAL_PRECISION(10));
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
        return sample->unfinished;
    case PANEL_WAIT:
        return sample->wait_s;
    default:
        return (double)sample->replicas;
    }
}

static void fill_panel(const struct results *results, enum panel index, struct plot_panel *panel,
                       double *values)
{
    size_t count = results->simulations[0].sample_count;
    /* What arrives is the same for all of them. */
    panel->series_count = index == PANEL_ARRIVALS ? 1 : results->settings->count;
    for (size_t i = 0; i < panel->series_count; i++) {
        const struct simulation_sample *samples = results->simulations[i].samples;
        double *series = values + i * count;
        for (size_t sample = 0; sample < count; sample++)
            series[sample] = panel_value(&samples[sample], index);
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
    size_t count = results->simulations[0].sample_count;
    double sample_s = (double)results->settings->items[0].settings.sample_s;
    size_t per_panel = results->settings->count * count;
    _cleanup_(memory_free) double *values = memory_array(PANELS * per_panel, sizeof(*values));
    for (size_t i = 0; i < PANELS; i++)
        fill_panel(results, (enum panel)i, &panels[i], values + i * per_panel);
    const struct plot plot = {results->path, count, sample_s, panels, PANELS};
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

static bool simulate(const struct simulate_flags *flags, const char *path, struct error *error)
{
    _cleanup_(trace_release) struct trace *trace = NULL;
    _cleanup_(simulate_settings_done) struct simulate_settings settings = {0};
    struct simulation_settings common = common_settings(flags);
    if (!trace_load(path, &trace, error))
        return false;
    if (flags->plot != NULL)
        common.sample_s = (int64_t)plot_bucket(trace->seconds);
    if (!simulate_settings_read(&flags->files, flags->set, &common, &settings, error))
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

/* With a file the settings can only be read with it. */
static void check_simulate(const struct command_line *line, struct text *mistakes)
{
    const struct simulate_flags *flags = line->flags;
    const struct simulation_settings common = common_settings(flags);
    _cleanup_(simulate_settings_done) struct simulate_settings settings = {0};
    _cleanup_(error_done) struct error error = {0};
    if (flags->files.count == 0 &&
        !simulate_settings_read(&flags->files, flags->set, &common, &settings, &error))
        command_mistake(mistakes, "%s", error_text(&error));
}

static int run_simulate(const struct command_line *line, struct error *error)
{
    return simulate(line->flags, line->operands[0], error) ? 0 : 1;
}

const struct command command_simulate = {
    .name = "simulate",
    .summary = "what KEDA and the HPA would do with a trace of work",
    .operands = "TRACE.csv|-",
    .min_operands = 1,
    .max_operands = 1,
    .about = "What KEDA and the HPA would do with a trace of work (time,arrivals per second), for "
             "one or "
             "several settings side by side: what it costs, how long work waits, how often the "
             "number of "
             "replicas changes.",
    .exit_status = "0 simulated; 1 a file cannot be read or written, or is invalid",
    .examples = {{"compare two thresholds; a replica does 10 messages per second",
                  "backlog simulate trace.csv --rate 10 --set 'threshold=600; threshold=100'"},
                 {"with the settings of a ScaledObject, and a plot",
                  "backlog simulate trace.csv --rate 10 -f so.yaml --plot out.svg"},
                 {"replicas that start slowly",
                  "backlog simulate t.csv --rate 9 --start-time 1m --set threshold=9"}},
    .flags = table,
    .flags_size = sizeof(struct simulate_flags),
    .more = simulate_settings_write_keys,
    .check = check_simulate,
    .run = run_simulate,
};
