/*
 * Metadata as the C core has it.
 *
 * Threads: as in state.h.
 */
#ifndef BACKLOG_SERVE_GRPC_CORE_METADATA_H
#define BACKLOG_SERVE_GRPC_CORE_METADATA_H

#include "base/text.h"
#include "serve/transport/metadata.h"

#include <grpc/grpc.h>

/* As call_metadata(). */
bool core_metadata_find(const grpc_metadata_array *metadata, const char *key, size_t index,
                        struct text *value);
/* For a batch; returns how many there are, at most METADATA_MAX_PAIRS. The core holds on to what they hold, and looks
 * at them no more once the batch has been started: then they are dropped. */
size_t core_metadata_put(const struct metadata *metadata, enum metadata_place place,
                         grpc_metadata *pairs);
void core_metadata_drop(const grpc_metadata *pairs, size_t count);

#endif
