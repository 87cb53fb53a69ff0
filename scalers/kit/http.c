#include "kit/http.h"

#include "base/clock.h"
#include "base/http_head.h"
#include "base/json_text.h"
#include "base/memory.h"
#include "base/system/socket.h"
#include "kit/http_url.h"
#include "shared/address.h"
#include "shared/tls.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/param.h>
#include <utlist.h>

enum {
    BUFFER_BYTES = 1 << 10,         /* of each request: libcurl reads 100 of them at a time */
    UPLOAD_BUFFER_BYTES = 16 << 10, /* the least; libcurl has 64 KiB for what a POST sends */
    BODY_STEP_BYTES = 64 << 10,     /* that a body grows by at most, once it is that large */

    MAX_SPARES = 8,           /* a new handle costs a seventh of a GET's instructions */
    MAX_SPARE_HEAD = 8 << 10, /* libcurl keeps the head of the last reply with the handle */

    /* While one connects: libcurl (8.14) goes from an address that is silent to the next only when
     * it is called again, and wakes nobody for that (curl's issue 11920). */
    CONNECTING_MS = 100,
};

/* A request and its reply. That of a GET is used for another one afterwards, with the handle and
 * what is set there. */
struct transfer {
    struct http *http;
    CURL *curl;
    void *owner;
    char *name; /* of the server, for errors */
    const struct tls_options *tls;
    struct error tls_error;
    char curl_error[CURL_ERROR_SIZE];
    struct http_head head;
    struct text body;
    size_t max_body_bytes;
    bool is_body_too_large;
    bool is_post;
    bool is_local;                /* it was refused, as its server has such an address */
    struct transfer *prev, *next; /* utlist */
};

struct http {
    struct http_endpoint endpoint;
    CURLM *multi;
    char *bearer; /* or NULL */
    struct transfer *transfers;
    struct transfer *spares;
    size_t spares_count;
    size_t in_flight;
    size_t posts; /* of them */
    size_t size;
    bool has_connected;
    bool is_local; /* the first connection was to a local address */
};

struct http *http_new(const struct http_endpoint *endpoint, size_t size)
{
    struct http *http = memory_new(sizeof(*http));
    http->endpoint = *endpoint;
    http->multi = curl_multi_init();
    http_resize(http, size);
    return http;
}

static void free_transfer(struct transfer *transfer)
{
    curl_easy_cleanup(transfer->curl);
    free(transfer);
}

void http_free(struct http *http)
{
    struct transfer *transfer;
    struct transfer *next;
    if (http == NULL)
        return;
    http_stop(http);
    LL_FOREACH_SAFE(http->spares, transfer, next)
        free_transfer(transfer);
    curl_multi_cleanup(http->multi);
    free(http->bearer);
    free(http);
}

void http_resize(struct http *http, size_t size)
{
    http->size = size;
    curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long)size);
}

void http_set_bearer(struct http *http, const char *token)
{
    free(http->bearer);
    http->bearer = text_copy(token);
}

size_t http_in_flight(const struct http *http)
{
    return http->in_flight;
}

bool http_has_capacity(const struct http *http)
{
    return http->in_flight - http->posts < http->size;
}

void http_add_header(struct curl_slist **headers, const char *name, const char *value)
{
    /* To libcurl "name:" takes a header away, and "name;" is one without a value. */
    _cleanup_(memory_free) char *header =
        value[0] == '\0' ? text_format("%s;", name) : text_format("%s: %s", name, value);
    *headers = curl_slist_append(*headers, header);
}

/* ---- a request ---- */

/* Makes the body large enough, and never larger than it may become: text_add_bytes() doubles, and
 * an agent has no memory for twice the largest. */
static void grow_body(struct text *body, size_t length, size_t max_bytes)
{
    if (length < body->capacity)
        return;
    size_t grown = MAX(length, body->capacity + MIN(body->capacity, BODY_STEP_BYTES));
    body->capacity = MIN(grown, max_bytes) + 1;
    body->bytes = memory_resize(body->bytes, body->capacity);
}

static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    size_t length = transfer->body.length + size * count;
    transfer->is_body_too_large = length > transfer->max_body_bytes;
    if (transfer->is_body_too_large)
        return 0;
    grow_body(&transfer->body, length, transfer->max_body_bytes);
    text_add_bytes(&transfer->body, bytes, size * count);
    return size * count;
}

static int bound_socket(void *context, curl_socket_t fd, curlsocktype purpose)
{
    (void)context, (void)purpose;
    socket_bound_buffers(fd, SOCKET_SOURCE_BYTES);
    return CURL_SOCKOPT_OK;
}

/* Of an endpoint that follows, or refuses local addresses. */
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)purpose;
    struct transfer *transfer = context;
    struct http *http = transfer->http;
    bool is_local = address_is_local(&address->addr);
    if (http->endpoint.refuses_local && is_local) {
        transfer->is_local = true;
        return CURL_SOCKET_BAD;
    }
    if (!http->has_connected) {
        http->has_connected = true;
        http->is_local = is_local;
    }
    return is_local && !http->is_local
               ? CURL_SOCKET_BAD
               : socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static CURLcode configure_tls(CURL *curl, void *ssl_context, void *context)
{
    (void)curl;
    struct transfer *transfer = context;
    return tls_configure(ssl_context, transfer->tls, &transfer->tls_error)
               ? CURLE_OK
               : CURLE_ABORTED_BY_CALLBACK;
}

