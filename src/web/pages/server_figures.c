#include "web/pages/server_figures.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/system/process.h"
#include "web/web_json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    MIN_RATE_MS = 900, /* over a shorter time a rate says little; less than the tick of a second */
    TREND_MS = 15 * 1000,
    TREND_POINTS = HISTORY_SPAN_MS / TREND_MS,
};

enum figure {
    FIGURE_TIME,
    FIGURE_UPTIME,
    FIGURE_CPU,
    FIGURE_MEMORY,
    FIGURE_CALLS_PER_SECOND,
    FIGURE_TRIGGERS,
    FIGURE_ACTIVE,
    FIGURE_HELD,
    FIGURE_FAILING,
    FIGURE_UNMEASURED,
    FIGURE_REPLICAS,
    FIGURE_WAITING,
    FIGURE_IN_FLIGHT,
    FIGURE_CONSUMED,
    FIGURE_CONNECTIONS,
    FIGURE_FAILED_CONNECTIONS,
    FIGURE_QUERIES,
    FIGURE_FAILING_QUERIES,
    FIGURE_HISTORY_BYTES,
    FIGURE_HISTORY_MAX_BYTES,
    FIGURE_HISTORY_DROPPED,
    FIGURES,
};

/* What pages call them. */
static const struct {
    const char *name;
    bool is_in_trend;
} table[FIGURES] = {
    [FIGURE_TIME] = {"time", .is_in_trend = true},
    [FIGURE_UPTIME] = {"uptime"},
    [FIGURE_CPU] = {"cpu", .is_in_trend = true},
    [FIGURE_MEMORY] = {"memory", .is_in_trend = true},
    [FIGURE_CALLS_PER_SECOND] = {"callsPerSecond", .is_in_trend = true},
    [FIGURE_TRIGGERS] = {"triggers"},
    [FIGURE_ACTIVE] = {"active", .is_in_trend = true},
    [FIGURE_HELD] = {"held"},
    [FIGURE_FAILING] = {"failing"},
    [FIGURE_UNMEASURED] = {"unmeasured"},
    [FIGURE_REPLICAS] = {"replicas", .is_in_trend = true},
    [FIGURE_WAITING] = {"waiting", .is_in_trend = true},
    [FIGURE_IN_FLIGHT] = {"inFlight", .is_in_trend = true},
    [FIGURE_CONSUMED] = {"consumed", .is_in_trend = true},
    [FIGURE_CONNECTIONS] = {"connections"},
    [FIGURE_FAILED_CONNECTIONS] = {"failedConnections"},
    [FIGURE_QUERIES] = {"queries"},
    [FIGURE_FAILING_QUERIES] = {"failingQueries"},
    [FIGURE_HISTORY_BYTES] = {"historyBytes"},
    [FIGURE_HISTORY_MAX_BYTES] = {"historyMaxBytes"},
    [FIGURE_HISTORY_DROPPED] = {"historyDropped"},
};

struct server_figures {
    struct engine *engine;
    uint64_t (*count_calls)(void *context);
    void *context;
    int64_t began_ms;
    int64_t rates_at_ms; /* when what follows was taken */
    double cpu_seconds;
    uint64_t calls;
    double cpu_cores, calls_per_second;  /* since then; NAN: not known yet */
    double trend[TREND_POINTS][FIGURES]; /* a ring */
    size_t trend_count;                  /* of all that there ever were */
    int64_t trend_ms;                    /* when the last came */
};

