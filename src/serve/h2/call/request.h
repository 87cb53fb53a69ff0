/*
 * A call's headers while they arrive.
 *
 * Threads: any; it is the connection's.
 */
#ifndef BACKLOG_SERVE_H2_CALL_REQUEST_H
#define BACKLOG_SERVE_H2_CALL_REQUEST_H

#include "base/text.h"
#include "serve/h2/call/framing.h"
#include "serve/h2/limits.h"

#include <nghttp2/nghttp2.h>

struct h2_header {
    nghttp2_rcbuf *name;
    nghttp2_rcbuf *value;
};

/* A call's headers while they arrive. They come in one piece, so a connection has one of them. */
struct h2_request {
    size_t bytes;
    nghttp2_rcbuf *path;
    int64_t timeout_ms; /* CLOCK_NEVER: none */
    enum encoding encoding;
    bool is_post;
    bool is_grpc;
    bool takes_trailers;
    bool has_wrong_timeout;
    bool has_long_path;

    /* What is not the protocol's. No more than H2_HEADER_BYTES allow; the room is kept for the next call. */
    struct h2_header *metadata;
    size_t metadata_count;
    size_t metadata_capacity;
};

/* As before the first header. */
void h2_request_clear(struct h2_request *request);
void h2_request_done(struct h2_request *request);
/* False: it goes beyond all limits. */
bool h2_request_add(struct h2_request *request, const struct h2_limits *limits, nghttp2_rcbuf *name,
                    nghttp2_rcbuf *value);
/* As call_metadata(). */
bool h2_request_metadata(const struct h2_request *request, const char *key, size_t index,
                         struct text *value);

#endif
