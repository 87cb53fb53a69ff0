#include "shared/fetch.h"

#include "base/clock.h"
#include "base/http_head.h"
#include "base/json_text.h"
#include "base/memory.h"
#include "base/system/socket.h"
#include "shared/http_address.h"
#include "shared/tls.h"

#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

enum {
    BUFFER_BYTES = 1 << 10,         /* of each transfer: libcurl reads 100 of them at a time */
    UPLOAD_BUFFER_BYTES = 16 << 10, /* the least; libcurl has 64 KiB for what a POST sends */
    BODY_STEP_BYTES = 64 << 10,     /* that a body grows by at most, once it is that large */
};

enum {
    LINE_BYTES = 96, /* what libcurl takes for a line beside its text */
    /* All the lines, and one that has not ended. */
    HEAD_BYTES = HTTP_HEAD_MAX_BYTES + HTTP_HEAD_MAX_LINES * LINE_BYTES + (100 << 10),
    URL_COPIES = 4,            /* ours, libcurl's, its parts, and the request */
    KEPT_HEAD_BYTES = 8 << 10, /* by a handle that waits for its next request */
};

struct fetcher {
    struct fetch_source source;
    char *name; /* of the server that was asked last, where the source follows */
    CURL *curl;
    struct http_head head;
    struct text body;
    size_t reserved; /* for the request and the head */
    size_t request_bytes;
    bool is_worn; /* from its beginning on, until the transfer has ended well with a usual head */
    struct fetch_budget *budget; /* or NULL; head and body are counted in it */
    size_t limit;                /* that the body exceeds; 0: none */
    bool is_refused;             /* others have the memory for it */
    struct error tls_error;
    char curl_error[CURL_ERROR_SIZE];
};

static bool reserve(struct fetcher *fetcher, size_t bytes)
{
    struct source_memory *memory = &fetcher->budget->memory;
    if (!source_memory_set(memory, memory->used - fetcher->reserved + bytes))
        return false;
    fetcher->reserved = bytes;
    return true;
}

bool fetch_reserve(struct fetcher *fetcher, const char *url)
{
    fetcher->request_bytes = URL_COPIES * strlen(url);
    return reserve(fetcher, HEAD_BYTES + fetcher->request_bytes);
}

/* What libcurl keeps of the head until the handle is used again. */
static size_t head_bytes(const struct fetcher *fetcher)
{
    return fetcher->head.bytes + fetcher->head.lines * LINE_BYTES;
}

/* More for the body; what was reserved for more of a head than has come is enough for most. */
static bool count_body(struct fetcher *fetcher, size_t bytes)
{
    struct fetch_budget *budget = fetcher->budget;
    struct source_memory *memory = &budget->memory;
    size_t needed = fetcher->request_bytes + head_bytes(fetcher);
    if (needed > fetcher->reserved)
        needed = fetcher->reserved;
    if ((budget->max > 0 && budget->used + bytes > budget->max) ||
        !source_memory_set(memory, memory->used - fetcher->reserved + needed + bytes))
        return false;
    fetcher->reserved = needed;
    budget->used += bytes;
    return true;
}

/* What the body takes, without its NUL, as the limits have it. */
static size_t body_bytes(const struct text *body)
{
    return body->capacity == 0 ? 0 : body->capacity - 1;
}

/* Makes the body large enough, and never larger than it may become: text_add_bytes() doubles, and
 * an agent has no memory for twice the largest. False: others have the memory. */
static bool grow_body(struct fetcher *fetcher, size_t length)
{
    struct text *body = &fetcher->body;
    size_t bytes = body_bytes(body);
    if (length < body->capacity)
        return true;
    size_t grown = MAX(length, bytes + MIN(bytes, BODY_STEP_BYTES));
    grown = MIN(grown, fetcher->source.max_body_bytes);
    if (fetcher->budget != NULL && !count_body(fetcher, grown - bytes))
        return false;
    body->capacity = grown + 1;
    body->bytes = memory_resize(body->bytes, body->capacity);
    return true;
}

