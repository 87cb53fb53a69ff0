#include "web/dashboard.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/recent_log.h"
#include "base/system/process.h"
#include "web/http/answer.h"
#include "web/json.h"
#include "web/list_page.h"
#include "web/metadata_json.h"
#include "web/trigger_rows.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    TICK_MS = 1000,
    BUSY_SHARE = 20, /* an update takes at most one part in so many of the time */
    MAX_CONNECTIONS = 4096,
    TREND_MS = 15 * 1000,
    TREND_POINTS = HISTORY_SPAN_MS / TREND_MS,
};

/* What is known of the server as a whole. */
enum server_figure {
    SERVER_TIME,
    SERVER_UPTIME,
    SERVER_CPU,
    SERVER_MEMORY,
    SERVER_CALLS_PER_SECOND,
    SERVER_TRIGGERS,
    SERVER_ACTIVE,
    SERVER_HELD,
    SERVER_FAILING,
    SERVER_UNMEASURED,
    SERVER_REPLICAS,
    SERVER_WAITING,
    SERVER_IN_FLIGHT,
    SERVER_CONSUMED,
    SERVER_CONNECTIONS,
    SERVER_FAILED_CONNECTIONS,
    SERVER_QUERIES,
    SERVER_FAILING_QUERIES,
    SERVER_HISTORY_BYTES,
    SERVER_HISTORY_MAX_BYTES,
    SERVER_HISTORY_DROPPED,
    SERVER_FIGURES,
};

static const char *const figure_names[SERVER_FIGURES] = {
    [SERVER_TIME] = "time",
    [SERVER_UPTIME] = "uptime",
    [SERVER_CPU] = "cpu",
    [SERVER_MEMORY] = "memory",
    [SERVER_CALLS_PER_SECOND] = "callsPerSecond",
    [SERVER_TRIGGERS] = "triggers",
    [SERVER_ACTIVE] = "active",
    [SERVER_HELD] = "held",
    [SERVER_FAILING] = "failing",
    [SERVER_UNMEASURED] = "unmeasured",
    [SERVER_REPLICAS] = "replicas",
    [SERVER_WAITING] = "waiting",
    [SERVER_IN_FLIGHT] = "inFlight",
    [SERVER_CONSUMED] = "consumed",
    [SERVER_CONNECTIONS] = "connections",
    [SERVER_FAILED_CONNECTIONS] = "failedConnections",
    [SERVER_QUERIES] = "queries",
    [SERVER_FAILING_QUERIES] = "failingQueries",
    [SERVER_HISTORY_BYTES] = "historyBytes",
    [SERVER_HISTORY_MAX_BYTES] = "historyMaxBytes",
    [SERVER_HISTORY_DROPPED] = "historyDropped",
};

struct server_figures {
    double of[SERVER_FIGURES]; /* NAN: not known */
};

static const enum server_figure trend_columns[] = {
    SERVER_TIME,     SERVER_WAITING,          SERVER_IN_FLIGHT, SERVER_ACTIVE, SERVER_REPLICAS,
    SERVER_CONSUMED, SERVER_CALLS_PER_SECOND, SERVER_CPU,       SERVER_MEMORY,
};

struct dashboard {
    struct dashboard_settings settings;
    struct live_tables *tables;
    struct trigger_rows *rows;
    int64_t rates_at_ms; /* when what follows was taken */
    double cpu_seconds;
    uint64_t calls;
    double cpu_cores, calls_per_second; /* since then; NAN: not known yet */
    int64_t began_ms;
    double trend[TREND_POINTS][ARRAY_LENGTH(trend_columns)]; /* a ring */
    size_t trend_count;                                      /* of all that there ever were */
    int64_t trend_ms;                                        /* when the last came */
};

/* ---- connections ---- */

static json_t *connection_fixed(const struct connection_info *info)
{
    json_t *object = json_object();
    web_json_set(object, "name", web_json_short(info->name));
    web_json_set(object, "scaler", web_json_text(info->scaler->name));
    web_json_set(object, "inAgent", json_boolean(info->in_agent));
    web_json_set(object, "settings", metadata_options_json(info->values, web_json_short));
    return object;
}

static json_t *connection_live(const struct connection_info *info)
{
    const struct connection_stats *stats = &info->stats;
    json_t *object = json_object();
    web_json_set(object, "state", web_json_text(client_state_name(info->state)));
    web_json_set(object, "queries", json_integer((json_int_t)stats->counts[COUNT_QUERIES]));
    web_json_set(object, "failing", json_integer((json_int_t)stats->counts[COUNT_FAILING_QUERIES]));
    web_json_set(object, "isolated",
                 json_integer((json_int_t)stats->counts[COUNT_ISOLATED_QUERIES]));
    web_json_set(object, "subscribed",
                 json_integer((json_int_t)stats->counts[COUNT_SUBSCRIBED_QUERIES]));
    web_json_set(object, "utilization", web_json_number(round(stats->utilization * 1000) / 1000));
    web_json_set(object, "roundTrip", web_json_number(info->round_trip_seconds));
    web_json_set(object, "delay", web_json_number(stats->delay_seconds));
    if (info->error[0] != '\0')
        web_json_set(object, "error", web_json_short(info->error));
    return object;
}

