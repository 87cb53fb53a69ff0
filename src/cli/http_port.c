#include "cli/http_port.h"

#include "base/listen.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metric.h"
#include "base/process.h"
#include "cli/invalid_connections.h"
#include "cli/kubernetes_secrets.h"
#include "measure/agent_process.h"
#include "web/assets.h"
#include "web/dashboard.h"
#include "web/explain.h"
#include "web/history_page.h"
#include "web/http.h"
#include "web/trigger_metrics.h"
#include "web/walk.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_WAIT_MS = 1000, /* for the event loop; one that does not respond is not healthy */
    MAX_LIMITS = 32,
    MAX_PAGES = 16, /* the last is empty */
};

struct http_port {
    struct http_port_parts parts;
    struct walk_source triggers;
    struct dashboard *dashboard;
    struct trigger_metrics trigger_metrics;
    struct web_page pages[MAX_PAGES];
    struct web *web;
    atomic_bool is_draining;
};

static bool run_loop_call(void *context, void (*call)(void *call_context), void *call_context)
{
    const struct http_port *port = context;
    return loop_calls_run(port->parts.loop_calls, call, call_context, MAX_WAIT_MS);
}

/* ---- /healthz and /readyz ---- */

static void do_nothing(void *context)
{
    (void)context;
}

static void refuse(struct web_answer *answer, const char *why)
{
    answer->code = 503;
    text_clear(&answer->body);
    text_add(&answer->body, why);
}

static void write_healthz(void *context, const struct web_request *request,
                          struct web_answer *answer)
{
    struct http_port *port = context;
    (void)request;
    if (atomic_load(&port->is_draining) || run_loop_call(port, do_nothing, NULL))
        text_add(&answer->body, "ok\n");
    else
        refuse(answer, "event loop not responding\n");
}

struct loop_page {
    const struct http_port *port;
    struct text *text;
};

static void write_checks(void *context)
{
    const struct loop_page *page = context;
    text_add(page->text, "[+]event loop ok\n");
    invalid_connections_write_lines(triggers_connections(page->port->parts.triggers), page->text);
    kubernetes_secrets_write_lines(triggers_secrets(page->port->parts.triggers), page->text);
    text_add(page->text, "ok\n");
}

/* With ?verbose all that is known to be wrong; an invalid connection makes nobody else wait. */
static void write_readyz(void *context, const struct web_request *request,
                         struct web_answer *answer)
{
    struct http_port *port = context;
    struct loop_page page = {port, &answer->body};
    if (atomic_load(&port->is_draining))
        refuse(answer, "shutting down\n");
    else if (web_parameter(request, "verbose") == NULL)
        write_healthz(context, request, answer);
    else if (!run_loop_call(port, write_checks, &page))
        refuse(answer, "[-]event loop not responding\n");
}

/* ---- /metrics ---- */

static void write_calls(void *context)
{
    const struct loop_page *page = context;
    const struct http_port_parts *parts = &page->port->parts;
    metric_single(page->text, "backlog_triggers", METRIC_GAUGE, "Triggers that are known.",
                  (double)triggers_count(parts->triggers));
    invalid_connections_write_metrics(triggers_connections(parts->triggers), page->text);
    kubernetes_secrets_write_metrics(triggers_secrets(parts->triggers), page->text);
    services_write_metrics(parts->services, page->text);
    external_scaler_write_metrics(parts->scaler, page->text);
}

static void write_clients(const struct server *server, struct text *page)
{
    int64_t ends_s = server_certificate_ends_s(server);
    uint64_t failed;
    size_t clients;
    if (listen_clients(server->port, &clients))
        metric_single(page, "backlog_client_connections", METRIC_GAUGE,
                      "Connections of clients, those that have not sent anything yet included.",
                      (double)clients);
    if (ends_s != 0)
        metric_single(page, "backlog_certificate_expiry_timestamp_seconds", METRIC_GAUGE,
                      "When the server's certificate expires.", (double)ends_s);
    if (server_failed_handshakes(server, &failed))
        metric_single(page, "backlog_tls_handshake_failures_total", METRIC_COUNTER,
                      "TLS handshakes that failed.", (double)failed);
}

static void write_reloads(const struct http_port_parts *parts, struct text *page)
{
    const struct reload_row rows[] = {
        {"connections", reload_stats_of(parts->reload)},
        {"certificate", certificates_stats(parts->certificates)},
    };
    reload_stats_write(rows, ARRAY_LENGTH(rows), page);
}

