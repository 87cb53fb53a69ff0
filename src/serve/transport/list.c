/* The transports. */
#include "base/text.h"
#include "serve/transport/transport.h"

/* The first is the default: it costs less, and no client brings it down. */
const struct transport *const transport_list[] = {
    &transport_nghttp2,
    &transport_grpc_core,
    NULL,
};

const char *const transport_names[] = {
    "nghttp2",
    "grpc-core",
    NULL,
};

const struct transport *transport_find(const char *name)
{
    for (size_t i = 0; transport_list[i] != NULL; i++)
        if (text_equal(transport_list[i]->name, name))
            return transport_list[i];
    return NULL;
}
