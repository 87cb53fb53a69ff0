/*
 * /healthz and /readyz, for the HTTP port and for a port of their own: what floods the one leaves
 * the other alone.
 *
 * Threads: the pages are written on those of the ports; `is_draining` is set on any.
 */
#ifndef BACKLOG_DAEMON_PROBES_H
#define BACKLOG_DAEMON_PROBES_H

#include "kubernetes/informer/informer.h"
#include "scale/table/triggers.h"
#include "serve/services/loop_call.h"
#include "web/web.h"

#include <stdatomic.h>

/* Borrowed: they outlive the pages. */
struct probes {
    struct triggers *triggers;
    struct loop_calls *loop_calls;
    struct informer *informer; /* or NULL */
    atomic_bool is_draining;
};

/* For another page: whether the event loop ran the call, within a second. */
bool probes_run_loop_call(const struct probes *probes, void (*call)(void *call_context),
                          void *call_context);

/* Pages; `context` is the struct. */
void probes_write_healthz(void *context, const struct page_request *request,
                          struct page_response *response);
void probes_write_readyz(void *context, const struct page_request *request,
                         struct page_response *response);

#endif
