#include "serve/h2/call/request.h"
#include "base/clock.h"

void h2_request_clear(struct h2_request *request)
{
    if (request->path != NULL)
        nghttp2_rcbuf_decref(request->path);
    *request = (struct h2_request){.timeout_ms = CLOCK_NEVER};
}

static struct bytes bytes_of(nghttp2_rcbuf *buffer)
{
    nghttp2_vec vector = nghttp2_rcbuf_get_buf(buffer);
    return (struct bytes){vector.base, vector.len};
}

static void set_path(struct h2_request *request, const struct h2_limits *limits,
                     nghttp2_rcbuf *value)
{
    if (bytes_of(value).length > (size_t)limits->max[H2_PATH_BYTES]) {
        request->has_long_path = true;
        return;
    }
    nghttp2_rcbuf_incref(value);
    request->path = value; /* once only: nghttp2 refuses a second :path */
}

bool h2_request_add(struct h2_request *request, const struct h2_limits *limits, nghttp2_rcbuf *name,
                    nghttp2_rcbuf *value)
{
    enum { ENTRY_BYTES = 32 }; /* as SETTINGS_MAX_HEADER_LIST_SIZE counts */
    struct bytes key = bytes_of(name);
    struct bytes text = bytes_of(value);
    size_t max_bytes = (size_t)limits->max[H2_HEADER_BYTES];
    request->bytes += key.length + text.length + ENTRY_BYTES;
    if (request->bytes > max_bytes)
        return request->bytes <= 4 * max_bytes;

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
    return true;
}