bool fetch_is_worn(const struct fetcher *fetcher)
{
    return fetcher->is_worn;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
    struct fetcher *fetcher = context;
    size_t length = size * count;
    if (fetcher->body.length + length > fetcher->source.max_body_bytes)
        fetcher->limit = fetcher->source.max_body_bytes;
    else if (!grow_body(fetcher, fetcher->body.length + length))
        fetcher->is_refused = true;
    if (fetcher->limit > 0 || fetcher->is_refused)
        return 0;
    text_add_bytes(&fetcher->body, bytes, length);
    return length;
}

static struct text take_text(struct fetcher *fetcher, struct source_memory *ret_memory)
{
    struct text body = fetcher->body;
    if (fetcher->budget != NULL) {
        fetcher->budget->used -= body_bytes(&body);
        source_memory_move(&fetcher->budget->memory, body_bytes(&body), ret_memory);
    }
    fetcher->body = (struct text){0};
    return body;
}

static void drop_body(struct fetcher *fetcher)
{
    struct source_memory memory = {0};
    struct text body = take_text(fetcher, &memory);
    text_done(&body);
    source_memory_set(&memory, 0);
}

void fetch_drop(struct fetcher *fetcher)
{
    drop_body(fetcher);
    if (fetcher->reserved > 0)
        reserve(fetcher, 0);
}

static int bound_socket(void *context, curl_socket_t fd, curlsocktype purpose)
{
    (void)context, (void)purpose;
    socket_bound_buffers(fd, SOCKET_SOURCE_BYTES);
    return CURL_SOCKOPT_OK;
}

static CURLcode configure_tls(CURL *curl, void *ssl_context, void *context)
{
    (void)curl;
    struct fetcher *fetcher = context;
    return tls_configure(ssl_context, fetcher->source.tls, &fetcher->tls_error)
               ? CURLE_OK
               : CURLE_ABORTED_BY_CALLBACK;
}

struct fetcher *fetch_new(const struct fetch_source *source, struct fetch_budget *budget)
{
    struct fetcher *fetcher = memory_new(sizeof(*fetcher));
    fetcher->source = *source;
    fetcher->budget = budget;
    CURL *curl = fetcher->curl = curl_easy_init();
    if (curl == NULL)
        return fetcher;

    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    /* With HTTP/2 libcurl reads frames that are no news, such as empty data, as long as there are
     * some: without end. */
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, (long)BUFFER_BYTES);
    curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BUFFER_BYTES);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "backlog/" BACKLOG_VERSION);
    curl_easy_setopt(curl, CURLOPT_SOCKOPTFUNCTION, bound_socket);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, fetcher->curl_error);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, fetcher);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, http_head_take);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &fetcher->head);
    /* tls_configure() has them read once; libcurl would for each connection, which takes 30 ms. */
    curl_easy_setopt(curl, CURLOPT_CAINFO, NULL);
    curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(curl, CURLOPT_SSL_CTX_FUNCTION, configure_tls);
    curl_easy_setopt(curl, CURLOPT_SSL_CTX_DATA, fetcher);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, source->tls->unsafe ? 0L : 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, source->tls->unsafe ? 0L : 2L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, source->headers);
    if (source->user != NULL) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        curl_easy_setopt(curl, CURLOPT_USERNAME, source->user);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, source->password);
    }
    return fetcher;
}

void fetch_free(struct fetcher *fetcher)
{
    if (fetcher == NULL)
        return;
    curl_easy_cleanup(fetcher->curl);
    fetch_drop(fetcher);
    error_done(&fetcher->tls_error);
    free(fetcher->name);
    free(fetcher);
}

