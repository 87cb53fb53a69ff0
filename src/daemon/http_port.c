#include "daemon/http_port.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/metric.h"
#include "base/system/host_port.h"
#include "base/system/listen.h"
#include "base/system/process.h"
#include "daemon/informer_metrics.h"
#include "daemon/invalid_connections.h"
#include "daemon/probes.h"
#include "measure/agent/agent_process.h"
#include "web/content/trigger_walk.h"
#include "web/content/web_json.h"
#include "web/http/page.h"
#include "web/http/web_instance.h"
#include "web/http/web_login.h"
#include "web/pages/assets.h"
#include "web/pages/dashboard.h"
#include "web/pages/explain.h"
#include "web/pages/history_page.h"
#include "web/pages/trigger_metrics.h"
#include "web/web.h"

#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MAX_LIMITS = 32,
    MAX_PAGES = 24,
    PROBE_PAGES = 4,
};

struct http_port {
    struct http_port_parts parts;
    struct probes probes;
    struct trigger_walk walk;
    struct dashboard *dashboard;
    char *hello;             /* the dashboard's */
    struct web_login *login; /* NULL: none is needed */
    struct trigger_metrics trigger_metrics;
    struct web_page pages[MAX_PAGES];
    struct web *web; /* NULL: not wanted */
    struct web_page probe_pages[PROBE_PAGES];
    struct web *probe_web; /* NULL: not wanted */
};

static bool run_loop_call(void *context, void (*call)(void *call_context), void *call_context)
{
    const struct http_port *port = context;
    return probes_run_loop_call(&port->probes, call, call_context);
}

struct loop_page {
    const struct http_port *port;
    struct text *text;
};

/* ---- /metrics ---- */