static void set_limits(struct transfer *transfer)
{
    CURL *curl = transfer->curl;
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    /* With HTTP/2 libcurl reads frames that are no news, such as empty data, as long as there are
     * some: without end. */
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, (long)BUFFER_BYTES);
    curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BUFFER_BYTES);
    curl_easy_setopt(curl, CURLOPT_SOCKOPTFUNCTION, bound_socket);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, http_head_take);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer->head);
}

static void set_endpoint(const struct transfer *transfer, const struct http_endpoint *endpoint)
{
    CURL *curl = transfer->curl;
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "backlog/" BACKLOG_VERSION);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, endpoint->headers);
    /* tls_configure() has them read once; libcurl would for each connection, which takes 30 ms. */
    curl_easy_setopt(curl, CURLOPT_CAINFO, NULL);
    curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(curl, CURLOPT_SSL_CTX_FUNCTION, configure_tls);
    curl_easy_setopt(curl, CURLOPT_SSL_CTX_DATA, transfer);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, endpoint->tls->unsafe ? 0L : 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, endpoint->tls->unsafe ? 0L : 2L);
    if (endpoint->user != NULL) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        curl_easy_setopt(curl, CURLOPT_USERNAME, endpoint->user);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, endpoint->password);
    }
    if (endpoint->follows || endpoint->refuses_local) {
        curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
        curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, transfer);
    }
}

static struct transfer *new_transfer(struct http *http, const struct http_endpoint *endpoint)
{
    struct transfer *transfer = memory_new(sizeof(*transfer));
    transfer->http = http;
    transfer->tls = endpoint->tls;
    CURL *curl = transfer->curl = curl_easy_init();
    if (curl == NULL)
        abort(); /* for want of memory alone, which ends the process (base/memory.h) */
    set_limits(transfer);
    set_endpoint(transfer, endpoint);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, transfer->curl_error);
    curl_easy_setopt(curl, CURLOPT_PRIVATE, transfer);
    return transfer;
}

static struct transfer *spare_transfer(struct http *http)
{
    struct transfer *transfer = http->spares;
    if (transfer == NULL)
        return new_transfer(http, &http->endpoint);
    LL_DELETE(http->spares, transfer);
    http->spares_count--;
    return transfer;
}

static void begin(struct transfer *transfer, const char *service, const char *url,
                  size_t max_body_bytes, void *owner, int64_t deadline_ms)
{
    struct http *http = transfer->http;
    int left_ms = clock_left_ms(deadline_ms, HTTP_MAX_TIMEOUT_MS);
    transfer->owner = owner;
    transfer->name = http_url_server(service, url);
    transfer->max_body_bytes = max_body_bytes;
    transfer->is_body_too_large = false;
    transfer->is_local = false;
    transfer->head = (struct http_head){0};
    transfer->curl_error[0] = '\0';
    curl_easy_setopt(transfer->curl, CURLOPT_TIMEOUT_MS, (long)MAX(left_ms, 1)); /* 0: no limit */
    curl_easy_setopt(transfer->curl, CURLOPT_URL, url);
    DL_APPEND(http->transfers, transfer);
    http->in_flight++;
    http->posts += transfer->is_post;
    if (curl_multi_add_handle(http->multi, transfer->curl) != CURLM_OK)
        abort(); /* as above */
}

