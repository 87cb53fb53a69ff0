/*
 * gRPC's status as HTTP/2 headers.
 *
 * Threads: any; pure.
 */
#ifndef BACKLOG_SERVE_H2_CALL_STATUS_H
#define BACKLOG_SERVE_H2_CALL_STATUS_H

#include "serve/transport/transport.h"

#include <nghttp2/nghttp2.h>

/* A header of ours: of constants, which nghttp2 need not copy. */
#define H2_HEADER(key, text)                                                                       \
    {.name = (uint8_t *)(key),                                                                     \
     .value = (uint8_t *)(text),                                                                   \
     .namelen = sizeof(key) - 1,                                                                   \
     .valuelen = sizeof(text) - 1,                                                                 \
     .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE}

/* grpc-status; and grpc-message, whose text nghttp2 copies. */
nghttp2_nv h2_status_header(enum status status);
nghttp2_nv h2_text_header(const char *encoded);

#endif