static void update_connection(void *context, const struct connection_info *info)
{
    struct live_tables *tables = context;
    bool is_known = live_tables_has(tables, LIVE_CONNECTIONS, info->number);
    _cleanup_(json_done) json_t *fixed = is_known ? NULL : connection_fixed(info);
    _cleanup_(json_done) json_t *live = connection_live(info);
    _cleanup_(memory_free) char *fixed_text =
        fixed == NULL ? NULL : json_dumps(fixed, JSON_COMPACT | JSON_REAL_PRECISION(6));
    _cleanup_(memory_free) char *live_text =
        json_dumps(live, JSON_COMPACT | JSON_REAL_PRECISION(6));
    live_tables_row(tables, LIVE_CONNECTIONS, info->number, fixed_text, live_text);
}

static void list_connection(void *context, const struct connection_info *info)
{
    struct list_page *page = context;
    if (!list_page_next(page, info->number))
        return;
    _cleanup_(json_done) json_t *fixed = connection_fixed(info);
    json_t *object = connection_live(info);
    json_object_update(object, fixed);
    web_json_set(object, "id", json_integer((json_int_t)info->number));
    list_page_add(page, object);
}

/* ---- the server ---- */

static void update_rates(struct dashboard *dashboard, int64_t now_ms)
{
    double cpu_seconds = process_cpu_seconds(RUSAGE_SELF);
    uint64_t calls = dashboard->settings.calls(dashboard->settings.context);
    double seconds = (double)(now_ms - dashboard->rates_at_ms) / 1000;
    if (dashboard->rates_at_ms > 0 && seconds < 0.9)
        return;
    if (dashboard->rates_at_ms > 0) {
        dashboard->cpu_cores = (cpu_seconds - dashboard->cpu_seconds) / seconds;
        dashboard->calls_per_second = calls == UINT64_MAX || dashboard->calls == UINT64_MAX
                                          ? (double)NAN
                                          : (double)(calls - dashboard->calls) / seconds;
    }
    dashboard->rates_at_ms = now_ms;
    dashboard->cpu_seconds = cpu_seconds;
    dashboard->calls = calls;
}

static struct server_figures server_figures(const struct dashboard *dashboard, int64_t now_ms)
{
    const struct trigger_totals *totals = trigger_rows_totals(dashboard->rows);
    struct process_stat stat = {.resident_bytes = NAN};
    struct connection_stats engine;
    struct history_stats history;
    process_stat(getpid(), &stat);
    engine_stats(dashboard->settings.engine, &engine);
    engine_history_stats(dashboard->settings.engine, &history);
    /* Where no source counts what waits, 0 would be no number. */
    bool is_counted = history.max_bytes > 0 && (totals->has_waiting || history.consumed > 0);
    return (struct server_figures){{
        [SERVER_TIME] = clock_unix_s(now_ms),
        [SERVER_UPTIME] = (double)(now_ms - dashboard->began_ms) / 1000,
        [SERVER_CPU] = dashboard->cpu_cores,
        [SERVER_MEMORY] = stat.resident_bytes,
        [SERVER_CALLS_PER_SECOND] = dashboard->calls_per_second,
        [SERVER_TRIGGERS] = (double)totals->triggers,
        [SERVER_ACTIVE] = (double)totals->active,
        [SERVER_HELD] = (double)totals->held,
        [SERVER_FAILING] = (double)totals->failing,
        [SERVER_UNMEASURED] = (double)totals->unmeasured,
        [SERVER_REPLICAS] = totals->has_replicas ? totals->replicas : NAN,
        [SERVER_WAITING] = totals->has_waiting ? totals->waiting : NAN,
        [SERVER_IN_FLIGHT] = totals->has_in_flight ? totals->in_flight : NAN,
        [SERVER_CONSUMED] = is_counted ? history.consumed : NAN,
        [SERVER_CONNECTIONS] = (double)engine.counts[COUNT_CONNECTIONS],
        [SERVER_FAILED_CONNECTIONS] = (double)engine.counts[COUNT_FAILED_CONNECTIONS],
        [SERVER_QUERIES] = (double)engine.counts[COUNT_QUERIES],
        [SERVER_FAILING_QUERIES] = (double)engine.counts[COUNT_FAILING_QUERIES],
        [SERVER_HISTORY_BYTES] = (double)history.bytes,
        [SERVER_HISTORY_MAX_BYTES] = (double)history.max_bytes,
        [SERVER_HISTORY_DROPPED] = (double)history.dropped,
    }};
}

static json_t *server_json(const struct dashboard *dashboard, int64_t now_ms)
{
    const struct server_figures figures = server_figures(dashboard, now_ms);
    json_t *object = json_object();
    for (size_t i = 0; i < SERVER_FIGURES; i++)
        web_json_set(object, figure_names[i], web_json_number(figures.of[i]));
    return object;
}

/* ---- the tables ---- */