void http_get(struct http *http, const char *url, size_t max_body_bytes, void *owner,
              int64_t deadline_ms)
{
    struct transfer *transfer = spare_transfer(http);
    if (http->bearer != NULL) {
        curl_easy_setopt(transfer->curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        curl_easy_setopt(transfer->curl, CURLOPT_XOAUTH2_BEARER, http->bearer);
    }
    begin(transfer, http->endpoint.name, url, max_body_bytes, owner, deadline_ms);
}

void http_post(struct http *http, const struct http_endpoint *endpoint, const char *url,
               const char *form, size_t max_body_bytes, void *owner, int64_t deadline_ms)
{
    struct transfer *transfer = new_transfer(http, endpoint);
    transfer->is_post = true;
    curl_easy_setopt(transfer->curl, CURLOPT_COPYPOSTFIELDS, form);
    begin(transfer, endpoint->name, url, max_body_bytes, owner, deadline_ms);
}

/* Also of one that is in flight: then libcurl waits for its thread that looks up the name. */
static void end(struct http *http, struct transfer *transfer)
{
    curl_multi_remove_handle(http->multi, transfer->curl);
    DL_DELETE(http->transfers, transfer);
    http->in_flight--;
    http->posts -= transfer->is_post;
    text_done(&transfer->body);
    error_done(&transfer->tls_error);
    free(TAKE(transfer->name));
    if (transfer->is_post || transfer->head.bytes > MAX_SPARE_HEAD ||
        http->spares_count == MAX_SPARES) {
        free_transfer(transfer);
        return;
    }
    LL_PREPEND(http->spares, transfer);
    http->spares_count++;
}

bool http_cancel(struct http *http, const void *owner)
{
    struct transfer *transfer;
    DL_SEARCH_SCALAR(http->transfers, transfer, owner, owner);
    if (transfer != NULL)
        end(http, transfer);
    return transfer != NULL;
}

void http_stop(struct http *http)
{
    while (http->transfers != NULL)
        end(http, http->transfers);
}

/* ---- its end ---- */

static enum http_outcome explain(const struct transfer *transfer, CURLcode code,
                                 struct error *error)
{
    const char *name = transfer->name;
    if (http_head_is_too_large(&transfer->head)) {
        error_set(error, ERROR_LIMIT,
                  "%s: the response has more than %d lines or %d bytes of headers and trailers",
                  name, HTTP_HEAD_MAX_LINES, HTTP_HEAD_MAX_BYTES);
        return HTTP_TOO_LARGE;
    }
    if (transfer->is_body_too_large) {
        error_set(error, ERROR_LIMIT, "%s: the response has more than %zu bytes", name,
                  transfer->max_body_bytes);
        return HTTP_TOO_LARGE;
    }
    if (transfer->is_local && code == CURLE_COULDNT_CONNECT)
        error_unavailable(error,
                          "%s has a local address, which a trigger may not name: use a connection "
                          "of the connections file (or serve --allow-local-targets)",
                          name);
    else if (error_is_set(&transfer->tls_error))
        error_copy(error, &transfer->tls_error);
    else
        error_unavailable(error, "request to %s failed: %s%s", name,
                          transfer->curl_error[0] != '\0' ? transfer->curl_error
                                                          : curl_easy_strerror(code),
                          code == CURLE_PEER_FAILED_VERIFICATION ? TLS_UNVERIFIED : "");
    return code == CURLE_OPERATION_TIMEDOUT ? HTTP_TIMED_OUT : HTTP_FAILED;
}

static void conclude(struct transfer *transfer, CURLcode code, struct http_ended *ret_ended)
{
    *ret_ended = (struct http_ended){.owner = transfer->owner};
    if (code != CURLE_OK) {
        ret_ended->outcome = explain(transfer, code, &ret_ended->error);
        return;
    }
    ret_ended->outcome = HTTP_ANSWERED;
    ret_ended->name = TAKE(transfer->name);
    ret_ended->answer = (struct http_answer){.name = ret_ended->name, .body = transfer->body};
    transfer->body = (struct text){0};
    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &ret_ended->answer.status);
}

static bool take_done(struct http *http, struct http_ended *ret_ended)
{
    int left = 0;
    for (CURLMsg *message; (message = curl_multi_info_read(http->multi, &left)) != NULL;) {
        if (message->msg != CURLMSG_DONE)
            continue;
        void *transfer = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
        conclude(transfer, message->data.result, ret_ended);
        end(http, transfer);
        return true;
    }
    return false;
}

bool http_take(struct http *http, struct http_ended *ret_ended)
{
    int running = 0;
    if (take_done(http, ret_ended))
        return true;
    if (http->in_flight > 0)
        curl_multi_perform(http->multi, &running);
    return take_done(http, ret_ended);
}

/* libcurl itself wakes in time for the deadline of each. */
static int wait_ms(const struct http *http, int most_ms)
{
    const struct transfer *transfer;
    DL_FOREACH(http->transfers, transfer) {
        curl_off_t sent_us = 0;
        curl_easy_getinfo(transfer->curl, CURLINFO_PRETRANSFER_TIME_T, &sent_us);
        if (sent_us == 0)
            return MIN(most_ms, CONNECTING_MS);
    }
    return most_ms;
}

void http_wait(struct http *http, struct feed *feed, int64_t deadline_ms)
{
    struct curl_waitfd extra = {.fd = feed_descriptor(feed), .events = CURL_WAIT_POLLIN};
    curl_multi_poll(http->multi, &extra, 1, wait_ms(http, feed_wait_ms(feed, deadline_ms)), NULL);
}

bool http_wait_one(struct http *http, struct http_ended *ret_ended)
{
    while (!http_take(http, ret_ended)) {
        if (http->in_flight == 0)
            return false;
        curl_multi_poll(http->multi, NULL, 0, wait_ms(http, INT_MAX), NULL);
    }
    return true;
}

bool http_answer_make_tree(struct http_answer *answer, size_t flags, size_t max_bytes,
                           struct error *error)
{
    const struct json_text text = {answer->body.bytes, answer->body.length};
    if (json_text_tree_bytes(text) > max_bytes)
        return error_set(error, ERROR_LIMIT, "%s: the response has too many values in it",
                         answer->name);
    answer->json = json_text_tree(text, flags, max_bytes);
    return true;
}

void http_ended_done(struct http_ended *ended)
{
    json_decref(ended->answer.json);
    text_done(&ended->answer.body);
    error_done(&ended->error);
    free(ended->name);
}
