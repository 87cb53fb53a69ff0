/* Bytes into the decoder of requests. What it lets through must be what it says: text, and encodable. */
#include "base/memory.h"
#include "base/text.h"
#include "externalscaler.pb-c.h"
#include "serve/message.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void require_text(const char *text)
{
    require(text_is_utf8(text, strlen(text)));
}

static void require_sound(const Externalscaler__ScaledObjectRef *ref)
{
    if (ref == NULL)
        return;
    require_text(ref->name);
    require_text(ref->namespace_);
    for (size_t i = 0; i < ref->n_scalermetadata; i++) {
        require_text(ref->scalermetadata[i]->key);
        require_text(ref->scalermetadata[i]->value);
    }
}

/* Encoded again, and decoded again, it is the same. */
static void require_repeatable(const ProtobufCMessage *message)
{
    _cleanup_(error_done) struct error error = {0};
    size_t length = protobuf_c_message_get_packed_size(message);
    uint8_t *encoded = memory_new(length + 1);
    uint8_t *again = memory_new(length + 1);
    _cleanup_(arena_done) struct arena arena;
    arena_init(&arena);
    ProtobufCMessage *decoded = NULL;
    protobuf_c_message_pack(message, encoded);
    require(message_decode(&arena, message->descriptor, (struct bytes){encoded, length}, &decoded,
                           &error));
    require(protobuf_c_message_get_packed_size(decoded) == length);
    protobuf_c_message_pack(decoded, again);
    require(memcmp(encoded, again, length) == 0);
    free(encoded);
    free(again);
}

static ProtobufCMessage *decode(struct arena *arena, const ProtobufCMessageDescriptor *type,
                                struct bytes bytes)
{
    _cleanup_(error_done) struct error error = {0};
    ProtobufCMessage *message = NULL;
    if (message_decode(arena, type, bytes, &message, &error)) {
        require_repeatable(message);
        return message;
    }
    require(message == NULL && error.code == ERROR_INVALID);
    require_text(error_text(&error));
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes bytes = {data, size};
    _cleanup_(arena_done) struct arena arena;
    arena_init(&arena);
    ProtobufCMessage *request =
        decode(&arena, &externalscaler__get_metrics_request__descriptor, bytes);
    ProtobufCMessage *ref = decode(&arena, &externalscaler__scaled_object_ref__descriptor, bytes);
    if (request != NULL)
        require_sound(((Externalscaler__GetMetricsRequest *)request)->scaledobjectref);
    require_sound((Externalscaler__ScaledObjectRef *)ref);
    return 0;
}
