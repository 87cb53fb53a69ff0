/*
 * Protobuf's wire format, read field by field: https://protobuf.dev/programming-guides/encoding/
 *
 * Threads: any.
 */
#ifndef BACKLOG_SERVE_SERVICES_WIRE_FIELD_H
#define BACKLOG_SERVE_SERVICES_WIRE_FIELD_H

#include "serve/transport/bytes.h"

#include <stdbool.h>
#include <stdint.h>

enum wire_type { WIRE_VARINT = 0, WIRE_64_BIT = 1, WIRE_LENGTH = 2, WIRE_32_BIT = 5 };

/* A field as it was sent. */
struct wire_field {
    uint64_t number;
    enum wire_type type;
    uint64_t varint;      /* of a WIRE_VARINT */
    struct bytes content; /* of a WIRE_LENGTH */
};

/* Moves behind the field at the front. False: there is none, or none of proto3. */
bool wire_field_take(struct bytes *bytes, struct wire_field *ret_field);

#endif