static void write_limits(const struct server *server, struct text *page)
{
    static const char name[] = "backlog_limit_hits_total";
    struct limit_hits hits[MAX_LIMITS];
    size_t count = server_limit_hits(server, hits, ARRAY_LENGTH(hits));
    metric_family(page, name, METRIC_COUNTER, "Times that a client exceeded a protocol limit.");
    for (size_t i = 0; i < count; i++) {
        _cleanup_(memory_free) char *labels = text_format("limit=\"%s\"", hits[i].name);
        metric_sample(page, name, labels, (double)hits[i].hits);
    }
}

static void write_metrics(void *context, const struct web_request *request,
                          struct web_answer *answer)
{
    struct http_port *port = context;
    struct loop_page page = {port, &answer->body};
    (void)request;
    answer->type = "text/plain; version=0.0.4; charset=utf-8";
    metric_family(&answer->body, "backlog_build_info", METRIC_GAUGE, "The version that runs.");
    metric_sample(&answer->body, "backlog_build_info", "version=\"" BACKLOG_VERSION "\"", 1);
    process_write_metrics(&answer->body);
    agent_processes_write_metrics(&answer->body);
    engine_write_metrics(port->parts.engine, &answer->body);
    write_clients(port->parts.server, &answer->body);
    write_limits(port->parts.server, &answer->body);
    write_reloads(&port->parts, &answer->body);
    if (!run_loop_call(port, write_calls, &page) ||
        !trigger_metrics_write(&port->trigger_metrics, &answer->body))
        refuse(answer, "event loop not responding, or shutting down\n");
}

/* ---- the dashboard ---- */

struct calls_count {
    const struct services *services;
    uint64_t calls;
};

static void count_calls(void *context)
{
    struct calls_count *count = context;
    count->calls = services_calls(count->services);
}

static uint64_t calls_of(void *context)
{
    const struct http_port *port = context;
    struct calls_count count = {port->parts.services, 0};
    return run_loop_call(context, count_calls, &count) ? count.calls : UINT64_MAX;
}

static void make_dashboard(struct http_port *port)
{
    const struct dashboard_settings settings = {
        .triggers = &port->triggers,
        .engine = port->parts.engine,
        .hello = "{\"mode\":\"serve\",\"version\":\"" BACKLOG_VERSION "\"}",
        .calls = calls_of,
        .context = port,
    };
    port->dashboard = dashboard_new(&settings);
}

/* ---- the port ---- */

int http_port_number(const struct http_port *port)
{
    return web_port(port->web);
}

bool http_port_begin(const char *listen, const struct http_port_parts *parts,
                     struct http_port **ret_port, struct error *error)
{
    if (listen == NULL)
        return true;
    struct http_port *port = memory_new(sizeof(*port));
    port->parts = *parts;
    port->triggers = (struct walk_source){parts->triggers, run_loop_call, port};
    make_dashboard(port);
    struct dashboard *dashboard = port->dashboard;
    port->trigger_metrics =
        (struct trigger_metrics){.source = &port->triggers, .max = parts->metrics_per_trigger};
    memcpy(port->pages,
           (struct web_page[MAX_PAGES]){
               {"/assets/", assets_file, NULL},
               {"/api/events", NULL, dashboard_feed(dashboard), &feed_hooks},
               {"/api/server", dashboard_server, dashboard},
               {"/api/connections", dashboard_connections, dashboard},
               {"/api/log", dashboard_log, dashboard},
               {"/healthz", write_healthz, port},
               {"/readyz", write_readyz, port},
               {"/metrics", write_metrics, port},
               {"/api/triggers", explain_list, &port->triggers},
               {"/api/triggers/", explain_one, &port->triggers},
               {"/api/history/", history_page, &port->triggers},
               {"/", assets_index, NULL}, /* last: all paths are below it */
           },
           sizeof(port->pages));
    if (!web_start(listen, port->pages, &port->web, error)) {
        dashboard_free(port->dashboard);
        free(port);
        return false;
    }
    log_info("HTTP on %.*s:%d", (int)(strrchr(listen, ':') - listen), listen,
             http_port_number(port));
    *ret_port = port;
    return true;
}

void http_port_drain(struct http_port *port)
{
    if (port != NULL)
        atomic_store(&port->is_draining, true);
}

void http_port_end(struct http_port *port)
{
    if (port == NULL)
        return;
    web_stop(port->web);
    dashboard_free(port->dashboard);
    free(port);
}
