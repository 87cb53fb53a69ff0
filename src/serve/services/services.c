#include "serve/services/services.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "serve/services/call_stats.h"
#include "serve/services/message.h"
#include "serve/services/reply.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { MAX_SERVICES = 8 };

/* A method that is called here, and by whom it is served. */
struct served {
    const struct rpc_service *service;
    const struct method *method;
    struct call_stats stats;
    struct served *next; /* utlist */
};

struct services {
    const struct rpc_service *list[MAX_SERVICES];
    size_t count;
    struct served *served;
    struct call_stats unknown; /* of what no service has; before all others on their list */
    struct call_handler handler;
    struct rpc *streams; /* utlist */
    bool draining;
};

const char *method_name(const struct method *method)
{
    return strrchr(method->path, '/') + 1;
}

static void end_rpc(struct rpc *rpc)
{
    rpc->finished = true;
    if (rpc->prev_stream != NULL) {
        DL_DELETE2(rpc->services->streams, rpc, prev_stream, next_stream);
        rpc->stats->open--;
    }
    if (rpc->method->kind == METHOD_UNARY && rpc->has_request)
        histogram_add(&rpc->stats->seconds, (double)(clock_now_us() - rpc->request_us) / 1e6);
    if (rpc->service->end != NULL)
        rpc->service->end(rpc);
}

void rpc_finish(struct rpc *rpc, enum status status, const char *text)
{
    if (rpc->finished)
        return;
    end_rpc(rpc);
    call_finish(rpc->call, status, text);
}

void rpc_finish_with(struct rpc *rpc, const struct error *error)
{
    rpc_finish(rpc, reply_status(error->code), error_text(error));
}

/* ---- the hooks ---- */

static struct served *find_served(const struct services *services, const char *path)
{
    struct served *served = services->served;
    while (served != NULL && !text_equal(served->method->path, path))
        served = served->next;
    return served;
}

static void services_begin(void *context, struct call *call)
{
    struct services *services = context;
    struct served *served = find_served(services, call->path);
    if (served == NULL) {
        _cleanup_(memory_free) char *text =
            text_format("there is no method %.*s", (int)text_cut(call->path, 128), call->path);
        call_finish(call, STATUS_UNIMPLEMENTED, text);
        return;
    }
    struct rpc *rpc = memory_new(served->service->rpc_bytes);
    rpc->call = call;
    rpc->service = served->service;
    rpc->method = served->method;
    rpc->services = services;
    rpc->stats = &served->stats;
    call->context = rpc;
    call_read(call);
}

static bool may_send_many(const struct rpc *rpc)
{
    return rpc->method->kind == METHOD_BIDI_STREAM;
}

/* False: there are no new streams any more. A clean end makes KEDA come back in two seconds, to
 * another replica. */
static bool begin_stream(struct rpc *rpc)
{
    if (rpc->services->draining) {
        rpc_finish(rpc, STATUS_OK, NULL);
        return false;
    }
    DL_APPEND2(rpc->services->streams, rpc, prev_stream, next_stream);
    rpc->stats->open++;
    return true;
}

static void services_message(void *context, struct call *call, struct bytes bytes)
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
    rpc->request_us = clock_now_us();
    if (is_new_stream && !begin_stream(rpc))
        return;
    if (message_decode(&arena, rpc->method->request, bytes, &request, &error))
        rpc->method->handle(rpc, request, rpc->request_us / 1000);
    else
        rpc_finish_with(rpc, &error);
    if (!rpc->finished && !may_send_many(rpc))
        call_read(call); /* there should be no other */
}

static void services_half_closed(void *context, struct call *call)
{
    (void)context;
    struct rpc *rpc = call->context;
    if (may_send_many(rpc))
        rpc_finish(rpc, STATUS_OK, NULL);
    else if (!rpc->has_request)
        rpc_finish(rpc, STATUS_INVALID_ARGUMENT, "the call has no request message");
}

static void services_writable(void *context, struct call *call)
{
    (void)context;
    struct rpc *rpc = call->context;
    if (!rpc->finished && rpc->service->writable != NULL)
        rpc->service->writable(rpc);
}

static void services_ended(void *context, struct call *call, enum status status)
{
    struct services *services = context;
    struct rpc *rpc = call->context;
    struct call_stats *stats = rpc == NULL ? &services->unknown : rpc->stats;
    stats->ended[status]++;
    if (rpc != NULL && !rpc->finished)
        end_rpc(rpc);
    free(rpc);
}

static void services_refused(void *context, const char *path, enum status status)
{
    struct services *services = context;
    struct served *served = find_served(services, path);
    struct call_stats *stats = served == NULL ? &services->unknown : &served->stats;
    stats->ended[status]++;
}

static void services_retire(void *context, struct call *call)
{
    (void)context;
    struct rpc *rpc = call->context;
    if (rpc != NULL && rpc->prev_stream != NULL)
        rpc_finish(rpc, STATUS_OK, NULL);
}

static int64_t services_turn(void *context, int64_t now_ms)
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

static void services_drain(void *context)
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
    services->unknown = (struct call_stats){.service = "unknown", .method = "unknown"};
    services->handler = (struct call_handler){
        .context = services,
        .begin = services_begin,
        .message = services_message,
        .half_closed = services_half_closed,
        .writable = services_writable,
        .ended = services_ended,
        .refused = services_refused,
        .turn = services_turn,
        .drain = services_drain,
        .retire = services_retire,
    };
    return services;
}

void services_add(struct services *services, const struct rpc_service *service)
{
    assert(services->count < MAX_SERVICES);
    services->list[services->count++] = service;
    for (size_t i = 0; i < service->method_count; i++) {
        struct served *served = memory_new(sizeof(*served));
        served->service = service;
        served->method = &service->methods[i];
        served->stats = (struct call_stats){.service = service->name,
                                            .method = method_name(served->method),
                                            .is_stream = served->method->kind != METHOD_UNARY};
        LL_APPEND(services->served, served);
        struct call_stats *unknown = &services->unknown;
        LL_APPEND(unknown, &served->stats);
    }
}

uint64_t services_calls(const struct services *services)
{
    return call_stats_ended(&services->unknown);
}

void services_write_metrics(const struct services *services, struct text *page)
{
    call_stats_write(&services->unknown, page);
}

void services_free(struct services *services)
{
    struct served *served;
    struct served *next;
    if (services == NULL)
        return;
    LL_FOREACH_SAFE(services->served, served, next)
        free(served);
    free(services);
}

const struct call_handler *services_handler(const struct services *services)
{
    return &services->handler;
}
