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
};

/* As before the first header. */
void h2_request_clear(struct h2_request *request);
/* False: it goes beyond all limits. */
bool h2_request_add(struct h2_request *request, const struct h2_limits *limits, nghttp2_rcbuf *name,
                    nghttp2_rcbuf *value);

#endif
