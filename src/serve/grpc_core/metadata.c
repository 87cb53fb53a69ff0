/* Metadata as the C core has it: it does the base64 of binary values itself. */
#include "serve/grpc_core/metadata.h"

bool core_metadata_find(const grpc_metadata_array *metadata, const char *key, size_t index,
                        struct text *value)
{
    for (size_t i = 0; i < metadata->count; i++) {
        const grpc_metadata *pair = &metadata->metadata[i];
        if (grpc_slice_str_cmp(pair->key, key) != 0 || index-- > 0)
            continue;
        text_add_bytes(value, GRPC_SLICE_START_PTR(pair->value), GRPC_SLICE_LENGTH(pair->value));
        return true;
    }
    return false;
}

size_t core_metadata_put(const struct metadata *metadata, enum metadata_place place,
                         grpc_metadata *pairs)
{
    size_t count = 0;
    for (size_t i = 0; metadata != NULL && i < metadata->count; i++) {
        const struct metadata_pair *pair = &metadata->pairs[i];
        if (pair->place == place)
            pairs[count++] = (grpc_metadata){
                .key = grpc_slice_from_copied_string(pair->key),
                .value = grpc_slice_from_copied_buffer(pair->value.bytes, pair->value.length)};
    }
    return count;
}

void core_metadata_drop(const grpc_metadata *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        grpc_slice_unref(pairs[i].key);
        grpc_slice_unref(pairs[i].value);
    }
}
