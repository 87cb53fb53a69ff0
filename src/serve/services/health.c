#include "serve/services/health.h"

#include "base/memory.h"
#include "base/text.h"
#include "health.pb-c.h"
#include "serve/services/message.h"

#include <stdlib.h>
#include <utlist.h>

#define SERVING_STATUS(name) GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__##name

/* A Check, or a Watch, which is in health->watches. */
struct health_call {
    struct rpc rpc;
    bool is_watch;
    bool is_of_readiness; /* the service it names stops serving with the drain */
    struct health_call *next, *prev;
};

struct health {
    struct rpc_service service;
    const char *name;
    struct health_call *watches;
    bool draining;
};

static bool is_of_readiness(const struct health *health, const char *name)
{
    return name[0] == '\0' || text_equal(name, "readiness") || text_equal(name, health->name);
}

static int status_of(const struct health *health, const char *name)
{
    if (text_equal(name, "liveness"))
        return SERVING_STATUS(SERVING);
    if (!is_of_readiness(health, name))
        return SERVING_STATUS(SERVICE_UNKNOWN);
    return health->draining ? SERVING_STATUS(NOT_SERVING) : SERVING_STATUS(SERVING);
}

static bool send_status(const struct health_call *call, int status)
{
    Grpc__Health__V1__HealthCheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    response.status = (Grpc__Health__V1__HealthCheckResponse__ServingStatus)status;
    return message_send(call->rpc.call, &response.base);
}

static const char *name_in(const ProtobufCMessage *request)
{
    return ((const Grpc__Health__V1__HealthCheckRequest *)request)->service;
}

static void health_check(struct rpc *rpc, const ProtobufCMessage *request, int64_t now_ms)
{
    (void)now_ms;
    int status = status_of(rpc->service->context, name_in(request));
    if (status == SERVING_STATUS(SERVICE_UNKNOWN)) {
        _cleanup_(memory_free) char *text = text_format(
            "there is no service \"%.*s\"", (int)text_cut(name_in(request), 128), name_in(request));
        rpc_finish(rpc, STATUS_NOT_FOUND, text);
        return;
    }
    send_status((struct health_call *)rpc, status);
    rpc_finish(rpc, STATUS_OK, NULL);
}

/* An unknown service may be known to a later version of the server: its stream stays open. */
static void watch(struct rpc *rpc, const ProtobufCMessage *request, int64_t now_ms)
{
    (void)now_ms;
    struct health_call *call = (struct health_call *)rpc;
    struct health *health = rpc->service->context;
    call->is_watch = true;
    call->is_of_readiness = is_of_readiness(health, name_in(request));
    DL_APPEND(health->watches, call);
    send_status(call, status_of(health, name_in(request)));
}

static void end_health_call(struct rpc *rpc)
{
    struct health_call *call = (struct health_call *)rpc;
    struct health *health = rpc->service->context;
    if (call->is_watch)
        DL_DELETE(health->watches, call);
}

/* The streams end behind it; a watcher that does not read learns it from that. */
static void health_drain(void *context)
{
    struct health *health = context;
    struct health_call *watch;
    health->draining = true;
    DL_FOREACH(health->watches, watch) {
        if (watch->is_of_readiness)
            send_status(watch, SERVING_STATUS(NOT_SERVING));
    }
}

static const struct method methods[] = {
    {"/grpc.health.v1.Health/Check", &grpc__health__v1__health_check_request__descriptor,
     health_check, METHOD_UNARY},
    {"/grpc.health.v1.Health/Watch", &grpc__health__v1__health_check_request__descriptor, watch,
     METHOD_STREAM},
};

struct health *health_new(const char *service)
{
    struct health *health = memory_new(sizeof(*health));
    health->name = service;
    health->service = (struct rpc_service){
        .name = "grpc.health.v1.Health",
        .methods = methods,
        .method_count = ARRAY_LENGTH(methods),
        .rpc_bytes = sizeof(struct health_call),
        .context = health,
        .end = end_health_call,
        .drain = health_drain,
    };
    return health;
}

void health_free(struct health *health)
{
    free(health);
}

const struct rpc_service *health_service(const struct health *health)
{
    return &health->service;
}
