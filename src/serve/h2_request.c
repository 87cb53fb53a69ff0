#include "serve/h2.h"

#include "base/clock.h"
#include "base/memory.h"
#include "serve/metadata.h"
#include "serve/status_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void h2_request_clear(struct h2_request *request)
{
    if (request->path != NULL)
        nghttp2_rcbuf_decref(request->path);
    for (size_t i = 0; i < request->metadata_count; i++) {
        nghttp2_rcbuf_decref(request->metadata[i].name);
        nghttp2_rcbuf_decref(request->metadata[i].value);
    }
    *request = (struct h2_request){.timeout_ms = CLOCK_NEVER,
                                   .metadata = request->metadata,
                                   .metadata_capacity = request->metadata_capacity};
}

void h2_request_done(struct h2_request *request)
{
    h2_request_clear(request);
    free(TAKE(request->metadata));
    request->metadata_capacity = 0;
}

static struct bytes bytes_of(nghttp2_rcbuf *buffer)
{
    nghttp2_vec vector = nghttp2_rcbuf_get_buf(buffer);
    return (struct bytes){vector.base, vector.len};
}

static void set_path(struct h2_request *request, const struct h2_limits *limits,
                     nghttp2_rcbuf *value)
{
    if (bytes_of(value).length > (size_t)limits->most[H2_PATH_BYTES]) {
        request->has_long_path = true;
        return;
    }
    nghttp2_rcbuf_incref(value);
    request->path = value; /* once only: nghttp2 refuses a second :path */
}

/* nghttp2's own, which others share: nothing is copied for whoever does not look. */
static void keep(struct h2_request *request, nghttp2_rcbuf *name, nghttp2_rcbuf *value)
{
    request->metadata = memory_grow(request->metadata, &request->metadata_capacity,
                                    request->metadata_count + 1, sizeof(*request->metadata));
    nghttp2_rcbuf_incref(name);
    nghttp2_rcbuf_incref(value);
    request->metadata[request->metadata_count++] = (struct h2_header){name, value};
}

bool h2_request_add(struct h2_request *request, const struct h2_limits *limits, nghttp2_rcbuf *name,
                    nghttp2_rcbuf *value)
{
    enum { ENTRY_BYTES = 32 }; /* as SETTINGS_MAX_HEADER_LIST_SIZE counts */
    struct bytes key = bytes_of(name);
    struct bytes text = bytes_of(value);
    size_t most_bytes = (size_t)limits->most[H2_HEADER_BYTES];
    request->bytes += key.length + text.length + ENTRY_BYTES;
    if (request->bytes > most_bytes)
        return request->bytes <= 4 * most_bytes;

    if (framing_equal(key, ":method"))
        request->is_post = framing_equal(text, "POST");
    else if (framing_equal(key, ":path"))
        set_path(request, limits, value);
    else if (framing_equal(key, "content-type"))
        request->is_grpc = framing_is_grpc(text);
    else if (framing_equal(key, "te"))
        request->takes_trailers = framing_equal(text, "trailers");
    else if (framing_equal(key, "grpc-encoding"))
        request->encoding = framing_encoding(text);
    else if (framing_equal(key, "grpc-timeout"))
        request->has_wrong_timeout = !framing_timeout(text, &request->timeout_ms);
    else if (key.data[0] != ':')
        keep(request, name, value);
    return true;
}

bool h2_request_metadata(const struct h2_request *request, const char *key, size_t index,
                         struct text *value)
{
    for (size_t i = 0; i < request->metadata_count; i++) {
        const struct h2_header *header = &request->metadata[i];
        if (!framing_equal(bytes_of(header->name), key) || index-- > 0)
            continue;
        struct bytes bytes = bytes_of(header->value);
        if (metadata_is_binary(key))
            return metadata_decode(bytes, value);
        text_add_bytes(value, bytes.data, bytes.length);
        return true;
    }
    return false;
}

nghttp2_nv h2_status_header(enum status status)
{
    static const char *const numbers[] = {"0", "1",  "2",  "3",  "4",  "5",  "6",  "7", "8",
                                          "9", "10", "11", "12", "13", "14", "15", "16"};
    const char *number = numbers[status < ARRAY_LENGTH(numbers) ? status : STATUS_UNKNOWN];
    nghttp2_nv header = H2_HEADER("grpc-status", "");
    header.value = (uint8_t *)number;
    header.valuelen = strlen(number);
    return header;
}

nghttp2_nv h2_text_header(const char *encoded)
{
    /* Not indexed: texts differ, and would drive out of HPACK's table what repeats. */
    nghttp2_nv header = H2_HEADER("grpc-message", "");
    header.value = (uint8_t *)encoded;
    header.valuelen = strlen(encoded);
    header.flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_INDEX;
    return header;
}

/* How a request is answered that is not served. gRPC's clients read grpc-status, others the first. */
struct refusal {
    nghttp2_nv http_status;
    enum status status;
    const char *text;
    nghttp2_nv more; /* a header that tells what is allowed */
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
    .text = "this is a gRPC server: the content-type must be application/grpc",
};
static const struct refusal no_trailers = {
    .http_status = H2_HEADER(":status", "400"),
    .status = STATUS_INTERNAL,
    .text = "the header te: trailers is missing: is there a proxy between that knows no gRPC?",
};
static const struct refusal large_headers = {
    .http_status = OK_200,
    .status = STATUS_RESOURCE_EXHAUSTED,
    .text = "the request's headers are too large",
};
static const struct refusal long_path = {
    .http_status = OK_200,
    .status = STATUS_UNIMPLEMENTED,
    .text = "there is no method of so long a name",
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

static const struct refusal *judge(const struct h2_request *request, const struct h2_limits *limits)
{
    if (request->bytes > (size_t)limits->most[H2_HEADER_BYTES])
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

void h2_request_refused(const struct h2_connection *connection, enum status status)
{
    const struct service *service = connection->server->service;
    nghttp2_rcbuf *path = connection->request.path;
    if (service->refused != NULL)
        service->refused(service->context,
                         path == NULL ? NULL : (const char *)nghttp2_rcbuf_get_buf(path).base,
                         status);
}

bool h2_request_judge(struct h2_connection *connection, int32_t stream_id)
{
    struct h2_server *server = connection->server;
    const struct h2_request *request = &connection->request;
    const struct refusal *refusal = judge(request, &server->limits);
    const struct refusal stranger = {
        .http_status = OK_200, .status = STATUS_PERMISSION_DENIED, .text = connection->refusal};
    if (refusal == NULL && connection->refusal != NULL)
        refusal = &stranger;
    if (refusal == NULL)
        return true;
    if (refusal == &large_headers)
        h2_limit_hit(&server->limits, H2_HEADER_BYTES, connection->peer->address, server->now_ms);
    if (request->has_long_path)
        h2_limit_hit(&server->limits, H2_PATH_BYTES, connection->peer->address, server->now_ms);
    refuse(connection, stream_id, refusal);
    h2_request_refused(connection, refusal->status);
    return false;
}
