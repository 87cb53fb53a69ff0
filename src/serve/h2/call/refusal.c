#include "serve/h2/call/refusal.h"
#include "base/memory.h"
#include "serve/h2/call/status.h"
#include "serve/h2/connection.h"
#include "serve/transport/status_text.h"

/* How a request is answered that is not served. gRPC's clients read grpc-status, others the first.
 */
struct refusal {
    nghttp2_nv http_status;
    enum status status;
    const char *text;
    nghttp2_nv more; /* a header with what is allowed */
};

static void refuse(struct h2_connection *connection, int32_t stream_id,
                   const struct refusal *refusal)
{
    char encoded[STATUS_TEXT_BYTES + 1];
    status_text_encode(refusal->text, encoded);
    nghttp2_nv headers[] = {
        refusal->http_status,
        H2_HEADER("content-type", "application/grpc"),
        h2_status_header(refusal->status),
        h2_text_header(encoded),
        refusal->more,
    };
    size_t count = ARRAY_LENGTH(headers) - (refusal->more.name == NULL);
    nghttp2_submit_response(connection->session, stream_id, headers, count, NULL);
}

#define OK_200 H2_HEADER(":status", "200")

static const struct refusal no_post = {
    .http_status = H2_HEADER(":status", "405"),
    .status = STATUS_UNIMPLEMENTED,
    .text = "gRPC calls are POST requests",
    .more = H2_HEADER("allow", "POST"),
};

static const struct refusal no_grpc = {
    .http_status = H2_HEADER(":status", "415"),
    .status = STATUS_INVALID_ARGUMENT,
    .text = "the content-type must be application/grpc: this is a gRPC server",
};

static const struct refusal no_trailers = {
    .http_status = H2_HEADER(":status", "400"),
    .status = STATUS_INTERNAL,
    .text = "the header te: trailers is missing: a proxy that does not support gRPC may have "
            "removed it",
};

static const struct refusal large_headers = {
    .http_status = OK_200,
    .status = STATUS_RESOURCE_EXHAUSTED,
    .text = "the request's headers are too large",
};

static const struct refusal long_path = {
    .http_status = OK_200,
    .status = STATUS_UNIMPLEMENTED,
    .text = "unknown method: the path is too long",
};

static const struct refusal unknown_encoding = {
    .http_status = OK_200,
    .status = STATUS_UNIMPLEMENTED,
    .text = "the grpc-encoding is not supported: identity, deflate and gzip are",
    .more = H2_HEADER("grpc-accept-encoding", "identity, deflate, gzip"),
};

static const struct refusal wrong_timeout = {
    .http_status = OK_200,
    .status = STATUS_INVALID_ARGUMENT,
    .text = "grpc-timeout must be at most eight digits and one of the units H M S m u n",
};

static const struct refusal *find_refusal(const struct h2_request *request,
                                          const struct h2_limits *limits)
{
    if (request->bytes > (size_t)limits->max[H2_HEADER_BYTES])
        return &large_headers;
    if (!request->is_post)
        return &no_post;
    if (!request->is_grpc)
        return &no_grpc;
    if (!request->takes_trailers)
        return &no_trailers;
    if (request->path == NULL)
        return &long_path;
    if (request->encoding == ENCODING_UNKNOWN)
        return &unknown_encoding;
    if (request->has_wrong_timeout)
        return &wrong_timeout;
    return NULL;
}

void h2_refusal_report(const struct h2_connection *connection, enum status status)
{
    const struct call_handler *handler = connection->server->handler;
    nghttp2_rcbuf *path = connection->request.path;
    if (handler->refused != NULL)
        handler->refused(handler->context,
                         path == NULL ? NULL : (const char *)nghttp2_rcbuf_get_buf(path).base,
                         status);
}

bool h2_refusal_check(struct h2_connection *connection, int32_t stream_id)
{
    struct h2_server *server = connection->server;
    const struct h2_request *request = &connection->request;
    const struct refusal denied = {
        .http_status = OK_200, .status = STATUS_PERMISSION_DENIED, .text = connection->refusal};
    const struct refusal *refusal =
        connection->refusal == NULL ? find_refusal(request, &server->limits) : &denied;
    if (refusal == NULL)
        return true;
    if (refusal == &large_headers)
        h2_limit_hit(&server->limits, H2_HEADER_BYTES, connection->peer->address, server->now_ms);
    if (request->has_long_path)
        h2_limit_hit(&server->limits, H2_PATH_BYTES, connection->peer->address, server->now_ms);
    refuse(connection, stream_id, refusal);
    h2_refusal_report(connection, refusal->status);
    if (refusal == &denied)
        h2_connection_close_gracefully(connection); /* others may need its place */
    return false;
}
