#include "serve/services/message.h"

#include "base/memory.h"
#include "base/text.h"
#include "serve/services/wire_field.h"

#include <string.h>

/* ScaledObjectRef in GetMetricsRequest, and a map entry in it, are three levels. */
enum { DEEPEST = 8 };

static ProtobufCMessage *decode(struct arena *arena, const ProtobufCMessageDescriptor *type,
                                struct bytes bytes, int depth, struct error *error);

static void *copied(struct arena *arena, struct bytes content)
{
    char *copy = arena_take(arena, content.length + 1);
    memcpy(copy, content.data, content.length);
    copy[content.length] = '\0';
    return copy;
}

static bool set_string(struct arena *arena, const ProtobufCFieldDescriptor *field,
                       struct bytes content, char **member, struct error *error)
{
    if (!text_is_utf8((const char *)content.data, content.length))
        return error_invalid(error, "the request's field %s is not UTF-8 text without NUL",
                             field->name);
    *member = copied(arena, content);
    return true;
}

/* Its capacity doubles whenever the count is a power of two. */
static void append(struct arena *arena, size_t *count, void ***items, void *item)
{
    if ((*count & (*count - 1)) == 0) {
        void **grown = arena_take(arena, (*count == 0 ? 1 : 2 * *count) * sizeof(*grown));
        if (*count > 0)
            memcpy(grown, *items, *count * sizeof(*grown));
        *items = grown;
    }
    (*items)[*count] = item;
    ++*count;
}

static bool is_set(const ProtobufCFieldDescriptor *field, const void *member,
                   const uint32_t *one_of)
{
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
        return *one_of == field->id;
    return *(void *const *)member != NULL;
}

/* Two of one message would have to be merged, piece by piece: many of them are quadratic work, and
 * no client sends that. Of two of any other field the last one counts, as protobuf says. */
static bool set_message(struct arena *arena, const ProtobufCFieldDescriptor *field,
                        struct bytes content, int depth, ProtobufCMessage *parent,
                        struct error *error)
{
    void *member = (uint8_t *)parent + field->offset;
    void *quantifier = (uint8_t *)parent + field->quantifier_offset;
    bool is_repeated = field->label == PROTOBUF_C_LABEL_REPEATED;
    if (!is_repeated && is_set(field, member, quantifier))
        return error_invalid(error, "the request has the field %s twice", field->name);
    ProtobufCMessage *message = decode(arena, field->descriptor, content, depth + 1, error);
    if (message == NULL)
        return false;
    if (is_repeated)
        append(arena, quantifier, member, message);
    else
        *(ProtobufCMessage **)member = message;
    return true;
}

static bool has_wire_type(const ProtobufCFieldDescriptor *field, enum wire_type type)
{
    bool is_length = field->type == PROTOBUF_C_TYPE_STRING ||
                     field->type == PROTOBUF_C_TYPE_BYTES || field->type == PROTOBUF_C_TYPE_MESSAGE;
    return type == (is_length ? WIRE_LENGTH : WIRE_VARINT);
}

/* The types that requests have; only messages are repeated in them. */
static bool set_field(struct arena *arena, const ProtobufCFieldDescriptor *field,
                      const struct wire_field *sent, int depth, ProtobufCMessage *message,
                      struct error *error)
{
    void *member = (uint8_t *)message + field->offset;
    void *quantifier = (uint8_t *)message + field->quantifier_offset;
    bool good = true;
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        good = set_string(arena, field, sent->content, member, error);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        good = set_message(arena, field, sent->content, depth, message, error);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        *(ProtobufCBinaryData *)member = (ProtobufCBinaryData){
            .len = sent->content.length, .data = copied(arena, sent->content)};
        break;
    case PROTOBUF_C_TYPE_UINT64:
        *(uint64_t *)member = sent->varint;
        break;
    case PROTOBUF_C_TYPE_INT32:
        *(int32_t *)member = (int32_t)sent->varint;
        break;
    default:
        return error_set(error, ERROR_INTERNAL, "no decoder for the field %s", field->name);
    }
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
        *(uint32_t *)quantifier = field->id;
    return good;
}

/* Requests have few fields: looking at all of them is quicker than any search. */
static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *type,
                                                  uint64_t number)
{
    for (unsigned i = 0; i < type->n_fields; i++)
        if (type->fields[i].id == number)
            return &type->fields[i];
    return NULL;
}

/* NULL: it cannot be decoded. */
static ProtobufCMessage *decode(struct arena *arena, const ProtobufCMessageDescriptor *type,
                                struct bytes bytes, int depth, struct error *error)
{
    ProtobufCMessage *message = arena_take(arena, type->sizeof_message);
    protobuf_c_message_init(type, message);
    while (bytes.length > 0) {
        struct wire_field sent;
        const ProtobufCFieldDescriptor *field = NULL;
        bool good = depth < DEEPEST && wire_field_take(&bytes, &sent);
        if (good)
            field = find_field(type, sent.number);
        if (!good || (field != NULL && !has_wire_type(field, sent.type))) {
            error_invalid(error, "the request cannot be decoded as %s", type->name);
            return NULL;
        }
        if (field != NULL && !set_field(arena, field, &sent, depth, message, error))
            return NULL;
    }
    return message;
}

bool message_decode(struct arena *arena, const ProtobufCMessageDescriptor *type, struct bytes bytes,
                    ProtobufCMessage **ret_message, struct error *error)
{
    ProtobufCMessage *message = decode(arena, type, bytes, 0, error);
    if (message == NULL)
        return false;
    *ret_message = message;
    return true;
}

bool message_send(struct call *call, const ProtobufCMessage *message)
{
    uint8_t small[512];
    size_t length = protobuf_c_message_get_packed_size(message);
    _cleanup_(memory_free) uint8_t *large = length > sizeof(small) ? memory_new(length) : NULL;
    uint8_t *buffer = large == NULL ? small : large;
    protobuf_c_message_pack(message, buffer);
    return call_send(call, (struct bytes){buffer, length});
}
