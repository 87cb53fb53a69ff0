#include "serve/transport/transport.h"

#include "base/clock.h"
#include "serve/transport/tls.h"

#include <stdatomic.h>

void call_read(struct call *call)
{
    call->transport->read(call);
}

bool call_send(struct call *call, struct bytes message)
{
    return call->transport->send(call, message);
}

bool call_exclude_from_limit(struct call *call)
{
    return call->transport->exclude_from_limit == NULL || call->transport->exclude_from_limit(call);
}

void call_finish(struct call *call, enum status status, const char *text)
{
    call->transport->finish(call, status <= STATUS_UNAUTHENTICATED ? status : STATUS_UNKNOWN, text);
}

/* A client gives up when its deadline has passed, by its own clock, and may end the call first. */
enum status call_unfinished(const struct call *call)
{
    enum { CLOCKS_DIFFER_MS = 10 };
    if (call->deadline_ms == CLOCK_NEVER)
        return STATUS_CANCELLED;
    bool has_passed = clock_now_ms() >= call->deadline_ms - CLOCKS_DIFFER_MS;
    return has_passed ? STATUS_DEADLINE_EXCEEDED : STATUS_CANCELLED;
}

bool server_start(const struct transport *transport, const struct server_options *options,
                  const struct call_handler *handler, struct server **ret_server,
                  struct error *error)
{
    struct tls *tls = NULL;
    if (options->tls != NULL && !tls_load(options->tls, &tls, error))
        return false;
    int64_t ends_s = tls == NULL ? 0 : tls->ends_s;
    if (!transport->start(options, handler, tls, ret_server, error)) {
        tls_free(tls);
        return false;
    }
    atomic_store(&(*ret_server)->certificate_ends_s, ends_s);
    return true;
}

bool server_reload_tls(struct server *server, const struct tls_files *files, struct error *error)
{
    struct tls *tls = NULL;
    if (!tls_load(files, &tls, error))
        return false;
    atomic_store(&server->certificate_ends_s, tls->ends_s);
    server->transport->use_tls(server, tls);
    return true;
}

void server_wake(struct server *server)
{
    server->transport->wake(server);
}

size_t server_drain(struct server *server, int64_t grace_ms)
{
    return server->transport->drain(server, grace_ms);
}

size_t server_limit_hits(const struct server *server, struct limit_hits *ret_limits, size_t max)
{
    return server->transport->limit_hits == NULL
               ? 0
               : server->transport->limit_hits(server, ret_limits, max);
}

int64_t server_certificate_ends_s(const struct server *server)
{
    return atomic_load(&server->certificate_ends_s);
}

bool server_failed_handshakes(const struct server *server, uint64_t *ret_count)
{
    if (server->transport->failed_handshakes == NULL || server_certificate_ends_s(server) == 0)
        return false;
    *ret_count = server->transport->failed_handshakes(server);
    return true;
}

void server_free(struct server *server)
{
    if (server != NULL)
        server->transport->free(server);
}
