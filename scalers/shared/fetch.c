#include "shared/fetch.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/text.h"
#include "shared/tls.h"

#include <stdlib.h>

enum { MAX_TIMEOUT_MS = 10 * 60 * 1000 };

struct fetcher {
    struct fetch_source source;
    CURL *curl;
    struct text body;
    bool too_large;
    struct error tls_error;
    char curl_error[CURL_ERROR_SIZE];
};

static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
    struct fetcher *fetcher = context;
    fetcher->too_large = fetcher->body.length + size * count > fetcher->source.max_body_bytes;
    if (fetcher->too_large)
        return 0;
    text_add_bytes(&fetcher->body, bytes, size * count);
    return size * count;
}

static CURLcode configure_tls(CURL *curl, void *ssl_context, void *context)
{
    (void)curl;
    struct fetcher *fetcher = context;
    return tls_configure(ssl_context, fetcher->source.tls, &fetcher->tls_error)
               ? CURLE_OK
               : CURLE_ABORTED_BY_CALLBACK;
}

struct fetcher *fetch_new(const struct fetch_source *source)
{
    struct fetcher *fetcher = memory_new(sizeof(*fetcher));
    fetcher->source = *source;
    CURL *curl = fetcher->curl = curl_easy_init();
    if (curl == NULL)
        return fetcher;

    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "backlog/" BACKLOG_VERSION);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, fetcher->curl_error);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, fetcher);
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
    text_done(&fetcher->body);
    error_done(&fetcher->tls_error);
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
}

CURL *fetch_handle(const struct fetcher *fetcher)
{
    return fetcher->curl;
}

bool fetch_begin(struct fetcher *fetcher, const char *url, int64_t deadline_ms)
{
    int max_ms = MAX_TIMEOUT_MS;
    if (fetcher->source.timeout_ms > 0 && fetcher->source.timeout_ms < max_ms)
        max_ms = (int)fetcher->source.timeout_ms;
    int left_ms = clock_left_ms(deadline_ms, max_ms);

    text_clear(&fetcher->body);
    error_done(&fetcher->tls_error);
    fetcher->too_large = false;
    fetcher->curl_error[0] = '\0';
    curl_easy_setopt(fetcher->curl, CURLOPT_URL, url);
    curl_easy_setopt(fetcher->curl, CURLOPT_TIMEOUT_MS, (long)left_ms);
    return left_ms > 0; /* to libcurl 0 would mean no limit */
}

static enum fetch_outcome explain(const struct fetcher *fetcher, CURLcode code, struct error *error)
{
    const char *name = fetcher->source.name;
    const char *why =
        fetcher->curl_error[0] != '\0' ? fetcher->curl_error : curl_easy_strerror(code);
    if (fetcher->too_large) {
        error_set(error, ERROR_LIMIT, "%s: the response has more than %zu bytes", name,
                  fetcher->source.max_body_bytes);
        return FETCH_TOO_LARGE;
    }
    if (error_is_set(&fetcher->tls_error))
        error_copy(error, &fetcher->tls_error);
    else
        error_unavailable(error, "request to %s failed: %s", name, why);
    return code == CURLE_OPERATION_TIMEDOUT ? FETCH_TIMED_OUT : FETCH_FAILED;
}

enum fetch_outcome fetch_end(struct fetcher *fetcher, CURLcode code,
                             struct fetch_answer *ret_answer, struct error *error)
{
    if (code != CURLE_OK)
        return explain(fetcher, code, error);
    curl_easy_getinfo(fetcher->curl, CURLINFO_RESPONSE_CODE, &ret_answer->status);
    ret_answer->json =
        json_loadb(fetcher->body.bytes, fetcher->body.length, fetcher->source.json_flags, NULL);
    return FETCH_ANSWERED;
}
