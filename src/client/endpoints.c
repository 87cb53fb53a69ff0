#include "client/endpoints.h"

#include "base/clock.h"
#include "base/text.h"

#include <stdlib.h>

enum { RETRY_MS = 1000 };

struct endpoint *endpoints_find(struct endpoints *endpoints, const char *address)
{
    for (size_t i = 0; i < endpoints->count; i++)
        if (text_equal(endpoints->items[i].address, address))
            return &endpoints->items[i];
    if (endpoints->count == ENDPOINTS_MAX)
        return NULL;
    struct endpoint *endpoint = &endpoints->items[endpoints->count++];
    endpoint->address = text_copy(address);
    return endpoint;
}

bool endpoints_connect(struct endpoints *endpoints, struct endpoint *endpoint, int64_t deadline_ms)
{
    if (endpoint->client != NULL)
        return true;
    if (endpoint->retry_at_ms > clock_now_ms())
        return false;
    error_done(&endpoint->error);
    endpoint->error = (struct error){0};
    if (grpc_client_connect(endpoint->address, &endpoints->tls, deadline_ms, &endpoint->client,
                            &endpoint->error)) {
        endpoint->connections++;
        return true;
    }
    endpoint->retry_at_ms = clock_now_ms() + RETRY_MS;
    return false;
}

void endpoints_drop(struct endpoint *endpoint, const char *reason)
{
    grpc_client_free(endpoint->client);
    endpoint->client = NULL;
    error_unavailable(&endpoint->error, "%s: %s", endpoint->address, reason);
    endpoint->retry_at_ms = clock_now_ms() + RETRY_MS;
}

void endpoints_done(struct endpoints *endpoints)
{
    for (size_t i = 0; i < endpoints->count; i++) {
        grpc_client_free(endpoints->items[i].client);
        error_done(&endpoints->items[i].error);
        free(endpoints->items[i].address);
    }
    endpoints->count = 0;
}
