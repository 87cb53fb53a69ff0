/* The transports of this build. */
#include "base/text.h"
#include "serve/transport/transport.h"

/* The first that was built is the default: the one that costs less, and that no client brings down.
 */
const struct transport *const transport_list[] = {
#ifdef BACKLOG_TRANSPORT_NGHTTP2
    &transport_nghttp2,
#endif
#ifdef BACKLOG_TRANSPORT_GRPC_CORE
    &transport_grpc_core,
#endif
    NULL,
};

const char *const transport_names[] = {
#ifdef BACKLOG_TRANSPORT_NGHTTP2
    "nghttp2",
#endif
#ifdef BACKLOG_TRANSPORT_GRPC_CORE
    "grpc-core",
#endif
    NULL,
};

const struct transport *transport_find(const char *name)
{
    for (size_t i = 0; transport_list[i] != NULL; i++)
        if (text_equal(transport_list[i]->name, name))
            return transport_list[i];
    return NULL;
}