static void update_rates(struct server_figures *figures, int64_t now_ms)
{
    double cpu_seconds = process_cpu_seconds(RUSAGE_SELF);
    uint64_t calls = figures->count_calls(figures->context);
    int64_t elapsed_ms = now_ms - figures->rates_at_ms;
    double seconds = (double)elapsed_ms / 1000;
    if (figures->rates_at_ms > 0 && elapsed_ms < MIN_RATE_MS)
        return;
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

/* NAN: not known. */
static void read_figures(const struct server_figures *figures, const struct trigger_totals *totals,
                         int64_t now_ms, double ret_values[FIGURES])
{
    struct process_stat stat = {.resident_bytes = NAN};
    struct connection_stats engine;
    struct history_stats history;
    process_stat(getpid(), &stat);
    engine_stats(figures->engine, &engine);
    engine_history_stats(figures->engine, &history);
    /* Where no source counts what waits, 0 would be no number. */
    bool is_counted = history.max_bytes > 0 && (totals->has_waiting || history.consumed > 0);
    const double values[FIGURES] = {
        [FIGURE_TIME] = clock_unix_s(now_ms),
        [FIGURE_UPTIME] = (double)(now_ms - figures->began_ms) / 1000,
        [FIGURE_CPU] = figures->cpu_cores,
        [FIGURE_MEMORY] = stat.resident_bytes,
        [FIGURE_CALLS_PER_SECOND] = figures->calls_per_second,
        [FIGURE_TRIGGERS] = (double)totals->triggers,
        [FIGURE_ACTIVE] = (double)totals->active,
        [FIGURE_HELD] = (double)totals->held,
        [FIGURE_FAILING] = (double)totals->failing,
        [FIGURE_UNMEASURED] = (double)totals->unmeasured,
        [FIGURE_REPLICAS] = totals->has_replicas ? totals->replicas : NAN,
        [FIGURE_WAITING] = totals->has_waiting ? totals->waiting : NAN,
        [FIGURE_IN_FLIGHT] = totals->has_in_flight ? totals->in_flight : NAN,
        [FIGURE_CONSUMED] = is_counted ? history.consumed : NAN,
        [FIGURE_CONNECTIONS] = (double)engine.counts[COUNT_CONNECTIONS],
        [FIGURE_FAILED_CONNECTIONS] = (double)engine.counts[COUNT_FAILED_CONNECTIONS],
        [FIGURE_QUERIES] = (double)engine.counts[COUNT_QUERIES],
        [FIGURE_FAILING_QUERIES] = (double)engine.counts[COUNT_FAILING_QUERIES],
        [FIGURE_HISTORY_BYTES] = (double)history.bytes,
        [FIGURE_HISTORY_MAX_BYTES] = (double)history.max_bytes,
        [FIGURE_HISTORY_DROPPED] = (double)history.dropped,
    };
    memcpy(ret_values, values, sizeof(values));
}

json_t *server_figures_json(struct server_figures *figures, const struct trigger_totals *totals,
                            int64_t now_ms)
{
    double values[FIGURES];
    json_t *object = json_object();
    update_rates(figures, now_ms);
    read_figures(figures, totals, now_ms, values);
    for (size_t i = 0; i < FIGURES; i++)
        web_json_set(object, table[i].name, web_json_number(values[i]));
    return object;
}

/* ---- the trend ---- */

bool server_figures_is_point_due(const struct server_figures *figures, int64_t now_ms)
{
    return figures->trend_count == 0 || now_ms - figures->trend_ms >= TREND_MS;
}

void server_figures_add_point(struct server_figures *figures, const struct trigger_totals *totals,
                              int64_t now_ms)
{
    update_rates(figures, now_ms);
    read_figures(figures, totals, now_ms, figures->trend[figures->trend_count++ % TREND_POINTS]);
    figures->trend_ms = now_ms;
}

json_t *server_figures_trend_json(const struct server_figures *figures)
{
    json_t *trend = json_object();
    json_t *columns = json_array();
    json_t *rows = json_array();
    size_t end = figures->trend_count;
    for (size_t i = 0; i < FIGURES; i++)
        if (table[i].is_in_trend)
            json_array_append_new(columns, json_string(table[i].name));
    for (size_t at = end > TREND_POINTS ? end - TREND_POINTS : 0; at < end; at++) {
        const double *point = figures->trend[at % TREND_POINTS];
        json_t *row = json_array();
        for (size_t i = 0; i < FIGURES; i++)
            if (table[i].is_in_trend)
                json_array_append_new(row, web_json_number(point[i]));
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
