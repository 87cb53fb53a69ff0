#include "rabbitmq/http.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "rabbitmq/tls.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

enum {
    BODY_BYTES_MOST = 64 * 1024 * 1024, /* 80 bytes a queue: far beyond any vhost */
    REASON_BYTES_MOST = 200,
    TIMEOUT_MS_MOST = 60 * 1000,
};

struct rabbitmq_http {
    const struct rabbitmq_connection *options;
    CURL *curl;
    char *address; /* host:port, for errors */
    char *base;    /* scheme://host:port/prefix */
    struct text body;
    bool too_large;
    struct error tls_error;
    char curl_error[CURL_ERROR_SIZE];
};

static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
    struct rabbitmq_http *http = context;
    http->too_large = http->body.length + size * count > BODY_BYTES_MOST;
    if (http->too_large)
        return 0;
    text_add_bytes(&http->body, bytes, size * count);
    return size * count;
}

static CURLcode configure_tls(CURL *curl, void *ssl_context, void *context)
{
    (void)curl;
    struct rabbitmq_http *http = context;
    return rabbitmq_tls_configure(ssl_context, http->options, &http->tls_error)
               ? CURLE_OK
               : CURLE_ABORTED_BY_CALLBACK;
}

struct rabbitmq_http *rabbitmq_http_new(const struct rabbitmq_connection *options,
                                        const struct rabbitmq_url *url)
{
    struct rabbitmq_http *http = memory_new(sizeof(*http));
    bool ipv6 = strchr(url->host, ':') != NULL;
    http->options = options;
    http->address = text_format(ipv6 ? "[%s]:%d" : "%s:%d", url->host, url->port);
    http->base = text_format("%s://%s%s", url->tls ? "https" : "http", http->address, url->prefix);
    CURL *curl = http->curl = curl_easy_init();
    if (curl == NULL)
        return http;

    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "backlog/" BACKLOG_VERSION);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, http->curl_error);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, http);
    curl_easy_setopt(curl, CURLOPT_SSL_CTX_FUNCTION, configure_tls);
    curl_easy_setopt(curl, CURLOPT_SSL_CTX_DATA, http);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, options->tls.unsafe ? 0L : 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, options->tls.unsafe ? 0L : 2L);
    if (url->user != NULL) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        curl_easy_setopt(curl, CURLOPT_USERNAME, url->user);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, url->password);
    }
    return http;
}

void rabbitmq_http_free(struct rabbitmq_http *http)
{
    if (http == NULL)
        return;
    curl_easy_cleanup(http->curl);
    text_done(&http->body);
    error_done(&http->tls_error);
    free(http->address);
    free(http->base);
    free(http);
}

static enum http_outcome explain_curl(const struct rabbitmq_http *http, CURLcode code,
                                      struct error *error)
{
    const char *why = http->curl_error[0] != '\0' ? http->curl_error : curl_easy_strerror(code);
    if (error_is_set(&http->tls_error))
        error_copy(error, &http->tls_error);
    else if (http->too_large)
        error_set(error, ERROR_LIMIT, "RabbitMQ at %s answered more than %d bytes", http->address,
                  BODY_BYTES_MOST);
    else
        error_unavailable(error, "cannot ask RabbitMQ's management API at %s: %s", http->address,
                          why);
    return code == CURLE_OPERATION_TIMEDOUT ? HTTP_TIMED_OUT : HTTP_FAILED;
}

/* The management API explains itself as {"error": ..., "reason": ...}. */
static enum http_outcome explain_status(const struct rabbitmq_http *http, long status, json_t *json,
                                        struct error *error)
{
    const char *reason = json_string_value(json_object_get(json, "reason"));
    if (reason == NULL)
        reason = "no reason given";
    error_unavailable(error, "RabbitMQ's management API at %s answered %ld: %.*s", http->address,
                      status, (int)text_cut(reason, REASON_BYTES_MOST), reason);
    return status == 404 ? HTTP_NOT_FOUND : HTTP_FAILED;
}

static CURLcode perform(struct rabbitmq_http *http, const char *path, int64_t deadline_ms)
{
    _cleanup_(memory_free) char *url = text_format("%s%s", http->base, path);
    int most_ms = TIMEOUT_MS_MOST;
    if (http->options->timeout_ms > 0 && http->options->timeout_ms < most_ms)
        most_ms = (int)http->options->timeout_ms;
    int left_ms = clock_left_ms(deadline_ms, most_ms);
    if (left_ms == 0) /* to libcurl it would mean none */
        return CURLE_OPERATION_TIMEDOUT;

    text_clear(&http->body);
    error_done(&http->tls_error);
    http->too_large = false;
    http->curl_error[0] = '\0';
    curl_easy_setopt(http->curl, CURLOPT_URL, url);
    curl_easy_setopt(http->curl, CURLOPT_TIMEOUT_MS, (long)left_ms);
    return curl_easy_perform(http->curl);
}

enum http_outcome rabbitmq_http_get(struct rabbitmq_http *http, const char *path,
                                    int64_t deadline_ms, json_t **ret_json, struct error *error)
{
    if (http->curl == NULL) {
        error_set(error, ERROR_INTERNAL, "libcurl did not start");
        return HTTP_FAILED;
    }
    CURLcode code = perform(http, path, deadline_ms);
    if (code != CURLE_OK)
        return explain_curl(http, code, error);

    long status = 0;
    curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &status);
    json_t *json = json_loadb(http->body.bytes, http->body.length, 0, NULL);
    if (status == 200 && json != NULL) {
        *ret_json = json;
        return HTTP_GOT;
    }
    enum http_outcome outcome = HTTP_FAILED;
    if (status == 200)
        error_unavailable(error, "RabbitMQ's management API at %s answered no JSON", http->address);
    else
        outcome = explain_status(http, status, json, error);
    json_decref(json);
    return outcome;
}
