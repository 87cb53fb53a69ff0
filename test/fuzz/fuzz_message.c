/* Bytes into the decoder of requests. What it lets through must be what it says: text, and
 * encodable. */
#include "base/memory.h"
#include "base/text.h"
#include "externalscaler.pb-c.h"
#include "health.pb-c.h"
#include "reflection.pb-c.h"
#include "require.h"
#include "serve/services/message.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const void *member(const ProtobufCMessage *message, unsigned offset)
{
    return (const uint8_t *)message + offset;
}

static bool is_there(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    return (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0 ||
           *(const uint32_t *)member(message, field->quantifier_offset) == field->id;
}

/* All strings in it are text, at any depth. */
static void require_sound(const ProtobufCMessage *message)
{
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        const void *value = member(message, field->offset);
        if (!is_there(message, field))
            continue;
        if (field->type == PROTOBUF_C_TYPE_STRING)
            require_text(*(char *const *)value);
        if (field->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        bool is_list = field->label == PROTOBUF_C_LABEL_REPEATED;
        size_t count = is_list ? *(const size_t *)member(message, field->quantifier_offset) : 1;
        ProtobufCMessage *const *items =
            is_list ? *(ProtobufCMessage *const *const *)value : (ProtobufCMessage *const *)value;
        for (size_t k = 0; k < count; k++)
            if (items[k] != NULL)
                require_sound(items[k]);
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

static const ProtobufCMessageDescriptor *const requests[] = {
    &externalscaler__get_metrics_request__descriptor,
    &externalscaler__scaled_object_ref__descriptor,
    &grpc__health__v1__health_check_request__descriptor,
    &grpc__reflection__v1__server_reflection_request__descriptor,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++) {
        _cleanup_(error_done) struct error error = {0};
        _cleanup_(arena_done) struct arena arena;
        ProtobufCMessage *message = NULL;
        arena_init(&arena);
        if (message_decode(&arena, requests[i], (struct bytes){data, size}, &message, &error)) {
            require_sound(message);
            require_repeatable(message);
        } else {
            require(message == NULL && error.code == ERROR_INVALID);
            require_text(error_text(&error));
        }
    }
    return 0;
}
