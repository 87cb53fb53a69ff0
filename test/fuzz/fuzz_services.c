/* A request to Health or Reflection, which look up names that come from outside: the first byte
 * says which method, the rest is the message. What they answer must be a message, and each call
 * must end once. */
#include "base/memory.h"
#include "health.pb-c.h"
#include "reflection.pb-c.h"
#include "require.h"
#include "serve/services/health.h"
#include "serve/services/reflection.h"
#include "serve/services/services.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
    const char *path;
    const ProtobufCMessageDescriptor *answer;
} methods[] = {
    {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
     &grpc__reflection__v1__server_reflection_response__descriptor},
    {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
     &grpc__reflection__v1__server_reflection_response__descriptor},
    {"/grpc.health.v1.Health/Check", &grpc__health__v1__health_check_response__descriptor},
    {"/grpc.health.v1.Health/Watch", &grpc__health__v1__health_check_response__descriptor},
};

struct noted_call {
    struct call call;
    const ProtobufCMessageDescriptor *answer;
    size_t sent;
    size_t finished;
};

static void note_read(struct call *call)
{
    require(((struct noted_call *)call)->finished == 0);
}

static bool note_send(struct call *base, struct bytes message)
{
    struct noted_call *call = (struct noted_call *)base;
    ProtobufCMessage *answer =
        protobuf_c_message_unpack(call->answer, NULL, message.length, message.data);
    require(answer != NULL && call->finished == 0);
    protobuf_c_message_free_unpacked(answer, NULL);
    call->sent++;
    return true;
}

static void note_finish(struct call *base, enum status status, const char *text)
{
    struct noted_call *call = (struct noted_call *)base;
    require(status == STATUS_OK || (text != NULL && call->sent == 0));
    call->finished++;
}

static const struct transport noting = {
    .read = note_read, .send = note_send, .finish = note_finish};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct health *health = health_new("externalscaler.ExternalScaler");
    struct services *services = services_new();
    services_add(services, health_service(health));
    services_add(services, &reflection_v1);
    services_add(services, &reflection_v1alpha);
    const struct call_handler *hooks = services_handler(services);

    size_t method = data[0] % ARRAY_LENGTH(methods);
    struct noted_call call = {.call = {.transport = &noting, .path = methods[method].path},
                              .answer = methods[method].answer};
    hooks->begin(hooks->context, &call.call);
    hooks->message(hooks->context, &call.call, (struct bytes){data + 1, size - 1});
    require(call.sent + call.finished > 0);
    hooks->drain(hooks->context);
    require(call.finished == 1);
    hooks->ended(hooks->context, &call.call, STATUS_OK);
    services_free(services);
    health_free(health);
    return 0;
}
