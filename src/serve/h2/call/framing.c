#include "serve/h2/call/framing.h"

#include "base/memory.h"

#include <stdlib.h>
#include <zlib.h>

enum framing_found framing_take(struct bytes *input, size_t max_bytes,
                                struct framing_message *ret_message)
{
    const uint8_t *data = input->data;
    if (input->length == 0)
        return FRAMING_MORE;
    if (data[0] > 1)
        return FRAMING_BAD_FLAG;
    if (input->length < FRAMING_PREFIX_BYTES)
        return FRAMING_MORE;

    uint32_t length =
        (uint32_t)data[1] << 24 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 8 | data[4];
    *ret_message = (struct framing_message){
        .bytes = {data + FRAMING_PREFIX_BYTES, length},
        .compressed = data[0] == 1,
        .length = length,
    };
    if (length > max_bytes)
        return FRAMING_TOO_LARGE;
    if (input->length - FRAMING_PREFIX_BYTES < length)
        return FRAMING_MORE;
    input->data += FRAMING_PREFIX_BYTES + length;
    input->length -= FRAMING_PREFIX_BYTES + length;
    return FRAMING_MESSAGE;
}

void framing_put_prefix(uint8_t *buffer, uint32_t length)
{
    buffer[0] = 0;
    buffer[1] = (uint8_t)(length >> 24);
    buffer[2] = (uint8_t)(length >> 16);
    buffer[3] = (uint8_t)(length >> 8);
    buffer[4] = (uint8_t)length;
}

/* Inflates into a buffer that grows to one byte above the limit, to distinguish "more" from
 * "exactly". */
static enum framing_inflated inflate_all(z_stream *stream, size_t max_bytes, uint8_t **buffer)
{
    size_t capacity = 0;
    for (;;) {
        size_t wanted = stream->total_out + 1;
        if (wanted > max_bytes + 1)
            return FRAMING_GROWS_TOO_LARGE;
        if (wanted > capacity)
            *buffer = memory_grow(*buffer, &capacity, wanted < 1024 ? 1024 : wanted, 1);
        size_t space = (capacity < max_bytes + 1 ? capacity : max_bytes + 1) - stream->total_out;
        stream->next_out = *buffer + stream->total_out;
        stream->avail_out = (uInt)space;

        int result = inflate(stream, Z_NO_FLUSH);
        if (result == Z_STREAM_END)
            break;
        if (result != Z_OK || (stream->avail_in == 0 && stream->avail_out > 0))
            return FRAMING_NOT_ZLIB; /* or cut off */
    }
    if (stream->total_out > max_bytes)
        return FRAMING_GROWS_TOO_LARGE;
    return stream->avail_in == 0 ? FRAMING_INFLATED : FRAMING_NOT_ZLIB;
}

enum framing_inflated framing_inflate(struct bytes input, size_t max_bytes, uint8_t **ret_buffer,
                                      size_t *ret_length)
{
    _cleanup_(memory_free) uint8_t *buffer = NULL;
    z_stream stream = {.next_in = (Bytef *)input.data, .avail_in = (uInt)input.length};
    enum { EITHER_HEADER = 32 }; /* of inflateInit2: gzip's or zlib's, found out by itself */
    if (inflateInit2(&stream, MAX_WBITS + EITHER_HEADER) != Z_OK)
        return FRAMING_NOT_ZLIB;

    enum framing_inflated result = inflate_all(&stream, max_bytes, &buffer);
    if (result == FRAMING_INFLATED) {
        *ret_length = stream.total_out;
        *ret_buffer = TAKE(buffer);
    }
    inflateEnd(&stream);
    return result;
}

bool framing_is_grpc(struct bytes content_type)
{
    static const char name[] = "application/grpc";
    size_t length = sizeof(name) - 1;
    if (content_type.length < length || memcmp(content_type.data, name, length) != 0)
        return false;
    return content_type.length == length || content_type.data[length] == '+' ||
           content_type.data[length] == ';';
}

enum encoding framing_encoding(struct bytes name)
{
    if (framing_equal(name, "identity"))
        return ENCODING_IDENTITY;
    if (framing_equal(name, "gzip") || framing_equal(name, "deflate"))
        return ENCODING_ZLIB;
    return ENCODING_UNKNOWN;
}

bool framing_timeout(struct bytes text, int64_t *ret_timeout_ms)
{
    static const struct {
        char name;
        int64_t nanoseconds;
    } units[] = {
        {'H', 3600000000000}, {'M', 60000000000}, {'S', 1000000000},
        {'m', 1000000},       {'u', 1000},        {'n', 1},
    };
    enum { NANOSECONDS_A_MS = 1000000, MAX_DIGITS = 8 };
    int64_t number = 0;
    if (text.length < 2 || text.length > MAX_DIGITS + 1)
        return false;
    for (size_t i = 0; i + 1 < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        number = number * 10 + (text.data[i] - '0');
    }
    for (size_t i = 0; i < ARRAY_LENGTH(units); i++) {
        if (text.data[text.length - 1] != (uint8_t)units[i].name)
            continue;
        int64_t unit = units[i].nanoseconds;
        *ret_timeout_ms = unit >= NANOSECONDS_A_MS
                              ? number * (unit / NANOSECONDS_A_MS)
                              : (number * unit + NANOSECONDS_A_MS - 1) / NANOSECONDS_A_MS;
        return true;
    }
    return false;
}
