/*
 * Metadata of replies, kept until it is sent, and the base64 that binary values are on the wire.
 *
 * Threads: as for the call that it belongs to.
 */
#ifndef BACKLOG_SERVE_TRANSPORT_METADATA_H
#define BACKLOG_SERVE_TRANSPORT_METADATA_H

#include "base/text.h"
#include "serve/transport/bytes.h"

#include <stdbool.h>
#include <stddef.h>

/* Of one reply: clients on the C core take 8 KiB of headers in all, and a status' text has half of it. */
enum { METADATA_REPLY_BYTES = 2048, METADATA_MAX_PAIRS = 16 };

enum metadata_place { METADATA_INITIAL, METADATA_TRAILING };

struct metadata_pair {
    enum metadata_place place;
    char *key;
    struct text value;
    struct text encoded; /* what goes over the wire */
};

struct metadata {
    struct metadata_pair pairs[METADATA_MAX_PAIRS];
    size_t count;
    size_t bytes;
};

/* Makes the metadata with its first pair. False: key or value is none, or there is no more room. */
bool metadata_add(struct metadata **metadata, enum metadata_place place, const char *key,
                  struct bytes value);

/* NULL is none. */
void metadata_free(struct metadata *metadata);

bool metadata_is_binary(const char *key);

/* Adds what the base64 stands for, with or without padding; false: it is none. */
bool metadata_decode(struct bytes encoded, struct text *value);

#endif
