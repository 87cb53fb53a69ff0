#include "serve/message.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>

/* ScaledObjectRef in GetMetricsRequest, and a map entry in it, are three levels. */
enum { DEEPEST = 8 };

/*
 * Where decoded messages lie. A request is some twenty small pieces, and they were a fifth of what it
 * cost: here they follow each other, and all of the place is free again when the last piece is. What does
 * not fit comes from the heap, and so does all of it where the address sanitizer is to watch the pieces.
 */
#ifdef __SANITIZE_ADDRESS__
enum { PLACE_BYTES = 0 };
#else
enum { PLACE_BYTES = 8192 };
#endif

static _Thread_local struct {
    _Alignas(max_align_t) uint8_t bytes[PLACE_BYTES + 1];
    size_t used;
    size_t pieces;
} place;

static void *take_piece(void *context, size_t size)
{
    (void)context;
    const size_t step = _Alignof(max_align_t);
    if (size > PLACE_BYTES - place.used)
        return memory_new(size);
    void *piece = place.bytes + place.used;
    size_t rounded = (size + step - 1) / step * step;
    place.used = rounded < PLACE_BYTES - place.used ? place.used + rounded : PLACE_BYTES;
    place.pieces++;
    return piece;
}

static void give_piece(void *context, void *pointer)
{
    (void)context;
    const uint8_t *piece = pointer;
    if (piece < place.bytes || piece >= place.bytes + sizeof(place.bytes)) {
        free(pointer);
        return;
    }
    place.pieces--;
    if (place.pieces == 0)
        place.used = 0;
}

static ProtobufCAllocator pieces = {.alloc = take_piece, .free = give_piece};

enum wire_type { WIRE_VARINT = 0, WIRE_64_BIT = 1, WIRE_LENGTH = 2, WIRE_32_BIT = 5 };

/* Moves behind the number at the front. */
static bool take_varint(struct bytes *bytes, uint64_t *ret_number)
{
    *ret_number = 0;
    for (unsigned shift = 0; shift < 64 && bytes->length > 0; shift += 7) {
        uint8_t byte = *bytes->data;
        bytes->data++;
        bytes->length--;
        *ret_number |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return true;
    }
    return false;
}

static bool take_bytes(struct bytes *bytes, uint64_t length, struct bytes *ret_taken)
{
    if (length > bytes->length)
        return false;
    *ret_taken = (struct bytes){bytes->data, (size_t)length};
    bytes->data += length;
    bytes->length -= length;
    return true;
}

/* Moves behind the value of a field; `ret_content` is what stands in it. */
static bool take_value(struct bytes *bytes, unsigned wire_type, struct bytes *ret_content)
{
    uint64_t number = 0;
    *ret_content = (struct bytes){0};
    switch (wire_type) {
    case WIRE_VARINT:
        return take_varint(bytes, &number);
    case WIRE_64_BIT:
        return take_bytes(bytes, 8, ret_content);
    case WIRE_32_BIT:
        return take_bytes(bytes, 4, ret_content);
    case WIRE_LENGTH:
        return take_varint(bytes, &number) && take_bytes(bytes, number, ret_content);
    default:
        return false; /* groups are not of proto3 */
    }
}

static bool check(const ProtobufCMessageDescriptor *type, struct bytes bytes, int depth,
                  struct error *error);

static bool check_content(const ProtobufCFieldDescriptor *field, struct bytes content, int depth,
                          struct error *error)
{
    if (field->type == PROTOBUF_C_TYPE_STRING &&
        !text_is_utf8((const char *)content.data, content.length))
        return error_invalid(error, "the request's field %s is not UTF-8 text without NUL",
                             field->name);
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return check(field->descriptor, content, depth + 1, error);
    return true;
}

/* Two of one message would be merged, piece by piece: many of them are quadratic work. No client sends
 * that. */
static bool is_twice(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *field,
                     uint64_t *seen)
{
    uint64_t mark = UINT64_C(1) << ((size_t)(field - type->fields) % 64);
    bool is_single =
        field->type == PROTOBUF_C_TYPE_MESSAGE && field->label != PROTOBUF_C_LABEL_REPEATED;
    bool twice = is_single && (*seen & mark) != 0;
    *seen |= is_single ? mark : 0;
    return twice;
}

static bool check(const ProtobufCMessageDescriptor *type, struct bytes bytes, int depth,
                  struct error *error)
{
    uint64_t seen = 0;
    while (bytes.length > 0) {
        uint64_t tag;
        struct bytes content;
        bool good = depth < DEEPEST && take_varint(&bytes, &tag) && tag >> 3 != 0 &&
                    tag >> 3 <= UINT32_MAX && take_value(&bytes, tag & 7, &content);
        if (!good)
            return error_invalid(error, "the request cannot be decoded as %s", type->name);

        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3));
        if (field == NULL || (tag & 7) != WIRE_LENGTH)
            continue;
        if (is_twice(type, field, &seen))
            return error_invalid(error, "the request has the field %s twice", field->name);
        if (!check_content(field, content, depth, error))
            return false;
    }
    return true;
}

bool message_decode(const ProtobufCMessageDescriptor *type, struct bytes bytes,
                    ProtobufCMessage **ret_message, struct error *error)
{
    if (!check(type, bytes, 0, error))
        return false;
    ProtobufCMessage *message = protobuf_c_message_unpack(type, &pieces, bytes.length, bytes.data);
    if (message == NULL)
        return error_invalid(error, "the request cannot be decoded as %s", type->name);
    *ret_message = message;
    return true;
}

void message_free(ProtobufCMessage *message)
{
    if (message != NULL)
        protobuf_c_message_free_unpacked(message, &pieces);
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