static int64_t update(void *context, struct live_tables *tables)
{
    struct dashboard *dashboard = context;
    int64_t began_ms = clock_now_ms();
    if (!trigger_rows_update(dashboard->rows, dashboard->settings.triggers))
        return TICK_MS;
    live_tables_begin(tables, LIVE_CONNECTIONS);
    engine_connections(dashboard->settings.engine, update_connection, tables);
    live_tables_end(tables, LIVE_CONNECTIONS);
    update_rates(dashboard, began_ms);
    _cleanup_(json_done) json_t *server = server_json(dashboard, began_ms);
    _cleanup_(memory_free) char *json = json_dumps(server, JSON_COMPACT | JSON_REAL_PRECISION(13));
    live_tables_server(tables, json);
    int64_t pause_ms = BUSY_SHARE * (clock_now_ms() - began_ms);
    return pause_ms > TICK_MS ? pause_ms : TICK_MS;
}

struct dashboard *dashboard_new(const struct dashboard_settings *settings)
{
    struct dashboard *dashboard = memory_new(sizeof(*dashboard));
    dashboard->settings = *settings;
    dashboard->began_ms = clock_now_ms();
    dashboard->cpu_cores = dashboard->calls_per_second = NAN;
    dashboard->tables = live_tables_new(&(struct live_tables_settings){
        .hello = settings->hello, .update = update, .context = dashboard});
    dashboard->rows = trigger_rows_new(dashboard->tables);
    return dashboard;
}

void dashboard_free(struct dashboard *dashboard)
{
    if (dashboard == NULL)
        return;
    live_tables_free(dashboard->tables);
    trigger_rows_free(dashboard->rows);
    free(dashboard);
}

struct live_tables *dashboard_tables(struct dashboard *dashboard)
{
    return dashboard->tables;
}

/* ---- the trend ---- */

/* Totals are those of the last update of the tables; they are counted where nobody follows them, or
 * it did not finish. */
static bool count(const struct dashboard *dashboard)
{
    bool is_updated =
        live_tables_is_followed(dashboard->tables) && trigger_rows_totals(dashboard->rows) != NULL;
    return is_updated || trigger_rows_count(dashboard->rows, dashboard->settings.triggers);
}

void dashboard_tick(void *context)
{
    struct dashboard *dashboard = context;
    int64_t now_ms = clock_now_ms();
    if ((dashboard->trend_count > 0 && now_ms - dashboard->trend_ms < TREND_MS) ||
        !count(dashboard))
        return;
    update_rates(dashboard, now_ms);
    const struct server_figures figures = server_figures(dashboard, now_ms);
    double *point = dashboard->trend[dashboard->trend_count++ % TREND_POINTS];
    for (size_t i = 0; i < ARRAY_LENGTH(trend_columns); i++)
        point[i] = figures.of[trend_columns[i]];
    dashboard->trend_ms = now_ms;
}

void dashboard_trend(void *context, const struct web_request *request, struct web_answer *answer)
{
    const struct dashboard *dashboard = context;
    _cleanup_(json_done) json_t *page = json_object();
    json_t *columns = json_array();
    json_t *rows = json_array();
    size_t end = dashboard->trend_count;
    (void)request;
    for (size_t i = 0; i < ARRAY_LENGTH(trend_columns); i++)
        json_array_append_new(columns, json_string(figure_names[trend_columns[i]]));
    for (size_t i = end > TREND_POINTS ? end - TREND_POINTS : 0; i < end; i++) {
        json_t *row = json_array();
        for (size_t column = 0; column < ARRAY_LENGTH(trend_columns); column++)
            json_array_append_new(row, web_json_number(dashboard->trend[i % TREND_POINTS][column]));
        json_array_append_new(rows, row);
    }
    web_json_set(page, "columns", columns);
    web_json_set(page, "rows", rows);
    web_answer_json(answer, page);
}

/* ---- the pages ---- */

void dashboard_server(void *context, const struct web_request *request, struct web_answer *answer)
{
    struct dashboard *dashboard = context;
    (void)request;
    if (!count(dashboard)) {
        web_refuse_busy(answer);
        return;
    }
    int64_t now_ms = clock_now_ms();
    update_rates(dashboard, now_ms);
    _cleanup_(json_done) json_t *server = server_json(dashboard, now_ms);
    web_answer_json(answer, server);
}

void dashboard_connections(void *context, const struct web_request *request,
                           struct web_answer *answer)
{
    struct dashboard *dashboard = context;
    struct list_page page;
    if (!list_page_begin(&page, "connections", request, MAX_CONNECTIONS, MAX_CONNECTIONS, answer))
        return;
    engine_connections(dashboard->settings.engine, list_connection, &page);
    list_page_end(&page);
}

void dashboard_log(void *context, const struct web_request *request, struct web_answer *answer)
{
    _cleanup_(json_done) json_t *page = json_object();
    json_t *array = json_array();
    struct recent_line *lines = memory_array(RECENT_LOG_LINES, sizeof(*lines));
    (void)context;
    (void)request;
    size_t count = recent_log_read(0, lines, RECENT_LOG_LINES);
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(array, web_json_recent_line(&lines[i]));
        recent_line_done(&lines[i]);
    }
    free(lines);
    web_json_set(page, "lines", array);
    web_answer_json(answer, page);
}
