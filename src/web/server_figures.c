#include "web/server_figures.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/system/process.h"
#include "web/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    TREND_MS = 15 * 1000,
    TREND_POINTS = HISTORY_SPAN_MS / TREND_MS,
    FIGURES = 21,
};

struct figure {
    const char *name;
    double value; /* NAN: not known */
    bool is_in_trend;
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
    double seconds = (double)(now_ms - figures->rates_at_ms) / 1000;
    if (figures->rates_at_ms > 0 && seconds < 0.9)
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

/* Each figure is one row here, and nowhere else. */
static void read_figures(const struct server_figures *figures, const struct trigger_totals *totals,
                         int64_t now_ms, struct figure ret_rows[FIGURES])
{
    struct process_stat stat = {.resident_bytes = NAN};
    struct connection_stats engine;
    struct history_stats history;
    process_stat(getpid(), &stat);
    engine_stats(figures->engine, &engine);
    engine_history_stats(figures->engine, &history);
    /* Where no source counts what waits, 0 would be no number. */
    bool is_counted = history.max_bytes > 0 && (totals->has_waiting || history.consumed > 0);
    const struct figure rows[] = {
        {"time", clock_unix_s(now_ms), .is_in_trend = true},
        {"uptime", (double)(now_ms - figures->began_ms) / 1000},
        {"cpu", figures->cpu_cores, .is_in_trend = true},
        {"memory", stat.resident_bytes, .is_in_trend = true},
        {"callsPerSecond", figures->calls_per_second, .is_in_trend = true},
        {"triggers", (double)totals->triggers},
        {"active", (double)totals->active, .is_in_trend = true},
        {"held", (double)totals->held},
        {"failing", (double)totals->failing},
        {"unmeasured", (double)totals->unmeasured},
        {"replicas", totals->has_replicas ? totals->replicas : NAN, .is_in_trend = true},
        {"waiting", totals->has_waiting ? totals->waiting : NAN, .is_in_trend = true},
        {"inFlight", totals->has_in_flight ? totals->in_flight : NAN, .is_in_trend = true},
        {"consumed", is_counted ? history.consumed : NAN, .is_in_trend = true},
        {"connections", (double)engine.counts[COUNT_CONNECTIONS]},
        {"failedConnections", (double)engine.counts[COUNT_FAILED_CONNECTIONS]},
        {"queries", (double)engine.counts[COUNT_QUERIES]},
        {"failingQueries", (double)engine.counts[COUNT_FAILING_QUERIES]},
        {"historyBytes", (double)history.bytes},
        {"historyMaxBytes", (double)history.max_bytes},
        {"historyDropped", (double)history.dropped},
    };
    _Static_assert(ARRAY_LENGTH(rows) == FIGURES, "FIGURES is how many rows there are");
    memcpy(ret_rows, rows, sizeof(rows));
}

json_t *server_figures_json(struct server_figures *figures, const struct trigger_totals *totals,
                            int64_t now_ms)
{
    struct figure rows[FIGURES];
    json_t *object = json_object();
    update_rates(figures, now_ms);
    read_figures(figures, totals, now_ms, rows);
    for (size_t i = 0; i < FIGURES; i++)
        web_json_set(object, rows[i].name, web_json_number(rows[i].value));
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
    struct figure rows[FIGURES];
    update_rates(figures, now_ms);
    read_figures(figures, totals, now_ms, rows);
    double *point = figures->trend[figures->trend_count++ % TREND_POINTS];
    for (size_t i = 0; i < FIGURES; i++)
        point[i] = rows[i].value;
    figures->trend_ms = now_ms;
}

json_t *server_figures_trend_json(const struct server_figures *figures)
{
    static const struct trigger_totals none;
    struct figure figure[FIGURES];
    json_t *trend = json_object();
    json_t *columns = json_array();
    json_t *rows = json_array();
    size_t end = figures->trend_count;
    read_figures(figures, &none, figures->trend_ms, figure); /* for what they are called */
    for (size_t i = 0; i < FIGURES; i++)
        if (figure[i].is_in_trend)
            json_array_append_new(columns, json_string(figure[i].name));
    for (size_t at = end > TREND_POINTS ? end - TREND_POINTS : 0; at < end; at++) {
        const double *point = figures->trend[at % TREND_POINTS];
        json_t *row = json_array();
        for (size_t i = 0; i < FIGURES; i++)
            if (figure[i].is_in_trend)
                json_array_append_new(row, web_json_number(point[i]));
        json_array_append_new(rows, row);
    }
    web_json_set(trend, "columns", columns);
    web_json_set(trend, "rows", rows);
    return trend;
}

/* ---- its life ---- */

struct server_figures *server_figures_new(struct engine *engine, uint64_t (*calls)(void *context),
                                          void *context)
{
    struct server_figures *figures = memory_new(sizeof(*figures));
    figures->engine = engine;
    figures->count_calls = calls;
    figures->context = context;
    figures->began_ms = clock_now_ms();
    figures->cpu_cores = figures->calls_per_second = NAN;
    return figures;
}

void server_figures_free(struct server_figures *figures)
{
    free(figures);
}
