#include "daemon/probes.h"

#include "daemon/informer_metrics.h"
#include "daemon/invalid_connections.h"
#include "web/http/page.h"

/* For the event loop; one that does not respond is not healthy. */
enum { MAX_WAIT_MS = 1000 };

bool probes_run_loop_call(const struct probes *probes, void (*call)(void *call_context),
                          void *call_context)
{
    return loop_calls_run(probes->loop_calls, call, call_context, MAX_WAIT_MS);
}

void probes_write_healthz(void *context, const struct page_request *request,
                          struct page_response *response)
{
    struct probes *probes = context;
    (void)request;
    if (atomic_load(&probes->is_draining) || loop_calls_respond(probes->loop_calls, MAX_WAIT_MS))
        text_add(&response->body, "ok\n");
    else
        page_response_refuse(response, 503, "event loop not responding");
}

struct checks {
    const struct triggers *triggers;
    struct informer *informer;
    struct text *text;
};

static void write_checks(void *context)
{
    const struct checks *checks = context;
    text_add(checks->text, "[+]event loop ok\n");
    invalid_connections_write_lines(triggers_connections(checks->triggers), checks->text);
    informer_metrics_write_lines(checks->informer, checks->text);
    text_add(checks->text, "ok\n");
}

/* With ?verbose all that is known to be wrong; an invalid connection makes nobody else wait. */
void probes_write_readyz(void *context, const struct page_request *request,
                         struct page_response *response)
{
    struct probes *probes = context;
    struct checks checks = {probes->triggers, probes->informer, &response->body};
    if (atomic_load(&probes->is_draining))
        page_response_refuse(response, 503, "shutting down");
    else if (page_request_parameter(request, "verbose") == NULL)
        probes_write_healthz(context, request, response);
    else if (!probes_run_loop_call(probes, write_checks, &checks))
        page_response_refuse(response, 503, "[-]event loop not responding");
}
