/*
 * Bytes of somebody else: of a message, or of a header.
 *
 * Threads: any; they are borrowed.
 */
#ifndef BACKLOG_SERVE_TRANSPORT_BYTES_H
#define BACKLOG_SERVE_TRANSPORT_BYTES_H

#include <stddef.h>
#include <stdint.h>

struct bytes {
    const uint8_t *data;
    size_t length;
};

#endif
