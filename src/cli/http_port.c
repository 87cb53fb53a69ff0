#include "cli/http_port.h"

#include "base/listen.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metric.h"
#include "base/process.h"
#include "measure/agent_process.h"
#include "web/explain.h"
#include "web/http.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_WAIT_MS = 1000, /* for the event loop; one that does not respond is not healthy */
    MAX_LIMITS = 32,
};

struct http_port {
    struct http_port_parts parts;
    struct explain explain;
    struct web_page pages[6];
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

static void write_readyz(void *context, const struct web_request *request,
                         struct web_answer *answer)
{
    struct http_port *port = context;
    if (atomic_load(&port->is_draining))
        refuse(answer, "shutting down\n");
    else
        write_healthz(context, request, answer);
}

/* ---- /metrics ---- */

struct calls_page {
    const struct http_port *port;
    struct text *text;
};

static void write_calls(void *context)
{
    const struct calls_page *page = context;
    const struct http_port_parts *parts = &page->port->parts;
    metric_single(page->text, "backlog_triggers", METRIC_GAUGE, "Triggers that are known.",
                  (double)triggers_count(parts->triggers));
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
    metric_family(page, name, METRIC_COUNTER, "Times that a client exceeded a limit of the wire.");
    for (size_t i = 0; i < count; i++) {
        _cleanup_(memory_free) char *labels = text_format("limit=\"%s\"", hits[i].name);
        metric_sample(page, name, labels, (double)hits[i].hits);
    }
}

static void write_metrics(void *context, const struct web_request *request,
                          struct web_answer *answer)
{
    struct http_port *port = context;
    struct calls_page page = {port, &answer->body};
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
    if (!run_loop_call(port, write_calls, &page))
        refuse(answer, "event loop not responding, or shutting down\n");
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
    port->explain = (struct explain){parts->triggers, run_loop_call, port};
    memcpy(port->pages,
           (struct web_page[]){
               {"/healthz", write_healthz, port},
               {"/readyz", write_readyz, port},
               {"/metrics", write_metrics, port},
               {"/api/triggers", explain_list, &port->explain},
               {"/api/triggers/", explain_one, &port->explain},
               {0},
           },
           sizeof(port->pages));
    if (!web_start(listen, port->pages, &port->web, error)) {
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
    free(port);
}
