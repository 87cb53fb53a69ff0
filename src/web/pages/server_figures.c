#include "web/pages/server_figures.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/system/process.h"
#include "web/content/web_json.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    MIN_RATE_MS = 900, /* over a shorter time a rate says little; less than the tick of a second */
    TREND_MS = 15 * 1000,
    TREND_POINTS = HISTORY_SPAN_MS / TREND_MS,
};

/* Of all figures at one moment; NAN: not known. */
struct figure_values {
    int64_t at_ms; /* the time by clock_now_ms(), which goes on where the date is set back */
    double time, uptime, cpu, memory, calls_per_second;
    double triggers, active, held, failing, unmeasured;
    double replicas, waiting, in_flight, consumption;
    double connections, failed_connections, queries, failing_queries;
};

#define OF(member) .offset = offsetof(struct figure_values, member)

static const struct figure {
    size_t offset;    /* of a double in struct figure_values */
    const char *name; /* in JSON */
    bool is_in_trend;
} table[] = {
    {OF(time), "time", .is_in_trend = true},
    {OF(uptime), "uptime"},
    {OF(cpu), "cpu", .is_in_trend = true},
    {OF(memory), "memory", .is_in_trend = true},
    {OF(calls_per_second), "callsPerSecond", .is_in_trend = true},
    {OF(triggers), "triggers"},
    {OF(active), "active", .is_in_trend = true},
    {OF(held), "held"},
    {OF(failing), "failing"},
    {OF(unmeasured), "unmeasured"},
    {OF(replicas), "replicas", .is_in_trend = true},
    {OF(waiting), "waiting", .is_in_trend = true},
    {OF(in_flight), "inFlight", .is_in_trend = true},
    {OF(consumption), "consumption", .is_in_trend = true},
    {OF(connections), "connections"},
    {OF(failed_connections), "failedConnections"},
    {OF(queries), "queries"},
    {OF(failing_queries), "failingQueries"},
};

struct server_figures {
    struct engine *engine;
    uint64_t (*count_calls)(void *context);
    void *context;
    int64_t began_ms;
    int64_t rates_at_ms; /* when the two counters were read; 0: not yet */
    double cpu_seconds;
    uint64_t calls;
    double cpu_cores, calls_per_second;       /* the rates until then; NAN: not known */
    struct figure_values trend[TREND_POINTS]; /* a ring */
    size_t trend_count;                       /* of all points that were ever added */
    int64_t trend_ms; /* when a point was added or skipped last; 0: not yet */
};

/* Rarely, as counting calls takes a turn of the server's loop. The clock is read beside the
 * counters: the totals are seconds older where the walk over the triggers was long. */
static void update_rates(struct server_figures *figures)
{
    if (figures->rates_at_ms > 0 && clock_now_ms() - figures->rates_at_ms < MIN_RATE_MS)
        return;
    uint64_t calls = figures->count_calls(figures->context);
    double cpu_seconds = process_cpu_seconds(RUSAGE_SELF);
    int64_t now_ms = clock_now_ms();
    double seconds = (double)(now_ms - figures->rates_at_ms) / 1000;
    if (figures->rates_at_ms > 0) {
        figures->cpu_cores = (cpu_seconds - figures->cpu_seconds) / seconds;
        figures->calls_per_second = calls == UINT64_MAX || figures->calls == UINT64_MAX
                                        ? (double)NAN
                                        : (double)(calls - figures->calls) / seconds;
    }
    figures->rates_at_ms = now_ms;
    figures->cpu_seconds = cpu_seconds;
    figures->calls = calls;
}

static json_t *figure_json(const struct figure *figure, const struct figure_values *values)
{
    return web_json_number(*(const double *)((const char *)values + figure->offset));
}

static struct figure_values read_values(const struct server_figures *figures,
                                        const struct trigger_totals *totals)
{
    struct process_stat stat = {.resident_bytes = NAN};
    struct connection_stats engine;
    process_stat(getpid(), &stat);
    engine_stats(figures->engine, &engine);
    return (struct figure_values){
        .at_ms = totals->at_ms,
        .time = clock_unix_s(totals->at_ms),
        .uptime = (double)(totals->at_ms - figures->began_ms) / 1000,
        .cpu = figures->cpu_cores,
        .memory = stat.resident_bytes,
        .calls_per_second = figures->calls_per_second,
        .triggers = (double)totals->triggers,
        .active = (double)totals->active,
        .held = (double)totals->held,
        .failing = (double)totals->failing,
        .unmeasured = (double)totals->unmeasured,
        .replicas = totals->has_replicas ? totals->replicas : NAN,
        .waiting = totals->has_waiting ? totals->waiting : NAN,
        .in_flight = totals->has_in_flight ? totals->in_flight : NAN,
        .consumption = totals->has_consumption ? totals->consumption : NAN,
        .connections = (double)engine.counts[COUNT_CONNECTIONS],
        .failed_connections = (double)engine.counts[COUNT_FAILED_CONNECTIONS],
        .queries = (double)engine.counts[COUNT_QUERIES],
        .failing_queries = (double)engine.counts[COUNT_FAILING_QUERIES],
    };
}

json_t *server_figures_json(struct server_figures *figures, const struct trigger_totals *totals)
{
    json_t *object = json_object();
    update_rates(figures);
    const struct figure_values values = read_values(figures, totals);
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
        web_json_set(object, table[i].name, figure_json(&table[i], &values));
    return object;
}

/* ---- the trend ---- */

bool server_figures_is_point_due(const struct server_figures *figures, int64_t now_ms)
{
    return figures->trend_ms == 0 || now_ms - figures->trend_ms >= TREND_MS;
}

void server_figures_skip_point(struct server_figures *figures, int64_t now_ms)
{
    figures->trend_ms = now_ms;
}

void server_figures_add_point(struct server_figures *figures, const struct trigger_totals *totals,
                              int64_t now_ms)
{
    size_t count = figures->trend_count;
    if (count > 0 && totals->at_ms == figures->trend[(count - 1) % TREND_POINTS].at_ms)
        return;
    update_rates(figures);
    figures->trend[figures->trend_count++ % TREND_POINTS] = read_values(figures, totals);
    figures->trend_ms = now_ms;
}

json_t *server_figures_trend_json(const struct server_figures *figures)
{
    json_t *trend = json_object();
    json_t *columns = json_array();
    json_t *rows = json_array();
    size_t end = figures->trend_count;
    double offset_ms = clock_unix_offset_ms();
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
        if (table[i].is_in_trend)
            json_array_append_new(columns, json_string(table[i].name));
    for (size_t at = end > TREND_POINTS ? end - TREND_POINTS : 0; at < end; at++) {
        struct figure_values point = figures->trend[at % TREND_POINTS];
        json_t *row = json_array();
        point.time = ((double)point.at_ms + offset_ms) / 1000;
        for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
            if (table[i].is_in_trend)
                json_array_append_new(row, figure_json(&table[i], &point));
        json_array_append_new(rows, row);
    }
    web_json_set(trend, "columns", columns);
    web_json_set(trend, "rows", rows);
    return trend;
}

/* ---- its life ---- */

struct server_figures *server_figures_new(struct engine *engine,
                                          uint64_t (*count_calls)(void *context), void *context)
{
    struct server_figures *figures = memory_new(sizeof(*figures));
    figures->engine = engine;
    figures->count_calls = count_calls;
    figures->context = context;
    figures->began_ms = clock_now_ms();
    figures->cpu_cores = figures->calls_per_second = NAN;
    return figures;
}

void server_figures_free(struct server_figures *figures)
{
    free(figures);
}
