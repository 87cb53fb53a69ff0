/* Bytes into gRPC's framing: messages in a stream, compressed ones, what stands in headers, and the
 * names of a client's certificate. */
#include "base/memory.h"
#include "require.h"
#include "serve/h2/call/framing.h"
#include "serve/transport/client_names.h"

#include <stdlib.h>

enum { MAX_BYTES = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inflate_all(struct bytes input)
{
    uint8_t *buffer = NULL;
    size_t length = 0;
    enum framing_inflated result = framing_inflate(input, MAX_BYTES, &buffer, &length);
    require(result == FRAMING_INFLATED || buffer == NULL);
    require(length <= MAX_BYTES);
    free(buffer);
}

/* Everything that is taken lies within the input, one message behind the other. */
static void take_all(struct bytes input)
{
    const uint8_t *end = input.data + input.length;
    for (;;) {
        struct framing_message message = {0};
        struct bytes before = input;
        enum framing_found found = framing_take(&input, MAX_BYTES, &message);
        if (found != FRAMING_MESSAGE) {
            require(input.data == before.data && input.length == before.length);
            return;
        }
        require(message.bytes.length == message.length && message.length <= MAX_BYTES);
        require(message.bytes.data == before.data + FRAMING_PREFIX_BYTES);
        require(input.data == message.bytes.data + message.length && input.data <= end);
        if (message.compressed)
            inflate_all(message.bytes);
    }
}

static void show_name(struct bytes input)
{
    static const char *const patterns[] = {"keda-*.shop", "[a-z]?*"};
    static const struct client_rule rule = {patterns, ARRAY_LENGTH(patterns)};
    struct client_names *peer = client_names_new();
    for (int i = 0; i < CLIENT_NAMES_MAX + 1; i++)
        client_names_add(peer, (const char *)input.data, input.length);
    require(peer->count == 0 || peer->count == CLIENT_NAMES_MAX);
    char *refusal = client_names_refusal(peer, &rule);
    require(refusal != NULL || peer->count > 0);
    if (refusal != NULL)
        require_text(refusal);
    free(refusal);
    client_names_free(peer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = {data, size};
    int64_t timeout_ms = -1;
    take_all(input);
    inflate_all(input);
    show_name(input);
    framing_is_grpc(input);
    framing_encoding(input);
    if (framing_timeout(input, &timeout_ms))
        require(timeout_ms >= 0);
    return 0;
}