void fetch_set_bearer(const struct fetcher *fetcher, const char *token)
{
    curl_easy_setopt(fetcher->curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
    curl_easy_setopt(fetcher->curl, CURLOPT_XOAUTH2_BEARER, token);
}

void fetch_set_form(const struct fetcher *fetcher, const char *form)
{
    curl_easy_setopt(fetcher->curl, CURLOPT_POSTFIELDS, form);
}

void fetch_answer_done(struct fetch_answer *answer)
{
    json_decref(answer->json);
    answer->json = NULL;
    text_done(&answer->body);
    source_memory_set(&answer->memory, 0);
}

static enum fetch_outcome no_memory(const char *name, struct error *error)
{
    error_set(error, ERROR_LIMIT,
              "%s: the response is too large for now: other replies use the memory for it", name);
    return FETCH_NO_MEMORY;
}

enum fetch_outcome fetch_answer_make_tree(struct fetch_answer *answer, size_t flags,
                                          size_t max_bytes, const char *name, struct error *error)
{
    const struct json_text text = {answer->body.bytes, answer->body.length};
    size_t bytes = json_text_tree_bytes(text);
    if (bytes > max_bytes) {
        error_set(error, ERROR_LIMIT, "%s: the response has too many values in it", name);
        return FETCH_TOO_LARGE;
    }
    if (!source_memory_set(&answer->memory, answer->memory.used + bytes))
        return no_memory(name, error);
    answer->json = json_text_tree(text, flags, max_bytes);
    return FETCH_ANSWERED;
}

CURL *fetch_handle(const struct fetcher *fetcher)
{
    return fetcher->curl;
}

bool fetch_begin(struct fetcher *fetcher, const char *url, int64_t deadline_ms)
{
    int max_ms = FETCH_MAX_TIMEOUT_MS;
    if (fetcher->source.timeout_ms > 0 && fetcher->source.timeout_ms < max_ms)
        max_ms = (int)fetcher->source.timeout_ms;
    int left_ms = clock_left_ms(deadline_ms, max_ms);

    drop_body(fetcher);
    error_done(&fetcher->tls_error);
    free(fetcher->name);
    fetcher->name = fetcher->source.follows ? http_server_name(fetcher->source.name, url) : NULL;
    fetcher->head = (struct http_head){0};
    fetcher->is_worn = true;
    fetcher->limit = 0;
    fetcher->is_refused = false;
    fetcher->curl_error[0] = '\0';
    curl_easy_setopt(fetcher->curl, CURLOPT_URL, url);
    curl_easy_setopt(fetcher->curl, CURLOPT_TIMEOUT_MS, (long)left_ms);
    return left_ms > 0; /* to libcurl 0 would mean no limit */
}

/* For errors. */
static const char *name_of(const struct fetcher *fetcher)
{
    return fetcher->name == NULL ? fetcher->source.name : fetcher->name;
}

static enum fetch_outcome explain(const struct fetcher *fetcher, CURLcode code, struct error *error)
{
    const char *name = name_of(fetcher);
    const char *why =
        fetcher->curl_error[0] != '\0' ? fetcher->curl_error : curl_easy_strerror(code);
    if (http_head_is_too_large(&fetcher->head)) {
        error_set(error, ERROR_LIMIT,
                  "%s: the response has more than %d lines or %d bytes of headers and trailers",
                  name, HTTP_HEAD_MAX_LINES, HTTP_HEAD_MAX_BYTES);
        return FETCH_TOO_LARGE;
    }
    if (fetcher->limit > 0) {
        error_set(error, ERROR_LIMIT, "%s: the response has more than %zu bytes", name,
                  fetcher->limit);
        return FETCH_TOO_LARGE;
    }
    if (fetcher->is_refused)
        return no_memory(name, error);
    if (error_is_set(&fetcher->tls_error))
        error_copy(error, &fetcher->tls_error);
    else
        error_unavailable(error, "request to %s failed: %s%s", name, why,
                          code == CURLE_PEER_FAILED_VERIFICATION ? TLS_UNVERIFIED : "");
    return code == CURLE_OPERATION_TIMEDOUT ? FETCH_TIMED_OUT : FETCH_FAILED;
}

enum fetch_outcome fetch_end(struct fetcher *fetcher, CURLcode code,
                             struct fetch_answer *ret_answer, struct error *error)
{
    if (code != CURLE_OK) {
        fetch_drop(fetcher);
        return explain(fetcher, code, error);
    }
    size_t max_bytes = fetcher->source.max_tree_bytes;
    fetcher->is_worn = head_bytes(fetcher) > KEPT_HEAD_BYTES;
    curl_easy_getinfo(fetcher->curl, CURLINFO_RESPONSE_CODE, &ret_answer->status);
    ret_answer->body = take_text(fetcher, &ret_answer->memory);
    if (max_bytes == 0)
        return FETCH_ANSWERED;
    enum fetch_outcome outcome =
        fetch_answer_make_tree(ret_answer, 0, max_bytes, name_of(fetcher), error);
    if (outcome != FETCH_ANSWERED)
        fetch_answer_done(ret_answer);
    return outcome;
}