/* What is read under the turn lock. */
static void write_of_loop(void *context)
{
    const struct loop_page *page = context;
    const struct http_port_parts *parts = &page->port->parts;
    metric_single(page->text, "backlog_triggers", METRIC_GAUGE, "Triggers that are known.",
                  (double)triggers_count(parts->triggers));
    invalid_connections_write_metrics(triggers_connections(parts->triggers), page->text);
    credentials_feed_write_metrics(parts->credentials, page->text);
    informer_metrics_write(parts->informer, page->text);
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

static void write_logins(const struct web_login *login, struct text *page)
{
    if (login != NULL)
        metric_single(page, "backlog_http_login_failures_total", METRIC_COUNTER,
                      "Wrong tokens that clients of the HTTP port showed.",
                      (double)web_login_failures(login));
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

static void write_metrics(void *context, const struct page_request *request,
                          struct page_response *response)
{
    struct http_port *port = context;
    struct loop_page page = {port, &response->body};
    (void)request;
    response->type = "text/plain; version=0.0.4; charset=utf-8";
    metric_family(&response->body, "backlog_build_info", METRIC_GAUGE, "The version that runs.");
    metric_sample(&response->body, "backlog_build_info", "version=\"" BACKLOG_VERSION "\"", 1);
    process_write_metrics(&response->body);
    agent_processes_write_metrics(&response->body);
    engine_write_metrics(port->parts.engine, &response->body);
    write_clients(port->parts.server, &response->body);
    write_logins(port->login, &response->body);
    write_limits(port->parts.server, &response->body);
    write_reloads(&port->parts, &response->body);
    if (!run_loop_call(port, write_of_loop, &page) ||
        !trigger_metrics_write(&port->trigger_metrics, &response->body))
        page_response_refuse(response, 503, "event loop not responding, or shutting down");
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

static json_t *count_workers(void *context)
{
    const struct http_port *port = context;
    return worker_pages_count(port->parts.workers);
}

/* What the page knows of the server before it shows anything. */
static char *make_hello(const struct http_port *port)
{
    char pod[HOST_NAME_MAX + 1] = "";
    char instance[WEB_INSTANCE_BYTES];
    json_t *hello = json_object();
    gethostname(pod, sizeof(pod) - 1);
    web_json_set(hello, "mode", json_string("serve"));
    web_json_set(hello, "version", json_string(BACKLOG_VERSION));
    web_json_set(hello, "assets", json_string(assets_version));
    web_json_set(hello, "pod", json_string(pod));
    web_json_set(hello, "instance", json_string(web_instance(instance)));
    web_json_set(hello, "hasWorkers", json_boolean(worker_pages_have_pods(port->parts.workers)));
    web_json_set(hello, "hasHpas", json_boolean(worker_pages_have_hpas(port->parts.workers)));
    return web_json_compact(hello, WEB_JSON_DIGITS);
}

static void make_dashboard(struct http_port *port)
{
    port->hello = make_hello(port);
    const struct dashboard_settings settings = {
        .walk = &port->walk,
        .engine = port->parts.engine,
        .hello = port->hello,
        .count_calls = calls_of,
        .count_workers = worker_pages_have_pods(port->parts.workers) ? count_workers : NULL,
        .context = port,
    };
    port->dashboard = dashboard_new(&settings);
}

/* ---- the port ---- */

int http_port_number(const struct http_port *port)
{
    return web_port(port->web);
}

int http_port_probes(const struct http_port *port)
{
    return web_port(port->probe_web);
}

static bool start(const char *what, const struct web_settings *settings, struct web **ret_web,
                  struct error *error)
{
    if (settings->listen == NULL)
        return true;
    if (!web_start(settings, ret_web, error))
        return false;
    log_info("%s on %.*s:%d", what, (int)host_port_host_length(settings->listen), settings->listen,
             web_port(*ret_web));
    return true;
}

static void fill_pages(struct http_port *port)
{
    struct probes *probes = &port->probes;
    struct dashboard *dashboard = port->dashboard;
    struct worker_pages *workers = port->parts.workers;
    struct trigger_walk *walk = &port->walk;
    const struct web_page probe_pages[] = {
        {.path = "/livez", .get = probes_write_healthz, .context = probes, .is_open = true},
        {.path = "/healthz", .get = probes_write_healthz, .context = probes, .is_open = true},
        {.path = "/readyz", .get = probes_write_readyz, .context = probes, .is_open = true},
    };
    const struct web_page pages[] = {
        {.path = "/assets/", .get = assets_file, .is_open = true},
        {.path = "/login", .get = assets_login, .is_open = true},
        {.path = "/api/events",
         .context = dashboard_tables(dashboard),
         .stream = &live_tables_stream},
        {.path = "/api/server", .get = dashboard_server, .context = dashboard},
        {.path = "/api/trend", .get = dashboard_trend, .context = dashboard},
        {.path = "/api/connections", .get = dashboard_connections, .context = dashboard},
        {.path = "/api/log", .get = dashboard_log, .context = dashboard},
        {.path = "/metrics", .get = write_metrics, .context = port, .is_open = true},
        {.path = "/api/triggers", .get = explain_list, .context = walk},
        {.path = "/api/triggers/", .get = explain_one, .context = walk},
        {.path = "/api/history/", .get = history_page, .context = walk},
        {.path = "/api/workers", .get = worker_pages_list, .context = workers},
        {.path = "/api/replicas/", .get = worker_pages_replicas, .context = workers},
        {.path = "/api/workers/", .get = worker_pages_log, .context = workers},
        {.path = "/", .get = assets_index}, /* last: all paths are below it */
    };
    _Static_assert(ARRAY_LENGTH(probe_pages) < PROBE_PAGES, "the last is empty");
    _Static_assert(ARRAY_LENGTH(probe_pages) + ARRAY_LENGTH(pages) < MAX_PAGES,
                   "the last is empty");
    memcpy(port->probe_pages, probe_pages, sizeof(probe_pages));
    memcpy(port->pages, probe_pages, sizeof(probe_pages));
    memcpy(port->pages + ARRAY_LENGTH(probe_pages), pages, sizeof(pages));
}

bool http_port_begin(const struct http_port_addresses *addresses,
                     const struct http_port_parts *parts, struct http_port **ret_port,
                     struct error *error)
{
    if (addresses->http == NULL && addresses->probes == NULL)
        return true;
    struct web_login *login = NULL;
    if (addresses->http != NULL && !web_login_new(addresses->token_file, &login, error))
        return false;
    struct http_port *port = memory_new(sizeof(*port));
    port->login = login;
    port->parts = *parts;
    port->probes.triggers = parts->triggers;
    port->probes.loop_calls = parts->loop_calls;
    port->probes.informer = parts->informer;
    port->walk = (struct trigger_walk){parts->triggers, run_loop_call, port};
    make_dashboard(port);
    worker_pages_set_walk(parts->workers, &port->walk);
    port->trigger_metrics =
        (struct trigger_metrics){.walk = &port->walk, .max = parts->metrics_per_trigger};
    fill_pages(port);
    const struct web_settings http = {
        .listen = addresses->http,
        .pages = port->pages,
        .hosts = addresses->hosts,
        .login = port->login,
        .tick = dashboard_tick,
        .tick_context = port->dashboard,
    };
    const struct web_settings probes = {
        .listen = addresses->probes,
        .pages = port->probe_pages,
        .hosts = addresses->hosts,
    };
    if (!start("HTTP", &http, &port->web, error) ||
        !start("probes", &probes, &port->probe_web, error)) {
        http_port_end(port);
        return false;
    }
    *ret_port = port;
    return true;
}

void http_port_drain(struct http_port *port)
{
    if (port != NULL)
        atomic_store(&port->probes.is_draining, true);
}

void http_port_end(struct http_port *port)
{
    if (port == NULL)
        return;
    web_stop(port->web);
    web_stop(port->probe_web);
    dashboard_free(port->dashboard);
    web_login_free(port->login);
    free(port->hello);
    free(port);
}
