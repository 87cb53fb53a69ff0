/*
 * gRPC's own framing, without a connection: what stands in a request's headers, and messages in its
 * bytes. For the nghttp2 transport, its tests and its fuzzers.
 *
 * Threads: any; pure. Nothing here trusts its input.
 */
#ifndef BACKLOG_SERVE_H2_CALL_FRAMING_H
#define BACKLOG_SERVE_H2_CALL_FRAMING_H

#include "serve/transport/transport.h"

#include <string.h>

/* Before each message: is it compressed, and how long is it. */
enum { FRAMING_PREFIX_BYTES = 5 };

enum encoding {
    ENCODING_IDENTITY,
    ENCODING_ZLIB, /* gzip or deflate: zlib detects which from the first bytes */
    ENCODING_UNKNOWN,
};

enum framing_found {
    FRAMING_MORE,      /* no whole message is there yet */
    FRAMING_MESSAGE,   /* taken from the front of the input */
    FRAMING_TOO_LARGE, /* its prefix says so; `length` how much */
    FRAMING_BAD_FLAG,  /* neither 0 nor 1 */
};

struct framing_message {
    struct bytes bytes; /* into the input */
    bool compressed;
    uint32_t length;
};

/* Takes the message at the front of the input; moves the input behind it only where one is whole.
 */
enum framing_found framing_take(struct bytes *input, size_t max_bytes,
                                struct framing_message *ret_message);

/* Puts the prefix of a message that is not compressed. */
void framing_put_prefix(uint8_t *buffer, uint32_t length);

enum framing_inflated { FRAMING_INFLATED, FRAMING_NOT_ZLIB, FRAMING_GROWS_TOO_LARGE };

/* The caller frees `ret_buffer`, which is set only where all is well. Never holds more than
 * max_bytes. */
enum framing_inflated framing_inflate(struct bytes input, size_t max_bytes, uint8_t **ret_buffer,
                                      size_t *ret_length);

/* "application/grpc", and what may follow it: "+proto", ";charset=utf-8". */
bool framing_is_grpc(struct bytes content_type);

enum encoding framing_encoding(struct bytes name);

/* "100m": at most eight digits and a unit, rounded up to milliseconds. */
bool framing_timeout(struct bytes text, int64_t *ret_timeout_ms);

/* The bytes are this text. Here, because every header is compared: the compiler knows its length
 * then. */
static inline bool framing_equal(struct bytes bytes, const char *text)
{
    return bytes.length == strlen(text) && memcmp(bytes.data, text, bytes.length) == 0;
}

#endif
