#include "serve/services/wire_field.h"

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

bool wire_field_take(struct bytes *bytes, struct wire_field *ret_field)
{
    uint64_t tag;
    uint64_t length;
    if (!take_varint(bytes, &tag) || tag >> 3 == 0 || tag >> 3 > UINT32_MAX)
        return false;
    *ret_field = (struct wire_field){.number = tag >> 3, .type = (enum wire_type)(tag & 7)};
    switch (ret_field->type) {
    case WIRE_VARINT:
        return take_varint(bytes, &ret_field->varint);
    case WIRE_64_BIT:
        return take_bytes(bytes, 8, &ret_field->content);
    case WIRE_32_BIT:
        return take_bytes(bytes, 4, &ret_field->content);
    case WIRE_LENGTH:
        return take_varint(bytes, &length) && take_bytes(bytes, length, &ret_field->content);
    }
    return false; /* groups are not of proto3 */
}
