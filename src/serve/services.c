#include "serve/services.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "serve/message.h"
#include "serve/reply.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

enum { MOST_SERVICES = 8 };

struct services {
    const struct rpc_service *list[MOST_SERVICES];
    size_t count;
    struct service hooks;
    struct rpc *streams; /* utlist */
    bool draining;
};

static void leave(struct rpc *rpc, enum status status)
{
    rpc->finished = true;
    if (rpc->prev_stream != NULL)
        DL_DELETE2(rpc->services->streams, rpc, prev_stream, next_stream);
    if (rpc->service->left != NULL)
        rpc->service->left(rpc, status);
}

void rpc_finish(struct rpc *rpc, enum status status, const char *text)
{
    if (rpc->finished)
        return;
    leave(rpc, status);
    call_finish(rpc->call, status, text);
}

void rpc_finish_with(struct rpc *rpc, const struct error *error)
{
    rpc_finish(rpc, reply_status(error->code), error_text(error));
}

/* ---- the hooks ---- */

static const struct method *find_method(const struct services *services, const char *path,
                                        const struct rpc_service **ret_service)
{
    for (size_t i = 0; i < services->count; i++) {
        const struct rpc_service *service = *ret_service = services->list[i];
        for (size_t k = 0; k < service->method_count; k++)
            if (text_equal(service->methods[k].path, path))
                return &service->methods[k];
    }
    return NULL;
}

static void refuse(const struct services *services, struct call *call)
{
    _cleanup_(memory_free) char *text =
        text_format("there is no method %.*s", (int)text_cut(call->path, 128), call->path);
    call_finish(call, STATUS_UNIMPLEMENTED, text);
    for (size_t i = 0; i < services->count; i++)
        if (services->list[i]->unknown != NULL)
            services->list[i]->unknown(services->list[i]->context);
}

static void begin(void *context, struct call *call)
{
    struct services *services = context;
    const struct rpc_service *service;
    const struct method *method = find_method(services, call->path, &service);
    if (method == NULL) {
        refuse(services, call);
        return;
    }
    struct rpc *rpc = memory_new(service->rpc_bytes);
    rpc->call = call;
    rpc->service = service;
    rpc->method = method;
    rpc->services = services;
    call->context = rpc;
    call_read(call);
}

static bool may_send_many(const struct rpc *rpc)
{
    return rpc->method->kind == METHOD_BIDI_STREAM;
}

/* False: there are no new streams any more. A clean end makes KEDA come back in two seconds, to another
 * replica. */
static bool begin_stream(struct rpc *rpc)
{
    if (rpc->services->draining) {
        rpc_finish(rpc, STATUS_OK, NULL);
        return false;
    }
    DL_APPEND2(rpc->services->streams, rpc, prev_stream, next_stream);
    return true;
}

static void message(void *context, struct call *call, struct bytes bytes)
{
    (void)context;
    struct rpc *rpc = call->context;
    _cleanup_(error_done) struct error error = {0};
    _cleanup_(arena_done) struct arena arena;
    ProtobufCMessage *request = NULL;
    arena_init(&arena);
    if (rpc->has_request && !may_send_many(rpc)) {
        rpc_finish(rpc, STATUS_INVALID_ARGUMENT, "the call has more than one request message");
        return;
    }
    bool is_new_stream = !rpc->has_request && rpc->method->kind != METHOD_UNARY;
    rpc->has_request = true;
    if (is_new_stream && !begin_stream(rpc))
        return;
    if (message_decode(&arena, rpc->method->request, bytes, &request, &error))
        rpc->method->ask(rpc, request, clock_now_ms());
    else
        rpc_finish_with(rpc, &error);
    if (!rpc->finished && !may_send_many(rpc))
        call_read(call); /* there should be no other */
}

static void half_closed(void *context, struct call *call)
{
    (void)context;
    struct rpc *rpc = call->context;
    if (may_send_many(rpc))
        rpc_finish(rpc, STATUS_OK, NULL);
    else if (!rpc->has_request)
        rpc_finish(rpc, STATUS_INVALID_ARGUMENT, "the call has no request message");
}

static void writable(void *context, struct call *call)
{
    (void)context;
    struct rpc *rpc = call->context;
    if (!rpc->finished && rpc->service->writable != NULL)
        rpc->service->writable(rpc);
}

static void ended(void *context, struct call *call)
{
    (void)context;
    struct rpc *rpc = call->context;
    if (rpc == NULL)
        return;
    if (!rpc->finished)
        leave(rpc, STATUS_CANCELLED);
    free(rpc);
}

static void retire(void *context, struct call *call)
{
    (void)context;
    struct rpc *rpc = call->context;
    if (rpc != NULL && rpc->prev_stream != NULL)
        rpc_finish(rpc, STATUS_OK, NULL);
}

static int64_t turn(void *context, int64_t now_ms)
{
    const struct services *services = context;
    int64_t due_ms = CLOCK_NEVER;
    for (size_t i = 0; i < services->count; i++) {
        const struct rpc_service *service = services->list[i];
        int64_t its_ms =
            service->turn == NULL ? CLOCK_NEVER : service->turn(service->context, now_ms);
        due_ms = its_ms < due_ms ? its_ms : due_ms;
    }
    return due_ms;
}

static void drain(void *context)
{
    struct services *services = context;
    services->draining = true;
    for (size_t i = 0; i < services->count; i++)
        if (services->list[i]->drain != NULL)
            services->list[i]->drain(services->list[i]->context);
    while (services->streams != NULL)
        rpc_finish(services->streams, STATUS_OK, NULL);
}

struct services *services_new(void)
{
    struct services *services = memory_new(sizeof(*services));
    services->hooks = (struct service){
        .context = services,
        .begin = begin,
        .message = message,
        .half_closed = half_closed,
        .writable = writable,
        .ended = ended,
        .turn = turn,
        .drain = drain,
        .retire = retire,
    };
    return services;
}

void services_add(struct services *services, const struct rpc_service *service)
{
    assert(services->count < MOST_SERVICES);
    services->list[services->count++] = service;
}

void services_free(struct services *services)
{
    free(services);
}

const struct service *services_hooks(const struct services *services)
{
    return &services->hooks;
}
