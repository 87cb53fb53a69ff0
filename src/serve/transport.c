#include "serve/transport.h"

void call_read(struct call *call)
{
    call->transport->read(call);
}

bool call_send(struct call *call, struct bytes message)
{
    return call->transport->send(call, message);
}

void call_finish(struct call *call, enum status status, const char *text)
{
    call->transport->finish(call, status, text);
}

bool server_start(const struct transport *transport, const struct server_options *options,
                  const struct service *service, struct server **ret_server, struct error *error)
{
    return transport->start(options, service, ret_server, error);
}

void server_wake(struct server *server)
{
    server->transport->wake(server);
}

size_t server_drain(struct server *server, int64_t grace_ms)
{
    return server->transport->drain(server, grace_ms);
}

void server_free(struct server *server)
{
    server->transport->free(server);
}
