/* Bytes into gRPC's framing: messages in a stream, compressed ones, and what stands in headers. */
#include "serve/h2_framing.h"

#include <stdlib.h>

enum { MOST_BYTES = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void inflate_all(struct bytes input)
{
    uint8_t *buffer = NULL;
    size_t length = 0;
    enum framing_inflated result = framing_inflate(input, MOST_BYTES, &buffer, &length);
    require(result == FRAMING_INFLATED || buffer == NULL);
    require(length <= MOST_BYTES);
    free(buffer);
}

/* Everything that is taken lies within the input, one message behind the other. */
static void take_all(struct bytes input)
{
    const uint8_t *end = input.data + input.length;
    for (;;) {
        struct framing_message message = {0};
        struct bytes before = input;
        enum framing_found found = framing_take(&input, MOST_BYTES, &message);
        if (found != FRAMING_MESSAGE) {
            require(input.data == before.data && input.length == before.length);
            return;
        }
        require(message.bytes.length == message.length && message.length <= MOST_BYTES);
        require(message.bytes.data == before.data + FRAMING_PREFIX_BYTES);
        require(input.data == message.bytes.data + message.length && input.data <= end);
        if (message.compressed)
            inflate_all(message.bytes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = {data, size};
    int64_t timeout_ms = -1;
    take_all(input);
    inflate_all(input);
    framing_is_grpc(input);
    framing_encoding(input);
    if (framing_timeout(input, &timeout_ms))
        require(timeout_ms >= 0);
    return 0;
}
