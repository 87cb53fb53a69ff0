#include "web/pages/dashboard.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/recent_log.h"
#include "web/content/list_part.h"
#include "web/content/web_json.h"
#include "web/pages/connection_rows.h"
#include "web/pages/server_figures.h"
#include "web/pages/trigger_rows.h"

#include <stdlib.h>

enum {
    UPDATE_MS = 1000,
    /* After a walk that failed, which kept other pages waiting for seconds. */
    UPDATE_AFTER_FAILURE_MS = 5000,
    MAX_LISTED_CONNECTIONS = 4096,
};

struct dashboard {
    struct dashboard_settings settings;
    struct live_tables *tables;
    struct trigger_rows *rows;
    struct server_figures *figures;
};

/* Makes the figures with the totals that were counted last. NULL: the server's loop did not have
 * the time. */
static json_t *make_figures(const struct dashboard *dashboard)
{
    const struct dashboard_settings *settings = &dashboard->settings;
    bool has_workers = settings->count_workers != NULL;
    json_t *workers = has_workers ? settings->count_workers(settings->context) : NULL;
    if (has_workers && workers == NULL)
        return NULL;
    json_t *figures = server_figures_json(dashboard->figures, trigger_rows_totals(dashboard->rows));
    if (has_workers)
        web_json_set(figures, "workers", workers);
    return figures;
}

/* ---- the tables ---- */

/* False: the server's loop did not have the time. */
static bool update_tables(struct dashboard *dashboard, struct live_tables *tables)
{
    if (!trigger_rows_update(dashboard->rows, dashboard->settings.walk))
        return false;
    connection_rows_update(tables, dashboard->settings.engine);
    json_t *figures = make_figures(dashboard);
    if (figures == NULL)
        return false;
    _cleanup_(memory_free) char *server = web_json_compact(figures, WEB_JSON_STREAM_DIGITS);
    live_tables_server(tables, server);
    return true;
}

/* The thread of the server's loop visits the triggers: its time is added here (web_stream.h). It is
 * the time by the clock, during which calls of KEDA wait, also where the thread is preempted. */
static int64_t update_dashboard(void *context, struct live_tables *tables)
{
    struct dashboard *dashboard = context;
    const struct trigger_walk *walk = dashboard->settings.walk;
    int64_t before_us = walk->visited_us;
    int64_t wait_ms = update_tables(dashboard, tables) ? UPDATE_MS : UPDATE_AFTER_FAILURE_MS;
    return wait_ms + WEB_STREAM_BUSY_SHARE * (walk->visited_us - before_us) / 1000;
}

struct dashboard *dashboard_new(const struct dashboard_settings *settings)
{
    struct dashboard *dashboard = memory_new(sizeof(*dashboard));
    dashboard->settings = *settings;
    dashboard->tables = live_tables_new(&(struct live_tables_settings){
        .hello = settings->hello, .update = update_dashboard, .context = dashboard});
    dashboard->rows = trigger_rows_new(dashboard->tables);
    dashboard->figures =
        server_figures_new(settings->engine, settings->count_calls, settings->context);
    return dashboard;
}

void dashboard_free(struct dashboard *dashboard)
{
    if (dashboard == NULL)
        return;
    live_tables_free(dashboard->tables);
    trigger_rows_free(dashboard->rows);
    server_figures_free(dashboard->figures);
    free(dashboard);
}

struct live_tables *dashboard_tables(struct dashboard *dashboard)
{
    return dashboard->tables;
}

/* Makes totals available: those of the last update of the tables, or new ones where the tables have
 * no reader, or their update did not finish. */
static bool provide_totals(const struct dashboard *dashboard)
{
    bool is_updated =
        live_tables_has_readers(dashboard->tables) && trigger_rows_totals(dashboard->rows) != NULL;
    return is_updated || trigger_rows_count(dashboard->rows, dashboard->settings.walk);
}

void dashboard_tick(void *context)
{
    struct dashboard *dashboard = context;
    int64_t now_ms = clock_now_ms();
    if (!server_figures_is_point_due(dashboard->figures, now_ms))
        return;
    if (provide_totals(dashboard))
        server_figures_add_point(dashboard->figures, trigger_rows_totals(dashboard->rows), now_ms);
    else /* the 15 s begin after the time that was waited for */
        server_figures_skip_point(dashboard->figures, clock_now_ms());
}

/* ---- the pages ---- */

void dashboard_trend(void *context, const struct page_request *request,
                     struct page_response *response)
{
    const struct dashboard *dashboard = context;
    (void)request;
    _cleanup_(json_done) json_t *trend = server_figures_trend_json(dashboard->figures);
    web_json_respond(response, trend);
}

void dashboard_server(void *context, const struct page_request *request,
                      struct page_response *response)
{
    struct dashboard *dashboard = context;
    (void)request;
    _cleanup_(json_done) json_t *server =
        provide_totals(dashboard) ? make_figures(dashboard) : NULL;
    if (server != NULL)
        web_json_respond(response, server);
    else
        trigger_walk_refuse_busy(response);
}

void dashboard_connections(void *context, const struct page_request *request,
                           struct page_response *response)
{
    struct dashboard *dashboard = context;
    struct list_part list;
    if (!list_part_begin(&list, "connections", request, MAX_LISTED_CONNECTIONS,
                         MAX_LISTED_CONNECTIONS, response))
        return;
    connection_rows_list(dashboard->settings.engine, &list);
    list_part_end(&list);
}

void dashboard_log(void *context, const struct page_request *request,
                   struct page_response *response)
{
    _cleanup_(json_done) json_t *page = json_object();
    uint64_t after = 0;
    (void)context;
    (void)request;
    web_json_set(page, "lines", web_json_log(&after, RECENT_LOG_LINES));
    web_json_respond(response, page);
}
