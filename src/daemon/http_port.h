/*
 * The HTTP port of `serve`: which page is where, and which part of the program writes what of it;
 * and the probes' port, which has /livez, /healthz and /readyz alone.
 *
 * Threads: the main thread.
 */
#ifndef BACKLOG_DAEMON_HTTP_PORT_H
#define BACKLOG_DAEMON_HTTP_PORT_H

#include "base/error.h"
#include "daemon/certificates.h"
#include "daemon/credentials_feed.h"
#include "daemon/reload.h"
#include "daemon/worker_pages.h"
#include "measure/engine.h"
#include "scale/table/triggers.h"
#include "serve/services/external_scaler.h"
#include "serve/services/loop_call.h"
#include "serve/services/services.h"
#include "serve/transport/transport.h"
#include "web/http/web_host.h"

#include <stdbool.h>

/* NULL: there is no such port. */
struct http_port_addresses {
    const char *http;
    const char *probes;
    struct web_hosts hosts; /* of both */
    const char *token_file; /* of `http`; NULL: no login */
};

/* Borrowed: they outlive the port. */
struct http_port_parts {
    struct engine *engine;
    struct triggers *triggers;
    struct external_scaler *scaler;
    const struct services *services;
    struct loop_calls *loop_calls;
    const struct server *server;
    const struct reload *reload;
    const struct certificates *certificates;
    struct worker_pages *workers;               /* NULL: --workers is not set */
    const struct credentials_feed *credentials; /* or NULL */
    struct informer *informer;                  /* or NULL */
    size_t metrics_per_trigger;                 /* triggers with metrics of their own */
};

struct http_port;

/* Without an address `*ret_port` stays NULL, which is harmless below. */
bool http_port_begin(const struct http_port_addresses *addresses,
                     const struct http_port_parts *parts, struct http_port **ret_port,
                     struct error *error);

/* For tests: the ports they listen on, where there are some. */
int http_port_number(const struct http_port *port);
int http_port_probes(const struct http_port *port);

/* From now on the server is not ready. */
void http_port_drain(struct http_port *port);
void http_port_end(struct http_port *port);

#endif
