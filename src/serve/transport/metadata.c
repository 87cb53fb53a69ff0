#include "serve/transport/metadata.h"

#include "base/memory.h"

#include <openssl/evp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

bool metadata_is_binary(const char *key)
{
    return text_ends_with(key, "-bin");
}

/* Keys that begin so are the protocol's own. */
static bool is_key(const char *key)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
    return key[0] != '\0' && key[strspn(key, allowed)] == '\0' && !text_starts_with(key, "grpc-");
}

static bool is_printable(struct bytes value)
{
    for (size_t i = 0; i < value.length; i++)
        if (value.data[i] < ' ' || value.data[i] > '~')
            return false;
    return true;
}

/* Without padding, as the protocol wants it to be sent. */
static void encode(struct bytes value, struct text *encoded)
{
    uint8_t group[5];
    for (size_t at = 0; at < value.length; at += 3) {
        size_t taken = value.length - at < 3 ? value.length - at : 3;
        EVP_EncodeBlock(group, value.data + at, (int)taken);
        text_add_bytes(encoded, group, taken + 1);
    }
}

static bool is_base64(struct bytes encoded)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < encoded.length; i++)
        if (encoded.data[i] == '\0' || strchr(alphabet, encoded.data[i]) == NULL)
            return false;
    return encoded.length % 4 != 1;
}

static struct bytes without_padding(struct bytes encoded)
{
    bool is_padded = encoded.length % 4 == 0;
    for (int i = 0; i < 2 && is_padded && encoded.length > 0; i++)
        encoded.length -= encoded.data[encoded.length - 1] == '=';
    return encoded;
}

bool metadata_decode(struct bytes encoded, struct text *value)
{
    encoded = without_padding(encoded);
    if (!is_base64(encoded))
        return false;
    for (size_t at = 0; at < encoded.length; at += 4) {
        uint8_t group[] = "====";
        uint8_t bytes[3];
        size_t taken = encoded.length - at < 4 ? encoded.length - at : 4;
        memcpy(group, encoded.data + at, taken);
        EVP_DecodeBlock(bytes, group, 4);
        text_add_bytes(value, bytes, taken - 1);
    }
    return true;
}

bool metadata_add(struct metadata **metadata, enum metadata_place place, const char *key,
                  struct bytes value)
{
    enum { PAIR_BYTES = 32 }; /* as HTTP/2 counts them */
    bool is_binary = metadata_is_binary(key);
    if (!is_key(key) || value.length > METADATA_REPLY_BYTES || (!is_binary && !is_printable(value)))
        return false;
    size_t encoded_bytes = is_binary ? value.length + value.length / 3 + 1 : value.length;
    size_t bytes = strlen(key) + encoded_bytes + PAIR_BYTES;
    size_t count = *metadata == NULL ? 0 : (*metadata)->count;
    size_t taken = *metadata == NULL ? 0 : (*metadata)->bytes;
    if (count == METADATA_MAX_PAIRS || taken + bytes > METADATA_REPLY_BYTES)
        return false;

    if (*metadata == NULL)
        *metadata = memory_new(sizeof(**metadata));
    struct metadata_pair *pair = &(*metadata)->pairs[count];
    pair->place = place;
    pair->key = text_copy(key);
    text_add_bytes(&pair->value, value.data, value.length);
    if (is_binary)
        encode(value, &pair->encoded);
    else
        text_add_bytes(&pair->encoded, value.data, value.length);
    (*metadata)->count = count + 1;
    (*metadata)->bytes = taken + bytes;
    return true;
}

void metadata_free(struct metadata *metadata)
{
    if (metadata == NULL)
        return;
    for (size_t i = 0; i < metadata->count; i++) {
        free(metadata->pairs[i].key);
        text_done(&metadata->pairs[i].value);
        text_done(&metadata->pairs[i].encoded);
    }
    free(metadata);
}
